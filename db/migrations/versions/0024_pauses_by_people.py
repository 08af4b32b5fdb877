"""Let managers declare pauses and take them back, with a reason in both languages."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.tenancy import APP_ROLE, CURRENT_CITY

revision: str = "0024"
down_revision: str | None = "0023"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_OWN_CITY = f"city_id = {CURRENT_CITY}"


def upgrade() -> None:
    """Apply."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("pause", sa.Column("key", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False))
    op.add_column("pause", sa.Column("reason_en", sa.Text(), server_default="", nullable=False))
    op.add_column("pause", sa.Column("declared_by", sa.Text(), server_default="", nullable=False))
    op.add_column("pause", sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("pause", sa.Column("withdrawn_by", sa.Text(), nullable=True))
    op.create_index("uq_pause_city_id_key", "pause", ["city_id", "key"], unique=True)
    # Everybody goes on reading them; a city writes its own.
    op.execute(f"CREATE POLICY own_city ON pause TO {APP_ROLE} USING ({_OWN_CITY}) WITH CHECK ({_OWN_CITY})")
    op.execute(f"GRANT INSERT, UPDATE ON pause TO {APP_ROLE}")


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(f"REVOKE INSERT, UPDATE ON pause FROM {APP_ROLE}")
    op.execute("DROP POLICY own_city ON pause")
    op.drop_index("uq_pause_city_id_key", table_name="pause")
    for column in ("withdrawn_by", "withdrawn_at", "declared_by", "reason_en", "key"):
        op.drop_column("pause", column)
