"""Events: everything that happened to an issue, in order, never changed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKeyConstraint, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Xid8


class Event(Base):
    """Something that happened to an issue.

    Feeds order by (`xid`, `seq`) and stop before the oldest transaction still running.
    """

    __tablename__ = "event"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "issue_id"], ["issue.city_id", "issue.id"]),
        Index("ix_event_city_id_issue_id", "city_id", "issue_id", "seq"),
        Index("ix_event_city_id_xid", "city_id", "xid", "seq"),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)  # the client's id of a command, so that it may be repeated
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    xid: Mapped[int] = mapped_column(Xid8, server_default=text("pg_current_xact_id()"))
    issue_id: Mapped[UUID]
    kind: Mapped[str]
    actor: Mapped[str]  # 'device:<id>', 'staff:<id>', 'anonymous' or 'system'
    at: Mapped[datetime]
    public: Mapped[bool]
    data: Mapped[dict[str, Any]]
    undoes: Mapped[UUID | None]
    cause: Mapped[UUID | None]  # the event or work order that brought it about
