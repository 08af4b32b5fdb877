"""A city's base map, read in ranges as PMTiles clients do."""

import hashlib

import pytest
from sqlalchemy import text

from tests.api.served import fields_of, problem_of

PATH = "/v1/basemap/montreal.ca.pmtiles"
CONTENT = bytes(range(256)) * 3000  # more than is read at once
ETAG = f'"{hashlib.sha256(CONTENT).hexdigest()[:32]}"'


@pytest.fixture
async def drawn(owner, cities):
    """Keep some bytes as Montréal's base map."""
    city_id = cities.by_jurisdiction("montreal.ca").id
    async with owner.transaction() as session:
        values = {"city": city_id, "sha256": hashlib.sha256(CONTENT).hexdigest(), "content": CONTENT}
        await session.execute(text("INSERT INTO base_map VALUES (:city, :sha256, :content)"), values)


async def test_all_of_it_is_read_without_a_range(api, drawn):
    answer = await api.get(PATH)

    assert (answer.status_code, answer.content == CONTENT) == (200, True)
    assert answer.headers["content-type"] == "application/vnd.pmtiles"
    assert (answer.headers["etag"], answer.headers["accept-ranges"]) == (ETAG, "bytes")
    assert (await api.get(PATH, headers={"If-None-Match": ETAG})).status_code == 304
    head = await api.call("HEAD", PATH, headers={"Range": "bytes=0-126"})
    assert (head.status_code, head.headers["content-length"], head.content) == (206, "127", b"")


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-126", 0, 127),
        ("bytes=300000-700000", 300_000, 700_001),
        ("bytes=767999-", 767_999, 768_000),
        ("bytes=767000-999999", 767_000, 768_000),
        ("bytes=-10", 767_990, 768_000),
        ("bytes=-999999", 0, 768_000),
    ],
)
async def test_a_range_is_read_by_itself(api, drawn, asked, start, end):
    answer = await api.get(PATH, headers={"Range": asked})

    assert (answer.status_code, answer.content == CONTENT[start:end]) == (206, True)
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/768000"
    assert answer.headers["content-length"] == str(end - start)


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=0-9,20-29"},
        {"Range": "bytes=9-0"},
        {"Range": "bytes=-"},
        {"Range": "lines=0-9"},
        {"Range": "bytes=0-9", "If-Range": '"another"'},
    ],
)
async def test_what_is_no_single_range_of_this_map_is_answered_with_all_of_it(api, drawn, headers):
    answer = await api.get(PATH, headers=headers)

    assert (answer.status_code, len(answer.content)) == (200, 768_000)


@pytest.mark.parametrize("asked", ["bytes=768000-", "bytes=800000-900000", "bytes=-0"])
async def test_a_range_behind_its_end_is_a_problem(api, drawn, asked):
    refused = await api.get(PATH, headers={"Range": asked})

    assert fields_of(problem_of(refused, 416, "range-not-satisfiable")) == {"Range"}


async def test_a_city_without_a_base_map_says_so(api):
    problem_of(await api.get(PATH), 404, "base-map-not-found")
    problem_of(await api.get("/v1/basemap/nulle-part.ca.pmtiles"), 422, "jurisdiction-unknown")
