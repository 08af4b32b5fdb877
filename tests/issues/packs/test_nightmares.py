"""The worst files: they are told of, never a traceback, and a city is loaded whole or not at all."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import shapely
from sqlalchemy import text

from issues.packs.check import check_pack
from issues.packs.load import load_pack
from issues.packs.page import findings_page
from issues.packs.problems import Severity
from issues.packs.survey import survey
from tests.issues.packs.nightmare import FILES, GEOMETRIES, write_geometry

# What comes out sound, because it can be put right or was never wrong.
_PUT_RIGHT = {
    "bow-tie", "duplicate ring", "ring twice round", "spike", "part without area", "parts that overlap",
    "hole outside", "hole across the edge", "not closed", "3D", "3D here and there", "swapped", "a collection",
    "100 000 vertices that cross",
}  # fmt: skip


@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_district_is_put_right_or_refused_by_name(folder, name):
    write_geometry(folder, name)

    report = check_pack(folder)

    told = [p for p in report.problems if p.file == "secteurs.geojson"]
    assert told or name in {"3D", "3D here and there", "not closed", "a collection"}
    assert (report.pack is not None) is (name in _PUT_RIGHT), told
    if report.pack:
        assert all(shapely.is_valid(d.polygon) for d in report.pack.places.layers[0].districts)
    assert findings_page(name, report.problems, report.places).endswith("</html>\n")


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_put_right_or_refused_by_name(folder, name):
    FILES[name](folder)

    report = check_pack(folder)

    assert report.problems
    assert len(report.problems) < 200
    assert (report.pack is None) is any(p.severity is Severity.ERROR for p in report.problems)
    assert findings_page(name, report.problems, report.places).endswith("</html>\n")
    assert survey(folder)


async def test_a_pack_of_all_of_it_leaves_the_database_as_it_was(owner, folder):
    """Each broken file beside a good city: what cannot be loaded never begins to be."""
    refused = 0
    for name in GEOMETRIES:
        write_geometry(folder, name)
        report = check_pack(folder)
        if report.pack is None:
            refused += 1
            continue
        async with owner.transaction() as session:
            await load_pack(session, report.pack, now=datetime(2026, 11, 22, tzinfo=UTC))
        async with owner.transaction() as session:
            districts = await session.scalar(
                text("SELECT count(*) FROM district JOIN city ON city.id = city_id WHERE ST_IsValid(polygon)")
            )
            assert districts >= 2, name

    assert refused == len(GEOMETRIES) - len(_PUT_RIGHT)
