"""Keep each city's base map as one file, read in pieces."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.tenancy import Access, guard_table

revision: str = "0025"
down_revision: str | None = "0024"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "base_map",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["city_id"], ["city.id"], name=op.f("fk_base_map_city_id_city"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("city_id", name=op.f("pk_base_map")),
    )
    # Not compressed, so that a piece is read without the rest.
    op.execute("ALTER TABLE base_map ALTER COLUMN content SET STORAGE EXTERNAL")
    for statement in guard_table("base_map", Access.REFERENCE):
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_table("base_map")
