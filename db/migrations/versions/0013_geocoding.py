"""Find a place by its address: the words of streets' names, and civic numbers in their order.

Needs the extension pg_trgm (trusted; `deploy/postgresql.sql` and the private cluster create it). The words come with
the next load of a pack, which happens although its files are the same: until then no address is found.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.tenancy import Access, guard_table

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_REFUSE_WITHOUT_TRIGRAMS = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') THEN
        RAISE EXCEPTION 'the extension pg_trgm is missing from this database'
            USING HINT = 'As its owner or a superuser: CREATE EXTENSION pg_trgm; then migrate again.';
    END IF;
END $$
"""


def upgrade() -> None:
    """Apply."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(_REFUSE_WITHOUT_TRIGRAMS)
    op.create_table(
        "street_name",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["city_id"], ["city.id"], name=op.f("fk_street_name_city_id_city"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("city_id", "name", name=op.f("pk_street_name")),
    )
    op.create_index(
        "ix_street_name_city_id_words",
        "street_name",
        ["city_id", "words"],
        postgresql_using="gist",
        postgresql_ops={"words": "gist_trgm_ops"},
    )
    for statement in guard_table("street_name", Access.REFERENCE):
        op.execute(statement)
    op.add_column("address", sa.Column("civic", sa.Integer(), nullable=True))
    op.execute("UPDATE address SET civic = substring(number FROM '^[0-9]{1,6}')::integer")
    op.create_index(op.f("ix_address_city_id_street_civic"), "address", ["city_id", "street", "civic"])
    op.create_index(op.f("ix_street_city_id_name"), "street", ["city_id", "name"])


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_index(op.f("ix_street_city_id_name"), table_name="street")
    op.drop_index(op.f("ix_address_city_id_street_civic"), table_name="address")
    op.drop_column("address", "civic")
    op.drop_table("street_name")
