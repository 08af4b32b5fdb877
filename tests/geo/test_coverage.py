"""Seams between districts: narrow gaps are closed, wide ones and overlaps are left and named."""

from __future__ import annotations

import pytest
import shapely

from geo.coverage import area_m2, close_gaps, find_overlaps, merge
from geo.points import LonLat, distance_m


def at_montreal(shape, scale=0.01):
    return shapely.transform(shape, lambda xy: xy * scale + (-73.6, 45.5))


def two_with_a_lens(width):
    """Two districts that meet but for a lens as wide as a share of a side."""
    west = at_montreal(shapely.Polygon([(0, 0), (1, 0), (1, 0.2), (1 - width, 0.5), (1, 0.8), (1, 1), (0, 1)]))
    east = at_montreal(shapely.Polygon([(1, 0), (2, 0), (2, 2), (1, 1), (1, 0.8), (1, 0.2)]))
    return [west, east]


def test_a_narrow_gap_goes_to_a_district_beside_it():
    polygons = two_with_a_lens(0.005)

    sewn = close_gaps(polygons, width_m=10.0)

    gap_m2 = area_m2(merge(sewn.polygons)) - area_m2(merge(polygons))
    assert [area_m2(gap) for gap in sewn.closed] == [pytest.approx(gap_m2)]
    assert gap_m2 > 100.0
    assert all(shapely.is_valid(polygon) for polygon in sewn.polygons)


def test_a_gap_between_districts_that_meet_only_in_points_is_closed_too():
    west = at_montreal(shapely.Polygon([(0, 0), (1, 0), (0.995, 0.5), (1, 1), (0, 1)]))
    east = at_montreal(shapely.Polygon([(1, 0), (2, 0), (2, 1), (1, 1)]))

    sewn = close_gaps([west, east], width_m=10.0)

    assert len(sewn.closed) == 1
    assert area_m2(merge(sewn.polygons)) == pytest.approx(area_m2(at_montreal(shapely.box(0, 0, 2, 1))))


def test_a_wide_gap_is_left():
    polygons = two_with_a_lens(0.05)

    sewn = close_gaps(polygons, width_m=10.0)

    assert (len(sewn.closed), len(sewn.left)) == (0, 1)
    assert area_m2(merge(sewn.polygons)) == pytest.approx(area_m2(merge(polygons)))


def test_a_gap_towards_a_neighbouring_city_is_closed_on_our_side_only():
    ours, theirs = two_with_a_lens(0.005)

    sewn = close_gaps([ours], around=[theirs], width_m=10.0)

    assert len(sewn.polygons) == 1
    assert area_m2(sewn.polygons[0]) == pytest.approx(area_m2(ours) + area_m2(sewn.closed[0]))


def test_nothing_changes_where_districts_meet():
    sewn = close_gaps(two_with_a_lens(0.0), width_m=10.0)

    assert (sewn.closed, sewn.left) == ([], [])
    assert [area_m2(polygon) for polygon in sewn.polygons] == [pytest.approx(area_m2(p)) for p in two_with_a_lens(0.0)]


def test_overlaps_are_named_once_with_their_area():
    one, other = at_montreal(shapely.box(0, 0, 1, 1)), at_montreal(shapely.box(0.9, 0, 2, 1))

    (overlap,) = find_overlaps([one, other], at_least_m2=1_000.0)

    assert (overlap.first, overlap.second) == (0, 1)
    assert overlap.area_m2 == pytest.approx(area_m2(one) / 10.0, rel=1e-3)


def test_districts_that_only_touch_do_not_overlap():
    assert (
        find_overlaps([at_montreal(shapely.box(0, 0, 1, 1)), at_montreal(shapely.box(1, 0, 2, 1))], at_least_m2=0.1)
        == []
    )


def test_areas_are_geodesic():
    box = shapely.box(-73.60, 45.50, -73.59, 45.51)
    width_m = distance_m(LonLat(-73.60, 45.505), LonLat(-73.59, 45.505))
    height_m = distance_m(LonLat(-73.60, 45.50), LonLat(-73.60, 45.51))

    assert area_m2(box) == pytest.approx(width_m * height_m, rel=1e-5)
    assert area_m2(shapely.Polygon()) == 0.0
