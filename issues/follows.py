"""Who wants to hear about an issue besides the authors of its reports."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


class Follow(Base):
    """A person's wish to hear about an issue, or (`following` false) not to, even as an author."""

    __tablename__ = "follow"
    __table_args__ = (ForeignKeyConstraint(["city_id", "issue_id"], ["issue.city_id", "issue.id"]),)

    city_id: Mapped[int] = mapped_column(primary_key=True)
    issue_id: Mapped[UUID] = mapped_column(primary_key=True)
    person_id: Mapped[UUID] = mapped_column(primary_key=True)
    following: Mapped[bool]
    at: Mapped[datetime]
