"""Let open data be read by a role that can read nothing else."""

from collections.abc import Sequence

from alembic import op

revision: str = "0023"
down_revision: str | None = "0022"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# Roles belong to the whole server, and the owner of the tables may make none.
_NEEDS_ROLE = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'jalon_open') THEN
        RAISE EXCEPTION 'the role jalon_open is missing; as the administrator of the server: '
            'CREATE ROLE jalon_open NOLOGIN; GRANT jalon_open TO jalon_web;';
    END IF;
END $$
"""


def upgrade() -> None:
    """Apply; the server's own role keeps its rights, which the version before this one reads by."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(_NEEDS_ROLE)
    op.execute("GRANT USAGE ON SCHEMA open TO jalon_open")
    op.execute("GRANT SELECT ON ALL TABLES IN SCHEMA open TO jalon_open")


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("REVOKE SELECT ON ALL TABLES IN SCHEMA open FROM jalon_open")
    op.execute("REVOKE USAGE ON SCHEMA open FROM jalon_open")
