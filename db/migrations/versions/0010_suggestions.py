"""Say for each service what kind of thing it is about, and when people are asked whether two reports are one problem."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    # The defaults are for packs that were loaded before, and for the version that loads them without these columns.
    for column in (
        sa.Column("kind", sa.Text(), nullable=False, server_default="any"),
        sa.Column("suggest_radius_m", sa.Float(), nullable=False, server_default="75"),
        sa.Column("suggest_window_days", sa.Integer(), nullable=False, server_default="45"),
        sa.Column("suggest_threshold", sa.Float(), nullable=False, server_default="0.3"),
    ):
        op.add_column("service", column)
    op.create_check_constraint("kind", "service", "kind IN ('point', 'stretch', 'premises', 'any')")


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_constraint(op.f("ck_service_kind"), "service")
    for column in ("suggest_threshold", "suggest_window_days", "suggest_radius_m", "kind"):
        op.drop_column("service", column)
