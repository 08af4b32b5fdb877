"""The small map around a place."""

import xml.etree.ElementTree as ET

import pytest

from geo.minimap import write_minimap
from tests.api.served import PLATEAU, WESTMOUNT, problem_of

SVG = "{http://www.w3.org/2000/svg}"
# The edge of the Plateau, where rue Sherbrooke is not far.
EDGE = {"lat": 45.5187, "long": -73.5680}


async def drawn(api, place):
    answer = await api.get("/v1/minimap.svg", params=place)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    return ET.fromstring(answer.content)


async def test_a_place_is_drawn_with_its_streets_and_a_pin_in_the_middle(api):
    picture = await drawn(api, PLATEAU)

    assert (picture.get("width"), picture.get("height"), picture.get("viewBox")) == ("480", "320", "-240 -160 480 320")
    assert picture.findtext(f"{SVG}title")
    paths = picture.findall(f"{SVG}g/{SVG}path")
    assert len(paths) > 1
    assert picture.find(f"{SVG}path").get("d").startswith("M0 0")
    assert {element.tag for element in picture.iter()} == {
        f"{SVG}{tag}" for tag in ("svg", "title", "rect", "g", "path", "circle")
    }


async def test_the_edge_of_the_district_is_drawn_where_it_is_near(api):
    def dashed(picture):
        return [path for path in picture.iter(f"{SVG}path") if path.get("stroke-dasharray")]

    assert dashed(await drawn(api, EDGE))
    assert not dashed(await drawn(api, PLATEAU))


async def test_the_map_is_kept_by_callers_and_runs_nothing(api):
    first = await api.get("/v1/minimap.svg", params=PLATEAU)

    again = await api.get("/v1/minimap.svg", params=PLATEAU, headers={"If-None-Match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["cache-control"] == "public, max-age=86400"
    assert first.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert len(first.content) < 30_000


@pytest.mark.parametrize(
    ("place", "slug"),
    [(WESTMOUNT, "outside-service-area"), ({"lat": 91, "long": 0}, "invalid-fields"), ({}, "invalid-fields")],
)
async def test_where_there_is_no_map_a_problem_says_why(api, place, slug):
    problem_of(await api.get("/v1/minimap.svg", params=place), 422, slug)


def test_words_stay_words():
    picture = ET.fromstring(write_minimap([("street", "primary", "M0 0")], title='<script>&"'))

    assert picture.findtext(f"{SVG}title") == '<script>&"'
