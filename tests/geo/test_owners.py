"""Whose is the nearest road or asset?"""

import pytest
import shapely

from geo.owners import ROAD, OwnedShape, OwnerMap, owners_of
from geo.points import LonLat, offset

HERE = LonLat(-73.65, 45.52)


def along(metres, *, owner, name="", kind=ROAD):
    """A road from south to north, so many metres east of the place."""
    ends = [offset(offset(HERE, east_m=metres, north_m=0.0), east_m=0.0, north_m=north) for north in (-500.0, 500.0)]
    return OwnedShape(kind, owner, name, shapely.to_wkb(shapely.LineString([(at.lon, at.lat) for at in ends])))


def owner_map(*things):
    return OwnerMap(HERE, things)


@pytest.mark.parametrize(("within_m", "owner"), [(13.0, "mtmd"), (11.9, None)])
def test_the_nearest_road_is_found_as_far_as_asked(within_m, owner):
    roads = owner_map(along(12.0, owner="mtmd", name="Autoroute 15"), along(-30.0, owner="ville"))

    found = roads.nearest(ROAD, HERE, within_m=within_m)

    assert (found and found.owner) == owner
    assert found is None or (found.name, found.metres) == ("Autoroute 15", pytest.approx(12.0, abs=0.02))


def test_of_each_owner_the_nearest_is_told_the_nearest_first():
    roads = owner_map(
        along(30.0, owner="ville", name="Rue B"), along(-12.0, owner="mtmd"), along(20.0, owner="ville", name="Rue A")
    )

    found = roads.nearest_by_owner(ROAD, HERE, within_m=50.0)

    assert [(thing.owner, thing.name) for thing in found] == [("mtmd", ""), ("ville", "Rue A")]


def test_of_two_roads_as_near_the_lower_owner_has_it():
    roads = owner_map(along(12.0, owner="ville"), along(-12.0, owner="mtmd"))

    assert roads.nearest(ROAD, HERE, within_m=50.0).owner == "mtmd"


def test_kinds_are_kept_apart():
    things = [along(3.0, owner="ville", kind="borne"), along(12.0, owner="mtmd")]

    assert owner_map(*things).nearest(ROAD, HERE, within_m=50.0).owner == "mtmd"
    assert owner_map(*things).nearest("banc", HERE, within_m=50.0) is None
    assert owners_of(things) == {"borne": {"ville"}, ROAD: {"mtmd"}}
