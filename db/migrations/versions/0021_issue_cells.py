"""Count issues by the cells of the map, for tiles of whole cities; the worker fills and keeps them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.base import Xid8
from db.tenancy import Access, guard_table

revision: str = "0021"
down_revision: str | None = "0020"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "issue_cell",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("z", sa.SmallInteger(), nullable=False),
        sa.Column("x", sa.Integer(), nullable=False),
        sa.Column("y", sa.Integer(), nullable=False),
        sa.Column("issue_count", sa.Integer(), nullable=False),
        sa.Column("open_count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["city_id"], ["city.id"], name=op.f("fk_issue_cell_city_id_city"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("city_id", "z", "x", "y", name=op.f("pk_issue_cell")),
    )
    op.create_table(
        "issue_cell_left",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.Column("x", sa.Integer(), nullable=False),
        sa.Column("y", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["city_id"], ["city.id"], name=op.f("fk_issue_cell_left_city_id_city"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("city_id", "id", name=op.f("pk_issue_cell_left")),
    )
    op.create_table(
        "issue_cell_cursor",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("counted_to", Xid8(), nullable=False),
        sa.ForeignKeyConstraint(
            ["city_id"], ["city.id"], name=op.f("fk_issue_cell_cursor_city_id_city"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("city_id", name=op.f("pk_issue_cell_cursor")),
        # Numbers of transactions are this server's own: in no backup, and gone after a crash.
        prefixes=["UNLOGGED"],
    )
    for table in ("issue_cell", "issue_cell_left", "issue_cell_cursor"):
        for statement in guard_table(table, Access.TENANT):
            op.execute(statement)
    op.execute("REVOKE UPDATE ON issue_cell_left FROM jalon_app")
    op.execute("REVOKE DELETE ON issue_cell_cursor FROM jalon_app")


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in ("issue_cell_cursor", "issue_cell_left", "issue_cell"):
        op.drop_table(table)
