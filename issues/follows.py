"""Who wants to hear about an issue besides the authors of its reports."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, delete, exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from issues.issue import Issue, IssueNotFound
from issues.reports import Report


class Follow(Base):
    """A person's wish to hear about an issue, or (`following` false) not to, even as an author."""

    __tablename__ = "follow"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "issue_id"], ["issue.city_id", "issue.id"]),
        Index("ix_follow_person_id", "city_id", "person_id"),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    issue_id: Mapped[UUID] = mapped_column(primary_key=True)
    person_id: Mapped[UUID] = mapped_column(primary_key=True)
    following: Mapped[bool]
    at: Mapped[datetime]


async def follow(session: AsyncSession, city_id: int, issue_id: UUID, person_id: UUID, *, now: datetime) -> None:
    """Have a person hear of an issue from now on.

    Raises:
        IssueNotFound: the city has no such issue, or it is private and the person has no report in it.
    """
    await _say(session, city_id, issue_id, person_id, following=True, now=now)


async def unfollow(session: AsyncSession, city_id: int, issue_id: UUID, person_id: UUID, *, now: datetime) -> None:
    """Have a person hear of an issue no more, also where they reported it themselves.

    Raises:
        IssueNotFound: as for `follow`.
    """
    await _say(session, city_id, issue_id, person_id, following=False, now=now)


async def forget_follows(session: AsyncSession, city_id: int, person_id: UUID) -> None:
    """Forget all that a person ever wished to hear, or not to hear, in a city."""
    await session.execute(delete(Follow).where(Follow.city_id == city_id, Follow.person_id == person_id))


async def _say(
    session: AsyncSession, city_id: int, issue_id: UUID, person_id: UUID, *, following: bool, now: datetime
) -> None:
    if not await _may_see(session, city_id, issue_id, person_id):
        raise IssueNotFound(issue_id)
    wish = insert(Follow).values(city_id=city_id, issue_id=issue_id, person_id=person_id, following=following, at=now)
    key = [Follow.city_id, Follow.issue_id, Follow.person_id]
    # A wish repeated is the wish as it was first said, at its time.
    changed = Follow.following != wish.excluded.following
    said = {"following": wish.excluded.following, "at": wish.excluded.at}
    await session.execute(wish.on_conflict_do_update(index_elements=key, set_=said, where=changed))


async def _may_see(session: AsyncSession, city_id: int, issue_id: UUID, person_id: UUID) -> bool:
    is_author = exists().where(Report.city_id == city_id, Report.issue_id == issue_id, Report.person_id == person_id)
    visible = select(~Issue.private | is_author).where(Issue.city_id == city_id, Issue.id == issue_id)
    return bool(await session.scalar(visible))
