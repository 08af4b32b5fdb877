"""Reach browsers and apps by endpoints of their own: the keys to encrypt for, and ours to sign with."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from cryptography.hazmat.primitives.asymmetric import ec

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_HAS_ENDPOINT = "push_kind IN ('webpush', 'unifiedpush')"


def upgrade() -> None:
    """Apply."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    for name in ("push_p256dh", "push_auth"):
        op.add_column("device", sa.Column(name, sa.Text(), nullable=True))
    op.drop_constraint(op.f("ck_device_push_kind"), "device")
    op.create_check_constraint(
        op.f("ck_device_push_kind"), "device", "push_kind IN ('fid', 'token', 'webpush', 'unifiedpush')"
    )
    op.create_check_constraint(
        op.f("ck_device_push_keys"),
        "device",
        f"({_HAS_ENDPOINT}) IS TRUE = (push_p256dh IS NOT NULL AND push_auth IS NOT NULL)",
    )
    keys = sa.table("signing_key", sa.column("purpose", sa.Text()), sa.column("key", sa.LargeBinary()))
    private_key = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value.to_bytes(32, "big")
    op.bulk_insert(keys, [{"purpose": "vapid", "key": private_key}])


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DELETE FROM signing_key WHERE purpose = 'vapid'")
    op.drop_constraint(op.f("ck_device_push_keys"), "device")
    op.drop_constraint(op.f("ck_device_push_kind"), "device")
    # They register again when the app or page is opened.
    op.execute("UPDATE device SET push_kind = NULL, push_address = NULL WHERE push_kind IN ('webpush', 'unifiedpush')")
    op.create_check_constraint(op.f("ck_device_push_kind"), "device", "push_kind IN ('fid', 'token')")
    for name in ("push_auth", "push_p256dh"):
        op.drop_column("device", name)
