"""A city's open data by OGC API - Features and Tiles, as its documents and as GDAL reads them."""

import asyncio
import json
import sys
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from tests.api.served import PLATEAU, a_report, fields_of, on_a_port, problem_of

ROOT = "/v1/ogc/montreal.ca"
ITEMS = f"{ROOT}/collections/issues/items"


def hrefs(document):
    return {link["rel"]: link["href"] for link in document["links"]}


async def follow(api, href):
    """Go where a link leads; links name the host that was called."""
    parts = urlsplit(href)
    return await api.get(f"{parts.path}?{parts.query}" if parts.query else parts.path)


@pytest.fixture
def three(api):
    """Three public issues, oldest first, and a private one."""

    async def three():
        codes = ("nid-de-poule", "lampadaire", "bruit", "graffiti")
        filed = [(await api.post("/v1/reports", json=a_report(service_code=code))).json() for code in codes]
        return [receipt["issue"]["id"] for receipt in filed if receipt["issue"]["service_code"] != "bruit"]

    return three


async def test_the_first_page_leads_to_everything(api):
    landing = (await api.get(ROOT, headers={"Accept-Language": "fr"})).json()

    assert landing["title"] == "Montréal"
    links = hrefs(landing)
    conformance = (await follow(api, links["conformance"])).json()
    assert "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core" in conformance["conformsTo"]
    assert (await follow(api, links["service-desc"])).status_code == 200
    collections = (await follow(api, links["data"])).json()["collections"]
    assert [each["id"] for each in collections] == ["issues", "districts", "streets"]
    for each in collections:
        assert (await follow(api, hrefs(each)["self"])).json() == each
        west, south, east, north = each["extent"]["spatial"]["bbox"][0]
        assert west < PLATEAU["long"] < east
        assert south < PLATEAU["lat"] < north
        page = await follow(api, f"{hrefs(each)['items']}?limit=2")
        assert page.headers["content-type"] == "application/geo+json"
        assert page.json()["type"] == "FeatureCollection"


async def test_pages_lead_to_each_other_and_to_each_feature(api, three):
    issues = await three()

    page = (await api.get(ITEMS, params={"limit": 2})).json()
    last = (await follow(api, hrefs(page)["next"])).json()

    assert [feature["id"] for feature in page["features"] + last["features"]] == issues
    assert (page["numberReturned"], last["numberReturned"], "next" in hrefs(last)) == (2, 1, False)
    feature = (await api.get(f"{ITEMS}/{issues[0]}")).json()
    assert hrefs(feature).keys() == {"self", "collection"}
    assert {key: feature[key] for key in page["features"][0]} == page["features"][0]
    assert feature["geometry"] == {"type": "Point", "coordinates": [PLATEAU["long"], PLATEAU["lat"]]}
    assert feature["properties"]["service_name_fr"] == "Nid-de-poule"


async def test_features_are_found_by_box_and_time(api, three):
    issues = await three()
    first = (await api.get(f"{ITEMS}/{issues[0]}")).json()["properties"]["requested_datetime"]

    async def found(**wanted):
        answer = await api.get(ITEMS, params=wanted)
        return [feature["id"] for feature in answer.json()["features"]]

    assert await found(bbox="-73.59,45.52,-73.57,45.53") == issues
    assert await found(bbox="-73.57,45.52,-73.56,45.53") == []
    assert await found(datetime=first) == issues[:1]
    assert await found(datetime=f"{first}/..") == issues
    assert await found(datetime="../2020-01-01T00:00:00Z") == []
    assert await found(limit=100_000) == issues


async def test_a_day_is_the_citys_own_from_its_first_moment_to_its_last(api, owner):
    filed = (await api.post("/v1/reports", json=a_report())).json()["issue"]["id"]
    late = datetime(2026, 11, 24, 4, 59, 59, tzinfo=UTC)  # a second before midnight in Montréal
    async with owner.transaction() as session:
        await session.execute(text("UPDATE issue SET opened_at = :late"), {"late": late})

    async def found(during):
        page = (await api.get(ITEMS, params={"datetime": during})).json()
        return [feature["id"] for feature in page["features"]] == [filed]

    days = ["2026-11-23", "2026-11-24", "2026-11-20/2026-11-23", "2026-11-23/..", "../2026-11-22"]
    assert [await found(day) for day in days] == [True, False, True, True, False]


@pytest.mark.parametrize("path", ["", "/conformance", "/collections", "/collections/issues/items", "/tiles"])
async def test_a_client_may_name_the_form_that_all_have(api, path):
    assert (await api.get(f"{ROOT}{path}", params={"f": "json"})).status_code == 200
    assert fields_of(problem_of(await api.get(f"{ROOT}{path}", params={"f": "html"}), 400, "invalid-fields")) == {"f"}


async def test_whom_the_data_are_from_and_under_which_licence_is_told(api):
    landing = (await api.get(ROOT)).json()
    issues, districts, _ = (await api.get(f"{ROOT}/collections")).json()["collections"]

    def licences(document):
        return [link["href"] for link in document["links"] if link["rel"] == "license"]

    odbl, cc_by = "https://opendatacommons.org/licenses/odbl/1-0/", "https://creativecommons.org/licenses/by/4.0/"
    assert (licences(issues), licences(districts)) == ([odbl], [cc_by])
    assert licences(landing) == [odbl, cc_by]
    assert issues["attribution"] == "OpenStreetMap contributors, ODbL 1.0"
    assert "Ville de Montréal" in districts["attribution"]
    assert issues["attribution"] in landing["attribution"]


@pytest.mark.parametrize(
    ("path", "status", "slug", "field"),
    [
        (f"{ITEMS}?datetime=2026-02-30", 400, "invalid-fields", "datetime"),
        (f"{ITEMS}?datetime=0001-01-01", 400, "invalid-fields", "datetime"),
        (f"{ITEMS}?datetime=hier", 400, "invalid-fields", "datetime"),
        (f"{ITEMS}?datetime=2026-01-02T00:00:00Z/2026-01-01T00:00:00Z", 400, "invalid-fields", "datetime"),
        (f"{ITEMS}?datetime=../..", 400, "invalid-fields", "datetime"),
        (f"{ITEMS}?bbox=1,2,3", 400, "invalid-fields", "bbox"),
        (f"{ITEMS}?limit=0", 400, "invalid-fields", "limit"),
        (f"{ITEMS}?bboxx=1", 400, "invalid-fields", "bboxx"),
        (f"{ITEMS}/1", 404, "feature-not-found", None),
        (f"{ROOT}/collections/reports", 404, "collection-not-found", None),
        (f"{ROOT}/collections/reports/items", 404, "collection-not-found", None),
        ("/v1/ogc/nulle-part.ca", 404, "jurisdiction-unknown", "jurisdiction_id"),
    ],
)
async def test_what_is_not_there_is_a_problem(api, path, status, slug, field):
    assert fields_of(problem_of(await api.get(path), status, slug)) == ({field} if field else set())


async def test_a_private_issue_is_no_feature(api):
    issue = (await api.post("/v1/reports", json=a_report(service_code="bruit"))).json()["issue"]

    problem_of(await api.get(f"{ITEMS}/{issue['id']}"), 404, "feature-not-found")


async def test_the_tiles_are_where_their_set_says(api):
    landing = (await api.get(ROOT)).json()

    tilesets = (await follow(api, hrefs(landing)["http://www.opengis.net/def/rel/ogc/1.0/tilesets-vector"])).json()
    [tileset] = tilesets["tilesets"]
    assert (await follow(api, hrefs(tileset)["self"])).json() == tileset
    tile = hrefs(tileset)["item"].format(tileMatrix=11, tileCol=605, tileRow=732)
    assert (await follow(api, tile)).headers["content-type"] == "application/vnd.mapbox-vector-tile"


# In a process of its own: GDAL waits for answers without letting this one's other threads give them.
READ = """
import json, sys
import pyogrio, shapely

source, west, south, east, north = sys.argv[1:]
box = tuple(map(float, (west, south, east, north)))
meta, _, shapes, columns = pyogrio.raw.read(source, layer="issues", PAGE_SIZE="2")
read = {
    "layers": sorted(name for name, _ in pyogrio.list_layers(source)),
    "issues": dict(zip(meta["fields"], ([str(value) for value in column] for column in columns))),
    "places": shapely.get_coordinates(shapely.from_wkb(shapes)).tolist(),
    "streets": len(pyogrio.raw.read(source, layer="streets", bbox=box, PAGE_SIZE="10")[2]),
}
print(json.dumps(read))
"""


async def test_gdal_reads_all_of_it(api, app, three):
    """What QGIS reads with, as a client on the network of this machine."""
    await three()
    box = ("-73.583", "45.522", "-73.580", "45.524")
    on_a_screen = await api.get(f"{ROOT}/collections/streets/items", params={"bbox": ",".join(box), "limit": 1000})

    with on_a_port(app) as address:
        gdal = await asyncio.create_subprocess_exec(
            sys.executable, "-c", READ, f"OAPIF:{address}{ROOT}", *box, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await gdal.communicate()

    read = json.loads(said)
    assert read["layers"] == ["districts", "issues", "streets"]
    assert read["issues"]["service_code"] == ["nid-de-poule", "lampadaire", "graffiti"]
    assert read["issues"]["requested_datetime"][0].startswith("20")
    assert read["places"] == [[PLATEAU["long"], PLATEAU["lat"]]] * 3
    assert read["streets"] == on_a_screen.json()["numberReturned"] > 10
