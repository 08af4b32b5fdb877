"""Alembic's entry: runs the migrations on the database that `db.migrate` names."""

from typing import Any

from alembic import context
from geoalchemy2 import alembic_helpers
from sqlalchemy import create_engine
from sqlalchemy.dialects.postgresql.base import ischema_names

from db.base import Xid8
from db.sessions import driver_url
from db.tenancy import UNGUARDED_PREFIX

ischema_names["xid8"] = Xid8  # a type that SQLAlchemy does not know by itself


def include_object(item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    """Leave out what others own: PostGIS's tables and the job queue's."""
    if kind == "table" and name is not None and name.startswith(UNGUARDED_PREFIX):
        return False
    return alembic_helpers.include_object(item, name, kind, reflected, compare_to)


engine = create_engine(driver_url(context.config.attributes["url"]))
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=context.config.attributes["tables"],
        include_object=include_object,
        process_revision_directives=alembic_helpers.writer,
        render_item=alembic_helpers.render_item,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
