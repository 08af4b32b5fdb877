"""From a notice to the people who hear it, each once."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


class Notice(Base):
    """What an event has to tell; written with the event, told by a job."""

    __tablename__ = "notice"
    __table_args__ = (ForeignKeyConstraint(["city_id", "event_id"], ["event.city_id", "event.id"]),)

    city_id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    issue_id: Mapped[UUID]
    kind: Mapped[str]
    params: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    told_at: Mapped[datetime | None]
