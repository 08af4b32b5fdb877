"""Leave out of open data the issues that no report is about any more, and count the map's cells without them."""

from collections.abc import Sequence

from alembic import op

revision: str = "0031"
down_revision: str | None = "0030"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_CITY = "NULLIF(current_setting('jalon.city_id', true), '')::integer"
_VIEW = f"""
CREATE OR REPLACE VIEW open.issues AS
SELECT issue.city_id, issue.id, issue.number, issue.service_code, service.names ->> 'fr' AS service_name_fr,
       service.names ->> 'en' AS service_name_en, issue.status, issue.address, issue.layer AS district_layer,
       issue.district_code, issue.department_code, issue.report_count, issue.opened_at AS requested_datetime,
       issue.updated_at AS updated_datetime, issue.expected_at AS expected_datetime,
       issue.place::geometry AS shape
FROM issue LEFT JOIN service ON service.city_id = issue.city_id AND service.code = issue.service_code
WHERE issue.city_id = {_CITY} AND NOT issue.private AND issue.merged_into IS NULL
"""  # noqa: S608 - made of constants


def upgrade() -> None:
    """Apply."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(f"{_VIEW} AND issue.report_count > 0")
    op.execute("DELETE FROM issue_cell_cursor")  # the worker's next pass counts everything


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(_VIEW)
    op.execute("DELETE FROM issue_cell_cursor")
