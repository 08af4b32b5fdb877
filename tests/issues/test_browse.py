"""Looking through issues: what is shown to whom, in which order, and from which index."""

import math
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from db.base import new_id
from geo.points import LonLat
from issues.browse import BoundingBox, InvalidBoundingBox, IssueFilter, find_issue, list_issues
from issues.issue import IssueNotFound
from issues.lifecycle import Status
from issues.pages import InvalidCursor, write_cursor
from tests.issues.people import bring, issue_now, open_issue
from tests.issues.towns import AILLEURS, ESSAI, NOON, east_of, open_town

ALL = IssueFilter()


@pytest.fixture
async def city(owner, database):
    return await open_town(owner, database)


@pytest.fixture
async def three(database, city):
    """Issues in the order in which they were opened: two potholes 500 m apart, and a private one between them."""
    places = (ESSAI.middle, east_of(ESSAI.middle, 250), east_of(ESSAI.middle, 500))
    codes = ("nid-de-poule", "bruit", "nid-de-poule")
    return [await open_issue(database, city, at=at, service_code=code) for at, code in zip(places, codes, strict=True)]


async def listed(database, city, wanted=ALL, *, staff=False, limit=100, cursor=None):
    async with database.transaction(city.id) as session:
        return await list_issues(session, city.id, wanted, staff=staff, limit=limit, cursor=cursor)


async def ids(database, city, *, staff=True, **filters) -> list[UUID]:
    return [issue.id for issue in (await listed(database, city, IssueFilter(**filters), staff=staff)).items]


async def find(database, city, issue_id, *, staff=False):
    async with database.transaction(city.id) as session:
        return await find_issue(session, city.id, issue_id, staff=staff)


async def merge(owner, issue, survivor):
    async with owner.transaction() as session:
        await session.execute(
            text("UPDATE issue SET merged_into = :survivor WHERE id = :id"), {"survivor": survivor.id, "id": issue.id}
        )


async def move(owner, issue, at: LonLat):
    async with owner.transaction() as session:
        await session.execute(
            text("UPDATE issue SET place = ST_Point(:lon, :lat, 4326)::geography WHERE id = :id"),
            {"lon": at.lon, "lat": at.lat, "id": issue.id},
        )


async def test_the_issue_opened_last_comes_first(database, city, three):
    assert await ids(database, city) == [issue.id for issue in reversed(three)]


async def test_an_issue_is_listed_as_it_stands(database, city, three):
    first = (await listed(database, city)).items[-1]

    assert first == three[0]
    assert (first.at, first.districts) == (ESSAI.middle, ("arrondissements:est", "quartiers:centre"))


async def test_the_public_sees_neither_private_nor_merged_issues_and_staff_see_both(owner, database, city, three):
    await merge(owner, three[0], three[2])

    assert await ids(database, city, staff=False) == [three[2].id]
    assert len(await ids(database, city, staff=True)) == 3


def around(at: LonLat, *, east=0.001, west=0.001, north=0.001, south=0.001) -> BoundingBox:
    return BoundingBox(at.lon - west, at.lat - south, at.lon + east, at.lat + north)


async def test_a_box_holds_what_is_in_it(database, city, three):
    assert await ids(database, city, bbox=around(three[0].at)) == [three[0].id]
    assert await ids(database, city, bbox=around(three[0].at, east=0.01)) == [issue.id for issue in reversed(three)]
    assert await ids(database, city, bbox=around(LonLat(10, 10))) == []


@pytest.mark.parametrize("edge", ["east", "west", "north", "south"])
async def test_the_edges_of_a_box_are_exact_and_in_it(database, city, three, edge):
    at = three[0].at
    assert await ids(database, city, bbox=around(at, **{edge: 0.0})) == [three[0].id]
    # A ten-millionth of a degree is finer than the single precision in which the index keeps boxes.
    assert await ids(database, city, bbox=around(at, **{edge: -1e-7})) == []


async def test_a_box_may_cross_the_antimeridian(owner, database, city, three):
    await move(owner, three[0], LonLat(179.99, -17.0))
    await move(owner, three[1], LonLat(-179.99, -17.0))
    await move(owner, three[2], LonLat(0.0, -17.0))

    assert set(await ids(database, city, bbox=BoundingBox(179.9, -18, -179.9, -16))) == {three[0].id, three[1].id}
    assert await ids(database, city, bbox=BoundingBox(-179.9, -18, 179.9, -16)) == [three[2].id]


@pytest.mark.parametrize(
    ("edges", "wrong"),
    [
        ((-181, 45, -73, 46), "west"),
        ((-74, 45, math.inf, 46), "east"),
        ((-74, math.nan, -73, 46), "south"),
        ((-74, 45, -73, 91), "north"),
        ((-74, 46, -73, 45), "south"),
    ],
)
def test_a_box_on_no_map_is_refused_by_its_edge(edges, wrong):
    with pytest.raises(InvalidBoundingBox) as refused:
        BoundingBox(*edges)

    assert refused.value.edge == wrong


async def test_filters_narrow_and_their_values_widen(database, city, three):
    pothole, noise, other = three
    await bring(database, other, "acknowledged")

    assert await ids(database, city, statuses=(Status.ACKNOWLEDGED,)) == [other.id]
    assert await ids(database, city, statuses=(Status.ACKNOWLEDGED, Status.RECEIVED)) == [
        other.id,
        noise.id,
        pothole.id,
    ]
    assert await ids(database, city, service_codes=("bruit",)) == [noise.id]
    assert await ids(database, city, service_codes=("bruit",), statuses=(Status.RESOLVED,)) == []
    assert await ids(database, city, service_codes=("no-such",)) == []


async def test_a_district_of_any_layer_can_be_asked_for(database, city, three):
    west = await open_issue(database, city, at=LonLat(ESSAI.west + 0.001, ESSAI.middle.lat))

    assert await ids(database, city, districts=("arrondissements:ouest",)) == [west.id]
    assert len(await ids(database, city, districts=("quartiers:centre",))) == 3
    assert len(await ids(database, city, districts=("quartiers:centre", "arrondissements:ouest"))) == 4
    assert await ids(database, city, districts=("arrondissements:centre",)) == []


async def test_what_changed_since_a_time_can_be_asked_for(database, city, three):
    later = NOON + timedelta(hours=1)
    await bring(database, three[0], "acknowledged", now=later)

    assert await ids(database, city, updated_after=NOON) == [three[0].id]
    assert await ids(database, city, updated_after=later) == []


async def test_pages_show_each_issue_once_while_others_are_opened_and_change(database, city, three):
    first = await listed(database, city, staff=True, limit=1)
    await open_issue(database, city, service_code="trottoir")
    await bring(database, three[0], "acknowledged", now=NOON + timedelta(hours=1))

    second = await listed(database, city, staff=True, limit=1, cursor=first.next_cursor)
    third = await listed(database, city, staff=True, limit=1, cursor=second.next_cursor)

    shown = [page.items[0].id for page in (first, second, third)]
    assert shown == [issue.id for issue in reversed(three)]
    assert third.next_cursor is None


@pytest.mark.parametrize("cursor", ["made up", write_cursor("history", 1), write_cursor("issues", "x")])
async def test_a_made_up_cursor_is_refused(database, city, cursor):
    with pytest.raises(InvalidCursor):
        await listed(database, city, cursor=cursor)


async def test_one_issue_is_found_by_the_public_unless_it_is_private(database, city, three):
    assert await find(database, city, three[0].id) == three[0]
    with pytest.raises(IssueNotFound):
        await find(database, city, three[1].id)
    assert await find(database, city, three[1].id, staff=True) == three[1]
    with pytest.raises(IssueNotFound):
        await find(database, city, new_id(), staff=True)


async def test_a_merged_issue_answers_with_its_own_id_and_the_last_survivors_status(owner, database, city, three):
    first, _, survivor = three
    middle = await open_issue(database, city, service_code="trottoir")
    await bring(database, survivor, "acknowledged")
    await merge(owner, first, middle)
    await merge(owner, middle, survivor)

    found = await find(database, city, first.id)

    assert (found.id, found.number) == (first.id, first.number)
    assert (found.status, found.merged_into) == (Status.ACKNOWLEDGED, survivor.id)


async def test_what_was_merged_into_a_private_issue_is_private(owner, database, city, three):
    await merge(owner, three[0], three[1])

    with pytest.raises(IssueNotFound) as refused:
        await find(database, city, three[0].id)

    assert refused.value.issue_id == three[0].id


async def test_issues_of_another_city_are_neither_listed_nor_found(owner, database, city, three):
    elsewhere = await open_town(owner, database, AILLEURS)

    assert await ids(database, elsewhere) == []
    with pytest.raises(IssueNotFound):
        await find(database, elsewhere, three[0].id, staff=True)
    assert await issue_now(database, three[0]) == three[0]
