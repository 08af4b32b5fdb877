"""Map tiles over HTTP, read by GDAL."""

import asyncio

import numpy as np
import pyogrio
import pytest
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from api.map_upkeep import count_cities, keep_cells
from geo.points import LonLat, distance_m
from geo.tiling import tile_at
from issues import tiles
from tests.api.served import PLATEAU, a_report, fields_of, problem_of

MONTREAL = {"jurisdiction_id": "montreal.ca"}
ISSUES = MONTREAL | {"layers": "issues"}
HERE = LonLat(PLATEAU["long"], PLATEAU["lat"])

_TO_DEGREES = Transformer.from_crs(3857, 4326, always_xy=True)


def in_degrees(metres: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack(_TO_DEGREES.transform(*metres.T))


def path(zoom, at=HERE):
    tile = tile_at(at.lon, at.lat, zoom)
    return f"/v1/tiles/{tile.z}/{tile.x}/{tile.y}.mvt"


@pytest.fixture
def read(tmp_path):
    """Read a tile: by layer, the properties of each feature and its shape in degrees."""

    def read(answer):
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/vnd.mapbox-vector-tile")
        file = tmp_path / answer.request.url.path.removeprefix("/v1/")  # where it lies is told by its name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(answer.content)
        layers = {}
        for name, _ in pyogrio.list_layers(file) if answer.content else ():
            meta, _, shapes, values = pyogrio.raw.read(file, layer=name)
            columns = {field: column for field, column in zip(meta["fields"], values, strict=True) if field != "mvt_id"}
            rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
            flat = [shapely.transform(shape, in_degrees) for shape in shapely.from_wkb(shapes)]
            layers[name] = list(zip(rows, flat, strict=True))
        return layers

    return read


@pytest.fixture
def counted(app):
    """Do the worker's part for the map."""
    return lambda: count_cities(app.state.serving.database)


async def test_up_to_zoom_14_public_issues_are_counted_in_cells(api, hire, read, counted):
    filed = [
        (await api.post("/v1/reports", json=a_report(service_code=code))).json()
        for code in ("nid-de-poule", "lampadaire", "bruit")
    ]
    assert [receipt["issue"]["status"] for receipt in filed] == ["received"] * 3
    await (await hire()).post(f"/v1/issues/{filed[0]['issue']['id']}/status", json={"status": "resolved"})
    await counted()

    for zoom in (0, 8, 14):
        [(cell, middle)] = read(await api.get(path(zoom), params=ISSUES))["issues"]
        assert cell == {"issue_count": 2, "open_count": 1}
    assert distance_m(HERE, LonLat(middle.x, middle.y)) < 40  # a cell of zoom 14 is 54 m wide here


async def test_beyond_each_public_issue_is_a_point_of_its_own(api, read):
    issue = (await api.post("/v1/reports", json=a_report(service_code="lampadaire"))).json()["issue"]
    await api.post("/v1/reports", json=a_report(service_code="bruit"))

    [(point, place)] = read(await api.get(path(15), params=ISSUES))["issues"]

    assert point == {name: issue[name] for name in ("id", "number", "service_code", "status")}
    assert distance_m(HERE, LonLat(place.x, place.y)) < 1


async def test_what_a_pack_brings_is_drawn_too(api, read):
    layers = read(await api.get(path(15), params=MONTREAL))

    assert layers.keys() == {"districts", "streets"}  # no issue was reported
    boroughs = {
        row["name_fr"] for row, shape in layers["districts"] if shape.contains(shapely.Point(HERE.lon, HERE.lat))
    }
    assert "Le Plateau-Mont-Royal" in boroughs
    assert "Rue Saint-Denis" in {row["name"] for row, _ in layers["streets"]}
    assert read(await api.get(path(11), params=MONTREAL)).keys() == {"districts"}
    assert (await api.get(path(11, LonLat(0.0, 0.0)), params=MONTREAL)).content == b""


async def test_a_tile_that_the_caller_has_is_not_sent_again(api):
    first = await api.get(path(13), params=MONTREAL)
    headers = {"If-None-Match": first.headers["etag"]}

    again = await api.get(path(13), params=MONTREAL, headers=headers)

    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert first.headers["cache-control"] == "public, max-age=1"
    packs = await api.get(path(13), params=MONTREAL | {"layers": "districts,streets"}, headers=headers)
    assert (packs.status_code, packs.headers["cache-control"]) == (304, "public, max-age=3600")
    await api.post("/v1/reports", json=a_report())
    assert (await api.get(path(16), params=MONTREAL, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("tile", "field"),
    [("23/0/0", "z"), ("-1/0/0", "z"), ("3/8/0", "x"), ("3/0/8", "y"), ("3/0/-1", "y"), ("3/0/y", "y")],
)
async def test_what_is_no_tile_is_a_problem(api, tile, field):
    refused = problem_of(await api.get(f"/v1/tiles/{tile}.mvt", params=MONTREAL), 422, "invalid-fields")

    assert fields_of(refused) == {field}


async def test_a_tile_is_of_one_city(api, counted):
    await api.post("/v1/reports", json=a_report())
    await counted()

    problem_of(await api.get(path(10)), 422, "jurisdiction-needed")
    assert (await api.get(path(10), params={"jurisdiction_id": "laval.ca", "layers": "issues"})).content == b""
    problem_of(await api.get(path(10), params=MONTREAL | {"layers": "x"}), 422, "invalid-fields")


async def test_a_worker_brings_a_report_onto_the_map(api, app):
    stop = asyncio.Event()
    worker = asyncio.create_task(keep_cells(app.state.serving.database, stop, every_s=0.01))
    before = (await api.get(path(10), params=ISSUES)).content

    await api.post("/v1/reports", json=a_report())
    async with asyncio.timeout(30):
        while (await api.get(path(10), params=ISSUES)).content == before:
            pass
    stop.set()
    await worker


async def test_beyond_too_they_are_counted_where_there_are_too_many_to_tell_apart(api, read, counted, monkeypatch):
    monkeypatch.setattr(tiles, "MOST_POINTS", 1)
    for code in ("nid-de-poule", "lampadaire"):
        await api.post("/v1/reports", json=a_report(service_code=code))
    await counted()

    for zoom in (15, 19):
        [(cell, middle)] = read(await api.get(path(zoom), params=ISSUES))["issues"]
        assert cell == {"issue_count": 2, "open_count": 2}
        assert distance_m(HERE, LonLat(middle.x, middle.y)) < 40
    assert len(read(await api.get(path(20), params=ISSUES))["issues"]) == 2
