"""Keep looks at one device out of the index of all that is due."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0032"
down_revision: str | None = "0031"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    _index_due("state = 'queued' AND attempts >= 0")


def downgrade() -> None:
    """Take back."""
    _index_due("state = 'queued'")


def _index_due(where: str) -> None:
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_index("ix_delivery_due", table_name="delivery")
    op.create_index("ix_delivery_due", "delivery", ["city_id", "due_at", "id"], postgresql_where=sa.text(where))
