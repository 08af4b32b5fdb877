"""Events: an issue's history, and a city's feed in which nothing is skipped."""

from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from db.base import new_id
from issues.events import NewEvent, append_event, list_feed, list_history
from issues.issue import IssueNotFound
from issues.pages import InvalidCursor, write_cursor
from tests.issues.people import AGENT, CREW, bring, change, open_issue, others_ended, plan
from tests.issues.towns import AILLEURS, ESSAI, NOON, east_of, file, open_town, submission


@pytest.fixture
async def city(owner, database):
    return await open_town(owner, database)


@pytest.fixture
async def issue(database, city):
    return await open_issue(database, city)


async def history(database, issue, *, staff, limit=100, cursor=None):
    async with database.transaction(issue.city_id) as session:
        return await list_history(session, issue.city_id, issue.id, staff=staff, limit=limit, cursor=cursor)


async def feed(database, city_id, *, limit=100, cursor=None, staff=True, settled=True):
    if settled:
        await others_ended(database)
    async with database.transaction(city_id) as session:
        return await list_feed(session, city_id, staff=staff, limit=limit, cursor=cursor)


def an_event(issue, **changes):
    values = {"kind": "issue.note", "actor": "system", "at": NOON, "public": True, "data": {}}
    return NewEvent(issue.id, **{**values, **changes})


async def test_the_public_sees_what_happened_but_not_by_whom_nor_internal_things(database, city, issue):
    await file(database, city, submission(east_of(ESSAI.middle, 3)))
    order = await plan(database, issue)
    await change(database, order, status="in_progress")

    seen = (await history(database, issue, staff=False)).items

    assert [(event.kind, event.actor, dict(event.data), event.cause) for event in seen] == [
        ("report.opened", "resident", {}, None),
        ("report.joined", "resident", {}, None),
        ("issue.status", "staff", {"from": "received", "to": "scheduled"}, None),
        ("issue.status", "staff", {"from": "scheduled", "to": "in_progress"}, None),
    ]


async def test_staff_see_who_and_why(database, issue):
    order = await plan(database, issue)
    await change(database, order, status="in_progress")

    seen = (await history(database, issue, staff=True)).items

    assert [(event.kind, event.actor, event.cause) for event in seen[1:]] == [
        ("order.planned", AGENT.sender, order.id),
        ("issue.status", AGENT.sender, order.id),
        ("issue.status", CREW.sender, order.id),
    ]
    assert seen[1].data == {"crew": "equipe-1", "planned_on": "2026-11-24"}


async def test_the_history_of_a_private_issue_is_for_staff(database, city):
    private = await open_issue(database, city, service_code="bruit")

    with pytest.raises(IssueNotFound):
        await history(database, private, staff=False)
    assert len((await history(database, private, staff=True)).items) == 1


async def test_an_unknown_issue_has_no_history(database, city, issue):
    with pytest.raises(IssueNotFound):
        await history(database, replace(issue, id=new_id()), staff=True)


async def test_pages_of_a_history_follow_each_other_while_it_grows(database, issue):
    await bring(database, issue, "acknowledged")
    first = await history(database, issue, staff=True, limit=1)
    await bring(database, issue, "declined")

    second = await history(database, issue, staff=True, limit=1, cursor=first.next_cursor)
    third = await history(database, issue, staff=True, limit=1, cursor=second.next_cursor)

    data = [page.items[0].data.get("to") for page in (first, second, third)]
    assert data == [None, "acknowledged", "declined"]
    assert third.next_cursor is None


@pytest.mark.parametrize("cursor", ["made up", write_cursor("feed", 1, 2), write_cursor("history", "x")])
async def test_a_made_up_cursor_is_refused(database, issue, cursor):
    with pytest.raises(InvalidCursor):
        await history(database, issue, staff=True, cursor=cursor)


async def test_an_event_id_is_used_once(database, issue):
    event = an_event(issue, id=new_id())
    async with database.transaction(issue.city_id) as session:
        assert await append_event(session, issue.city_id, event)
        assert not await append_event(session, issue.city_id, event)


async def test_a_note_can_be_erased_and_its_event_stays(owner, database, issue):
    await bring(database, issue, "acknowledged", note="Appeler M. Tremblay")
    async with database.transaction(issue.city_id) as session:
        await session.execute(text("DELETE FROM event_note"))

    event = (await history(database, issue, staff=True)).items[-1]
    assert (event.kind, event.note) == ("issue.status", None)
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with database.transaction(issue.city_id) as session:
            await session.execute(text("DELETE FROM event"))


async def test_a_feed_goes_on_where_it_ended(database, issue):
    first = await feed(database, issue.city_id)
    await bring(database, issue, "acknowledged")

    second = await feed(database, issue.city_id, cursor=first.next_cursor)
    third = await feed(database, issue.city_id, cursor=second.next_cursor)

    assert [event.kind for event in first.items] == ["report.opened"]
    assert [event.kind for event in second.items] == ["issue.status"]
    assert third.items == ()
    assert third.next_cursor == second.next_cursor


async def test_a_feed_never_skips_what_commits_late(database, city, issue):
    """The transaction that began first commits last: a feed by number alone would have gone past its event."""
    other = await open_issue(database, city, service_code="trottoir")
    start = (await feed(database, issue.city_id)).next_cursor
    async with database.transaction(issue.city_id) as late:
        await append_event(late, issue.city_id, an_event(issue, kind="late"))
        async with database.transaction(issue.city_id) as early:
            await append_event(early, issue.city_id, an_event(other, kind="early"))

        meanwhile = await feed(database, issue.city_id, cursor=start, settled=False)
    after = await feed(database, issue.city_id, cursor=meanwhile.next_cursor)

    assert meanwhile.items == ()
    assert [event.kind for event in (*meanwhile.items, *after.items)] == ["late", "early"]


async def test_a_feed_pages_through_everything_once(database, issue):
    for status in ("acknowledged", "scheduled", "in_progress", "resolved"):
        await bring(database, issue, status)
    seen, cursor = [], None
    while (page := await feed(database, issue.city_id, limit=2, cursor=cursor)).items:
        seen += [event.id for event in page.items]
        cursor = page.next_cursor

    assert len(seen) == len(set(seen)) == 5


async def test_a_feed_is_one_citys(owner, database, issue):
    elsewhere = await open_town(owner, database, AILLEURS)

    assert (await feed(database, elsewhere.id)).items == ()
