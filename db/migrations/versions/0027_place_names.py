"""Find places by their names: parks, public buildings, districts."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geography

from db.tenancy import Access, guard_table

revision: str = "0027"
down_revision: str | None = "0026"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "place_name",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("place", Geography("POINT", srid=4326, spatial_index=False), nullable=False),
        sa.Column("reach_m", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["city_id"], ["city.id"], name=op.f("fk_place_name_city_id_city"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("city_id", "id", name=op.f("pk_place_name")),
    )
    op.create_index(
        "ix_place_name_city_id_words",
        "place_name",
        ["city_id", "words"],
        postgresql_using="gist",
        postgresql_ops={"words": "gist_trgm_ops"},
    )
    for statement in guard_table("place_name", Access.REFERENCE):
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_table("place_name")
