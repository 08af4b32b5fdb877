"""Which migration a database stands at, and which one this version of the code needs.

Every process asks as it starts. Alembic, which would know too, takes longer to load than most of them to begin.
"""

from pathlib import Path

import psycopg

_VERSIONS = Path(__file__).parent / "migrations" / "versions"


def newest_revision() -> str:
    """Get the id of the newest migration that this version of the code knows: their files are numbered."""
    newest = max(file.name for file in _VERSIONS.glob("*.py"))
    return newest.partition("_")[0]


def current_revision(connection: psycopg.Connection) -> str | None:
    """Get the migration a database stands at; None for an empty database."""
    if connection.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,):
        return None
    found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if found is None else str(found[0])
