"""Count how often a push failed and went unanswered; find a device's oldest."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_QUEUED = sa.text("state = 'queued'")
_IN_FLIGHT = sa.text("state = 'queued' AND lease IS NOT NULL")


def upgrade() -> None:
    """Apply."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    for name in ("failures", "unanswered"):
        op.add_column("delivery", sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.create_index(
        "ix_delivery_device", "delivery", ["city_id", "device_id", "due_at", "id"], postgresql_where=_QUEUED
    )
    op.drop_index("ix_delivery_in_flight", table_name="delivery", postgresql_where=_IN_FLIGHT)


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_index("ix_delivery_in_flight", "delivery", ["city_id", "device_id"], postgresql_where=_IN_FLIGHT)
    op.drop_index("ix_delivery_device", table_name="delivery", postgresql_where=_QUEUED)
    for name in ("unanswered", "failures"):
        op.drop_column("delivery", name)
