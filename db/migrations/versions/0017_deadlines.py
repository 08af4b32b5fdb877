"""Deadlines in hours and by priority, pauses, and how long issues of a kind usually took."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from db.tenancy import Access, guard_table

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("service", sa.Column("deadline_hours", sa.Double(), nullable=True))
    op.add_column("service", sa.Column("deadline_always", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("service", sa.Column("priority", sa.Text(), server_default="normal", nullable=False))
    op.create_check_constraint("priority", "service", "priority IN ('urgent', 'high', 'normal', 'low')")
    op.create_table(
        "pause",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("begins", sa.Date(), nullable=False),
        sa.Column("ends", sa.Date(), nullable=False),
        sa.Column("service_codes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("declared_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["city_id"], ["city.id"], name=op.f("fk_pause_city_id_city"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("city_id", "id", name=op.f("pk_pause")),
    )
    for statement in guard_table("pause", Access.REFERENCE):
        op.execute(statement)
    op.create_table(
        "usual_time",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("service_code", sa.Text(), nullable=False),
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("issues", sa.Integer(), nullable=False),
        sa.Column("low_s", sa.Double(), nullable=False),
        sa.Column("high_s", sa.Double(), nullable=False),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["city_id"], ["city.id"], name=op.f("fk_usual_time_city_id_city"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("city_id", "service_code", "district", name=op.f("pk_usual_time")),
    )
    for statement in guard_table("usual_time", Access.GLOBAL):
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_table("usual_time")
    op.drop_table("pause")
    op.drop_constraint("priority", "service", type_="check")
    for name in ("priority", "deadline_always", "deadline_hours"):
        op.drop_column("service", name)
