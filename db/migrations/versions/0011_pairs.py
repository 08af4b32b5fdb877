"""Keep pairs of issues that may be one problem, for staff to decide."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from db.tenancy import Access, guard_table

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    report = ["report.city_id", "report.id"]
    op.create_table(
        "issue_pair",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("one_id", sa.Uuid(), nullable=False),
        sa.Column("other_id", sa.Uuid(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("reasons", postgresql.JSONB(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.CheckConstraint("one_id < other_id", name=op.f("ck_issue_pair_order")),
        sa.CheckConstraint("state IN ('pending', 'confirmed', 'rejected')", name=op.f("ck_issue_pair_state")),
        sa.ForeignKeyConstraint(["city_id", "one_id"], report, name=op.f("fk_issue_pair_city_id_one_id_report")),
        sa.ForeignKeyConstraint(["city_id", "other_id"], report, name=op.f("fk_issue_pair_city_id_other_id_report")),
        sa.PrimaryKeyConstraint("city_id", "id", name=op.f("pk_issue_pair")),
        sa.UniqueConstraint("city_id", "one_id", "other_id", name=op.f("uq_issue_pair_city_id_one_id_other_id")),
    )
    op.create_index("ix_issue_pair_state", "issue_pair", ["city_id", "state", "score", "id"])
    for statement in guard_table("issue_pair", Access.TENANT):
        op.execute(statement)
    op.execute("REVOKE DELETE ON issue_pair FROM jalon_app")


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_table("issue_pair")
