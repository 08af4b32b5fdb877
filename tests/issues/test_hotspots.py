"""Hot spots: open issues of a service that lie close together, in metres wherever the city is."""

from datetime import timedelta

import pytest

from geo.points import distance_m, offset
from issues.browse import BoundingBox
from issues.hotspots import find_hotspots
from tests.issues.people import bring
from tests.issues.towns import ESSAI, NOON, Town, east_of, file, open_town, submission

HERE = ESSAI.middle
ELSEWHERE = offset(HERE, east_m=500.0, north_m=0.0)
# Four times as far north and on the other side of the world: a degree of longitude is half as long there.
NORTHERN = Town("nordique.ca", 24.90, south=60.10)


async def spots(database, city, *, reach_m=50.0, least=3, limit=50, **more):
    async with database.transaction(city.id) as session:
        return await find_hotspots(session, city, reach_m=reach_m, least=least, limit=limit, **more)


async def row(database, city, start, metres, *, count=3, service="graffiti"):
    """Issues in a row to the east, so many metres apart."""
    return [
        (await file(database, city, submission(east_of(start, metres * n), service_code=service))).issue
        for n in range(count)
    ]


async def test_a_spot_has_its_middle_radius_and_counts(database, city):
    issues = await row(database, city, HERE, 40.0)
    await file(database, city, submission(HERE, issue_id=issues[0].id, service_code="graffiti"), now=NOON)
    last = NOON + timedelta(hours=2)
    await file(database, city, submission(HERE, issue_id=issues[0].id, service_code="graffiti"), now=last)

    (spot,) = await spots(database, city)

    assert (spot.service_code, spot.id) == ("graffiti", min(issue.id for issue in issues))
    assert (spot.issue_count, spot.report_count, spot.first_at, spot.last_at) == (3, 5, NOON, last)
    assert distance_m(spot.at, east_of(HERE, 40.0)) < 0.5
    assert spot.radius_m == pytest.approx(40.0, abs=0.1)


async def test_each_service_has_its_own_spots_the_largest_first(database, city):
    await row(database, city, HERE, 40.0)
    await row(database, city, HERE, 40.0, count=4, service="bruit")
    await row(database, city, ELSEWHERE, 40.0, count=2)

    assert [(spot.service_code, spot.issue_count) for spot in await spots(database, city)] == [
        ("bruit", 4),
        ("graffiti", 3),
    ]
    assert [spot.issue_count for spot in await spots(database, city, least=2, service_codes=["graffiti"])] == [3, 2]
    assert len(await spots(database, city, limit=1)) == 1


async def test_private_issues_count_and_those_no_longer_open_do_not(database, city):
    await row(database, city, HERE, 40.0, service="bruit")
    (first, *_) = await row(database, city, HERE, 40.0)
    await bring(database, first, "resolved")

    assert [spot.service_code for spot in await spots(database, city)] == ["bruit"]


async def test_only_what_lies_in_the_box_is_clustered(database, city):
    await row(database, city, HERE, 40.0)
    await row(database, city, ELSEWHERE, 40.0)
    box = BoundingBox(HERE.lon - 0.001, HERE.lat - 0.001, HERE.lon + 0.003, HERE.lat + 0.001)
    round_the_world = BoundingBox(HERE.lon + 0.003, HERE.lat - 0.001, HERE.lon - 0.001, HERE.lat + 0.001)

    (inside,) = await spots(database, city, bbox=box)
    (outside,) = await spots(database, city, bbox=round_the_world)

    assert distance_m(inside.at, HERE) < 100.0 < distance_m(outside.at, HERE)


@pytest.mark.parametrize("town", [ESSAI, NORTHERN], ids=["45 degrees north", "60 degrees north"])
@pytest.mark.parametrize("north", [True, False], ids=["northwards", "eastwards"])
async def test_reach_is_in_metres_wherever_the_city_is_and_in_every_direction(owner, database, town, north):
    city = await open_town(owner, database, town)
    for n in range(3):
        metres = 49.0 * n
        at = offset(town.middle, east_m=0.0 if north else metres, north_m=metres if north else 0.0)
        await file(database, city, submission(at, service_code="graffiti"))

    assert len(await spots(database, city, reach_m=49.5)) == 1
    assert await spots(database, city, reach_m=48.5) == []
