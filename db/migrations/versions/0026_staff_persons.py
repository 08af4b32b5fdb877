"""As whom members of the staff are told of their work."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.tenancy import Access, guard_table

revision: str = "0026"
down_revision: str | None = "0025"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "staff_person",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["city_id", "staff_id"],
            ["staff.city_id", "staff.id"],
            name=op.f("fk_staff_person_city_id_staff_id_staff"),
        ),
        sa.PrimaryKeyConstraint("city_id", "staff_id", "person_id", name=op.f("pk_staff_person")),
    )
    op.create_index(op.f("ix_staff_person_city_id_person_id"), "staff_person", ["city_id", "person_id"])
    for statement in guard_table("staff_person", Access.TENANT):
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_table("staff_person")
