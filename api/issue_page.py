"""What a page without scripts says of an issue that everybody may see, for those who have a letter and no app."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.cities import NamedCity
from api.words import STATUS_WORDS
from db.tenancy import enter_city
from issues.browse import find_issue
from issues.deadlines import Expected
from issues.events import EventView, list_history
from issues.issue import IssueView
from issues.languages import msgid
from issues.lifecycle import OPEN
from issues.taps import Tap

_STATUS: Final = msgid("Status of the issue: {status}")
_EXPECTED: Final = msgid("To be dealt with by {day}")
_WROTE: Final = msgid("The city wrote on {day}: {note}")
_MOST_EVENTS: Final = 1000


@dataclass(frozen=True, slots=True)
class IssuePage:
    """What is said of an issue, in its reader's language: a heading, and lines below it."""

    heading: str
    lines: list[str]


async def read_issue_page(session: AsyncSession, tap: Tap, city: NamedCity) -> IssuePage:
    """Read what everybody may know of the issue that a letter told of, and of the one that took it over.

    Raises:
        IssueNotFound: it is not for the public, or no report is about it any more.
    """
    await enter_city(session, tap.city_id)
    issue = await find_issue(session, tap.city_id, tap.subject, staff=False)
    history = await _list_events(session, tap.city_id, issue.id)
    if issue.merged_into is not None:
        history += await _list_events(session, tap.city_id, issue.merged_into)
        history.sort(key=lambda event: event.at)
    notes = [
        city.say(_WROTE, day=str(city.book.local_date(event.at)), note=event.note)
        for event in history
        if event.note is not None
    ]
    return IssuePage(f"{city.service_name(issue.service_code)} {issue.number}", [*_facts(issue, city), *notes])


async def _list_events(session: AsyncSession, city_id: int, issue_id: UUID) -> list[EventView]:
    return list((await list_history(session, city_id, issue_id, staff=False, limit=_MOST_EVENTS)).items)


def _facts(issue: IssueView, city: NamedCity) -> list[str]:
    told = [city.say(_STATUS, status=city.say(STATUS_WORDS[issue.status]))]
    if issue.address is not None:
        told.append(issue.address)
    tells_deadline = city.book.settings.expected is not Expected.HISTORY
    if tells_deadline and issue.expected_at is not None and issue.status in OPEN:
        told.append(city.say(_EXPECTED, day=str(city.book.local_date(issue.expected_at))))
    return told
