"""What a position says of a report: its districts, and whose it is."""

from datetime import UTC, datetime, timedelta

import pytest
import shapely
from psycopg.types.json import Jsonb

from db.connections import driver_connection
from geo.owners import ROAD
from issues.city import load_cities
from issues.placing import place_report
from issues.routing import Beside, Day, Hours, RouteRule, Season
from issues.rule_rows import write_conditions
from tests.issues.towns import ESSAI, NOON, east_of, open_town

HERE = ESSAI.middle
MINISTRY = RouteRule(None, None, None, None, "voirie", None, beside=Beside(ROAD, frozenset({"mtmd"}), 20.0))
NIGHT = RouteRule(None, None, None, None, "voirie", None, hours=Hours(frozenset({Day.MONDAY}), 18 * 60, 6 * 60))
WINTER = RouteRule(None, None, None, None, "voirie", None, season=Season((12, 1), (3, 31)))


def utc(year, month, day, hour):
    return datetime(year, month, day, hour, tzinfo=UTC)


async def ruled(owner, database, rule):
    """The town with a provincial road 12 m to the east of a place, a city's street 30 m to its west, and a rule."""
    city = await open_town(owner, database)
    async with owner.transaction() as session:
        connection = await driver_connection(session)
        for number, (metres, owned_by) in enumerate([(12.0, "mtmd"), (-30.0, "ville")]):
            at = east_of(HERE, metres)
            line = shapely.LineString([(at.lon, at.lat - 0.01), (at.lon, at.lat + 0.01)])
            await connection.execute(
                "INSERT INTO owned_thing VALUES (%s, %s, '', %s, '', ST_GeomFromText(%s, 4326))",
                (city.id, number, owned_by, shapely.to_wkt(line)),
            )
        await connection.execute(
            "INSERT INTO route VALUES (%s, 0, NULL, NULL, NULL, NULL, %s, NULL, %s)",
            (city.id, rule.department_code, Jsonb(write_conditions(rule))),
        )
    async with database.transaction() as session:
        book = (await load_cities(session)).by_id(city.id)
    assert book is not None
    return book


# Metres to the east and accuracy; whose the work is, and whether that may be wrong.
ACROSS = {
    (0.0, 5.0): ("voirie", False),
    (0.0, 9.0): ("voirie", True),  # 9 m to the west, the street is as near
    (0.0, 8.5): ("voirie", True),  # ... nor is the ministry's road within 20 m any more
    (-7.9, 0.05): ("voirie", False),
    (-9.1, 0.0): ("voirie-est", False),
    (-9.1, 1.0): ("voirie-est", False),
    (-9.1, 1.2): ("voirie-est", True),
    (-29.0, 5.0): ("voirie-est", False),
    (33.0, 0.5): ("voirie-est", False),  # farther than 20 m from any road
    (33.0, 2.0): ("voirie-est", True),
}


async def test_the_owner_of_the_nearest_road_has_the_work(owner, database):
    city = await ruled(owner, database, MINISTRY)

    said = {}
    for metres_east, accuracy_m in ACROSS:
        at = east_of(HERE, metres_east)
        placed = place_report("nid-de-poule", at, accuracy_m=accuracy_m, city=city, received_at=NOON)
        said[metres_east, accuracy_m] = placed.rule.department_code, placed.near_boundary

    assert said == ACROSS


@pytest.mark.parametrize(
    ("rule", "before", "begins", "ends"),
    [
        # Six in the evening of that Monday in Québec, to six in the morning.
        (NIGHT, NOON, NOON + timedelta(hours=6), NOON + timedelta(hours=18)),
        (WINTER, utc(2026, 12, 1, 4), utc(2026, 12, 1, 5), utc(2027, 4, 1, 4)),
    ],
)
async def test_hours_and_seasons_are_those_of_the_citys_clock(owner, database, rule, before, begins, ends):
    city = await ruled(owner, database, rule)

    def department_at(when):
        return place_report("nid-de-poule", HERE, accuracy_m=5.0, city=city, received_at=when).rule.department_code

    assert (department_at(before), department_at(begins), department_at(ends)) == ("voirie-est", "voirie", "voirie-est")
    assert department_at(ends - timedelta(seconds=1)) == "voirie"
