"""What every table shares: the declarative base, naming of constraints, and column types."""

from datetime import datetime
from typing import Any
from uuid import UUID

import uuid_utils
from sqlalchemy import DateTime, MetaData, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import UserDefinedType


class Base(DeclarativeBase):
    """The base of all tables; Alembic compares its metadata with the database."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        str: Text,
        UUID: Uuid,
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
    }


class Xid8(UserDefinedType[int]):
    """A transaction's number that never wraps; with `seq` it orders events so that no late commit is skipped."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Name the type in DDL."""
        return "xid8"


def new_id() -> UUID:
    """Make an id that sorts by the time it was made (UUIDv7, RFC 9562)."""
    return UUID(bytes=uuid_utils.uuid7().bytes)
