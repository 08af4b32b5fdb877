"""Originals belong to one upload each, and are read through signed links."""

from collections.abc import Sequence
from secrets import token_bytes

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    # Empty for what was received before, whose key is its hash alone: nothing to fill, no row is rewritten.
    op.add_column("photo", sa.Column("upload_id", sa.Uuid(), nullable=True))
    keys = op.create_table(
        "signing_key",
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("purpose", name=op.f("pk_signing_key")),
    )
    # Made here, once for each database, so that the server's role only ever reads it.
    op.bulk_insert(keys, [{"purpose": "originals", "key": token_bytes(32)}])
    op.execute("GRANT SELECT ON signing_key TO jalon_app")


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_table("signing_key")
    op.drop_column("photo", "upload_id")
