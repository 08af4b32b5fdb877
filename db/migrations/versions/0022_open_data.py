"""Show what is open to everybody, and nothing else, in a schema of views: for open data and its exports."""

from collections.abc import Sequence

from alembic import op

revision: str = "0022"
down_revision: str | None = "0021"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# Views have their owner's rights, so the policies of the tables do not hold here: each names the city itself, and what
# is private or was merged into another issue is in none. Without a security barrier, so that searches by place reach
# the indexes (see `issue_map`); only SELECT is granted, since a view that can be written checks nothing.
_CITY = "NULLIF(current_setting('jalon.city_id', true), '')::integer"
_VIEWS = (
    f"""
    CREATE VIEW open.issues AS
    SELECT issue.city_id, issue.id, issue.number, issue.service_code, service.names ->> 'fr' AS service_name_fr,
           service.names ->> 'en' AS service_name_en, issue.status, issue.address, issue.layer AS district_layer,
           issue.district_code, issue.department_code, issue.report_count, issue.opened_at AS requested_datetime,
           issue.updated_at AS updated_datetime, issue.expected_at AS expected_datetime,
           issue.place::geometry AS shape
    FROM issue LEFT JOIN service ON service.city_id = issue.city_id AND service.code = issue.service_code
    WHERE issue.city_id = {_CITY} AND NOT issue.private AND issue.merged_into IS NULL
    """,  # noqa: S608 - made of constants
    f"""
    CREATE VIEW open.districts AS
    SELECT city_id, layer || ':' || code AS id, layer, code, names ->> 'fr' AS name_fr, names ->> 'en' AS name_en,
           NULLIF(valid_from, DATE '0001-01-01') AS valid_from, polygon AS shape
    FROM district
    WHERE city_id = {_CITY} AND valid_from <= current_date AND (valid_to IS NULL OR current_date < valid_to)
    """,  # noqa: S608 - made of constants
    f"""
    CREATE VIEW open.streets AS
    SELECT city_id, id, name, kind, line::geometry AS shape FROM street WHERE city_id = {_CITY}
    """,  # noqa: S608 - made of constants
)


def upgrade() -> None:
    """Apply."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("CREATE SCHEMA open")
    op.execute("GRANT USAGE ON SCHEMA open TO jalon_app")
    for view in _VIEWS:
        op.execute(view)
    op.execute("GRANT SELECT ON ALL TABLES IN SCHEMA open TO jalon_app")


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP SCHEMA open CASCADE")
