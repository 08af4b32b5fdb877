"""A city's open data: what is in it, what is never in it, and the files it is written to."""

import csv
from datetime import timedelta

import pyogrio
import pytest
import shapely
from sqlalchemy import text

from issues.corrections import withdraw_report
from issues.exports import ExportFormat, write_issues
from issues.merging import merge_issues
from issues.open_data import ISSUES, Wanted, list_features, read_all
from tests.issues.people import AGENT
from tests.issues.towns import AILLEURS, ESSAI, NOON, east_of, file, open_town, submission

HERE = ESSAI.middle
# Whatever says who reported, or what they wrote.
PERSONAL = {"person_id", "description", "email", "phone", "sender", "contact", "attributes", "accuracy_m"}


@pytest.fixture
def open_rows(database, city):
    async def open_rows():
        async with database.transaction(city.id) as session:
            return [row async for row in read_all(session, city.id, ISSUES)]

    return open_rows


async def test_only_what_everybody_may_see_is_open(owner, database, city, open_rows):
    kept = await file(database, city, submission(HERE))
    emptied = await file(database, city, submission(east_of(HERE, 100)))
    await file(database, city, submission(HERE, service_code="bruit"))
    withdrawn = await file(database, city, submission(east_of(HERE, 200)))
    elsewhere = await open_town(owner, database, AILLEURS)
    await file(database, elsewhere, submission(AILLEURS.middle))
    async with database.transaction(city.id) as session:
        await merge_issues(session, city.id, kept.issue.id, [emptied.issue.id], actor=AGENT, now=NOON)
        await withdraw_report(session, withdrawn.report.id, city=city, actor=AGENT, by_author=False, now=NOON)

    [row] = await open_rows()

    assert dict(zip(("id", *ISSUES.fields), row, strict=False)) == {
        "id": str(kept.issue.id),
        "number": kept.issue.number,
        "service_code": "nid-de-poule",
        "service_name_fr": "nid-de-poule",
        "service_name_en": "nid-de-poule (en)",
        "status": "received",
        "address": "1234, rue Saint-Denis",
        "district_layer": "arrondissements",
        "district_code": "est",
        "department_code": "voirie-est",
        "report_count": 2,
        "requested_datetime": NOON,
        "updated_datetime": NOON,
        "expected_datetime": kept.issue.expected_at,
    }


async def test_the_views_show_no_personal_data_and_take_none(owner, session):
    columns = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'open'"
    shown = {tuple(row) for row in await session.execute(text(columns))}
    granted = "SELECT DISTINCT privilege_type FROM information_schema.role_table_grants WHERE table_schema = 'open'"

    assert {table for table, _ in shown} == {"issues", "districts", "streets"}
    assert PERSONAL & {column for _, column in shown} == set()
    assert (await session.scalars(text(granted + " AND grantee = 'jalon_app'"))).all() == ["SELECT"]


async def test_open_data_are_read_as_the_role_that_can_read_nothing_else(owner, database, city, open_rows):
    await file(database, city, submission(HERE))
    async with owner.transaction() as session:
        await session.execute(text("REVOKE SELECT ON ALL TABLES IN SCHEMA open FROM jalon_app"))

    async with database.transaction(city.id) as session:
        listed = await list_features(session, city.id, ISSUES, Wanted(), limit=10, cursor=None)
        role = await session.scalar(text("SELECT current_user"))

    assert (len(listed.items), len(await open_rows()), role) == (1, 1, "jalon_open")


@pytest.mark.parametrize("export_format", ExportFormat)
async def test_a_file_has_every_issue_as_it_is(database, city, open_rows, tmp_path, export_format):
    receipts = [
        await file(database, city, submission(east_of(HERE, 60 * n)), now=NOON + timedelta(n)) for n in range(3)
    ]
    target = tmp_path / f"issues.{export_format}"

    write_issues(target, export_format, ISSUES, await open_rows())

    if export_format is ExportFormat.CSV:
        with target.open(newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.DictReader(lines))
        places = [(float(row["long"]), float(row["lat"])) for row in rows]
    else:
        meta, _, shapes, columns = pyogrio.raw.read(target)
        rows = [dict(zip(meta["fields"], row, strict=True)) for row in zip(*columns, strict=True)]
        places = [(shape.x, shape.y) for shape in shapely.from_wkb(shapes)]
        assert pyogrio.read_info(target)["crs"] == "EPSG:4326"
    assert [int(row["report_count"]) for row in rows] == [1, 1, 1]
    found = {row["number"]: (row, place) for row, place in zip(rows, places, strict=True)}  # in any order
    for day, receipt in enumerate(receipts):
        issue, (row, place) = receipt.issue, found[receipt.issue.number]
        assert (row["id"], row["address"] or None) == (str(issue.id), issue.address)
        assert str(row["requested_datetime"]).startswith(f"2026-11-{23 + day}T17:00:00")
        assert place == pytest.approx((issue.at.lon, issue.at.lat))


@pytest.mark.parametrize("export_format", ExportFormat)
def test_a_city_without_issues_gives_a_file_without_features(tmp_path, export_format):
    target = tmp_path / f"issues.{export_format}"

    write_issues(target, export_format, ISSUES, [])

    if export_format is ExportFormat.CSV:
        (heading,) = target.read_text(encoding="utf-8").splitlines()
        assert heading.startswith("\ufeffid,number,")  # by the mark Excel knows that the file is UTF-8
    else:
        assert pyogrio.read_info(target, force_feature_count=True)["features"] == 0
