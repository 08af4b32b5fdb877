"""Those whom a merge brings are told by a job, and what waits to be told of an issue is found by it."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0030"
down_revision: str | None = "0029"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("notice", sa.Column("newcomers", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.create_index("ix_notice_waiting", "notice", ["city_id", "issue_id"], postgresql_where=sa.text("told_at IS NULL"))


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_index("ix_notice_waiting", table_name="notice")
    op.drop_column("notice", "newcomers")
