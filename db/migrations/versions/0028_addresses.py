"""Have an address for every issue and work order, and say for which a better one is to be asked for."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0028"
down_revision: str | None = "0027"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_OPEN = "('received', 'acknowledged', 'scheduled', 'in_progress')"
# Nobody is led any more to what is over, and where private things are is told to nobody outside.
_ASK = f"""
    address_ask_at = CASE WHEN NOT private AND merged_into IS NULL AND status IN {_OPEN} THEN opened_at END,
"""
# As `issues.whereabouts` writes what lies beyond the streets: the district and the city, in the city's language. How
# far the nearest street is, a migration does not look for.
_FILL = """
    UPDATE {table} AS filled
    SET {more} address = concat_ws(', ', (
            SELECT coalesce(names ->> city.locale, names ->> 'fr') FROM district
            WHERE city_id = filled.city_id AND layer = filled.layer AND code = filled.district_code
            ORDER BY valid_from DESC LIMIT 1
        ), coalesce(city.names ->> city.locale, city.names ->> 'fr'))
    FROM city WHERE filled.address IS NULL AND city.id = filled.city_id
"""


def upgrade() -> None:
    """Apply."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("issue", sa.Column("address_ask_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_issue_address_ask_at",
        "issue",
        ["city_id", "address_ask_at"],
        postgresql_where=sa.text("address_ask_at IS NOT NULL"),
    )
    op.execute(_FILL.format(table="issue", more=_ASK))
    op.execute(_FILL.format(table="work_order", more=""))


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_index("ix_issue_address_ask_at", table_name="issue")
    op.drop_column("issue", "address_ask_at")
