"""Count how much somebody does within a while, so that nobody does too much."""

from collections.abc import Sequence
from secrets import token_bytes

import sqlalchemy as sa
from alembic import op

from db.tenancy import Access, guard_table

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "rate_count",
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject", "shard", name=op.f("pk_rate_count")),
        # In no log, replica or base backup: counting costs less, and who came when is kept nowhere else.
        prefixes=["UNLOGGED"],
    )
    for statement in guard_table("rate_count", Access.GLOBAL):
        op.execute(statement)
    keys = sa.table("signing_key", sa.column("purpose", sa.Text()), sa.column("key", sa.LargeBinary()))
    op.bulk_insert(keys, [{"purpose": "rates", "key": token_bytes(32)}])


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DELETE FROM signing_key WHERE purpose = 'rates'")
    op.drop_table("rate_count")
