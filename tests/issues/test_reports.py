"""Reading reports back, and who may see their photos."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from db.base import new_id
from db.tenancy import enter_city
from geo.atlas import Atlas
from issues.city import Cities
from issues.reports import (
    MatchView,
    Release,
    ReportNotFound,
    find_report_home,
    photo_release,
    read_receipt,
)
from media.photos import Photo
from tests.issues.towns import AILLEURS, ESSAI, NOON, file, open_town, set_status, submission


def photo(id_, uploader, *, state="ready"):
    return Photo(id=id_, uploader=uploader, state=state)


def only(city):
    return Cities(Atlas([city.map]), [city])


async def release(database, city, of):
    async with database.transaction() as session:
        return await photo_release(session, of, cities=only(city))


async def filed_with_photo(database, city, **changes):
    sent = submission(ESSAI.middle, photo_ids=(new_id(),), **changes)
    receipt = await file(database, city, sent)
    return receipt, photo(sent.photo_ids[0], sent.photo_uploader)


async def test_the_home_of_a_report_is_found_without_naming_a_city(database, city):
    sent = submission(ESSAI.middle)
    await file(database, city, sent)

    async with database.transaction() as session:
        home = await find_report_home(session, sent.id)
        assert await find_report_home(session, new_id()) is None

    assert (home.city_id, home.sender, home.tracking_hash) == (city.id, sent.sender, sent.tracking_hash)


async def test_a_report_is_read_with_its_issue_as_it_is_now(owner, database, city):
    sent = submission(ESSAI.middle)
    filed = await file(database, city, sent)
    await set_status(owner, filed.issue.id, "acknowledged")

    async with database.transaction(city_id=city.id) as session:
        receipt = await read_receipt(session, city.id, sent.id)

    assert receipt.report == filed.report
    assert receipt.issue == replace(filed.issue, status="acknowledged")
    assert not receipt.created


async def test_a_report_is_not_found_from_another_city(owner, database, city):
    sent = submission(ESSAI.middle)
    await file(database, city, sent)
    elsewhere = await open_town(owner, database, AILLEURS)

    for asked in (city.id, elsewhere.id):
        async with database.transaction(city_id=elsewhere.id) as session:
            with pytest.raises(ReportNotFound):
                await read_receipt(session, asked, sent.id)


async def test_a_match_is_read_as_it_was_written(database, city):
    await file(database, city, submission(ESSAI.middle))
    match = (await file(database, city, submission(ESSAI.middle))).match

    assert MatchView.read(match.to_json()) == match


async def test_a_ready_photo_of_a_public_report_is_public(database, city):
    _, shown = await filed_with_photo(database, city)

    assert await release(database, city, shown) == Release(public=True, city_id=city.id)


@pytest.mark.parametrize("state", ["pending", "rejected"])
async def test_a_photo_that_is_not_ready_is_for_staff(database, city, state):
    _, hidden = await filed_with_photo(database, city)
    hidden.state = state

    assert await release(database, city, hidden) == Release(public=False, city_id=city.id)


async def test_a_photo_of_a_private_issue_is_for_staff(database, city):
    _, hidden = await filed_with_photo(database, city, service_code="bruit")

    assert await release(database, city, hidden) == Release(public=False, city_id=city.id)


async def test_a_photo_in_a_city_that_does_not_show_photos_is_for_staff(database, city):
    _, hidden = await filed_with_photo(database, city)
    discreet = replace(city, settings=replace(city.settings, photos_public=False))

    assert await release(database, discreet, hidden) == Release(public=False, city_id=city.id)


async def test_a_photo_that_nobody_named_belongs_to_its_uploader_alone(database, city):
    assert await release(database, city, photo(new_id(), "device:x")) == Release(public=False, city_id=None)


async def test_a_photo_that_two_reports_name_is_listed_with_the_first(database, city):
    shared, own = new_id(), new_id()
    first = submission(ESSAI.middle, photo_ids=(shared,))
    await file(database, city, first)

    second = await file(database, city, submission(ESSAI.middle, sender=first.sender, photo_ids=(shared, own)))

    async with database.transaction(city.id) as session:
        listed = [
            (await read_receipt(session, city.id, each)).report.photo_ids for each in (first.id, second.report.id)
        ]
    assert listed == [(shared,), (own,)]


async def test_naming_somebody_elses_photo_shows_nothing(database, city):
    receipt, _ = await filed_with_photo(database, city)
    theirs = photo(receipt.report.photo_ids[0], "device:somebody-else")

    assert await release(database, city, theirs) == Release(public=False, city_id=None)


async def test_the_photo_of_an_anonymous_report_is_its_own(database, city):
    sent = submission(ESSAI.middle, photo_ids=(new_id(),), sender="tracking:00", person_id=None)
    await file(database, city, sent)

    shown = photo(sent.photo_ids[0], f"report:{sent.id}")

    assert await release(database, city, shown) == Release(public=True, city_id=city.id)


@pytest.mark.parametrize(("services", "public"), [(["nid-de-poule"], True), (["nid-de-poule", "bruit"], False)])
async def test_a_work_orders_photo_is_as_public_as_its_most_private_issue(owner, database, city, services, public):
    issues = [(await file(database, city, submission(ESSAI.middle, service_code=code))).issue for code in services]
    order, after = new_id(), new_id()
    async with owner.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO work_order (city_id, id, crew_code, planned_on, tour_position, status, version, place,"
                " created_by, created_at, updated_at) SELECT city_id, :order, 'equipe-1', :day, 1, 'planned', 1, place,"
                " 'system', :now, :now FROM issue WHERE id = :issue"
            ),
            {"order": order, "day": NOON.date(), "now": NOON, "issue": issues[0].id},
        )
        for issue in issues:
            await session.execute(
                text("INSERT INTO work_order_issue VALUES (:city, :order, :issue)"),
                {"city": city.id, "order": order, "issue": issue.id},
            )
        await session.execute(
            text("INSERT INTO photo_claim VALUES (:photo, 'staff:1', :city, :order)"),
            {"photo": after, "city": city.id, "order": order},
        )

    assert await release(database, city, photo(after, "staff:1")) == Release(public=public, city_id=city.id)


async def test_a_photo_is_judged_also_in_a_transaction_of_another_city(owner, database, city):
    _, hidden = await filed_with_photo(database, city, service_code="bruit")
    elsewhere = await open_town(owner, database, AILLEURS)

    async with database.transaction() as session:
        await enter_city(session, elsewhere.id)
        judged = await photo_release(session, hidden, cities=only(city))

    assert judged == Release(public=False, city_id=city.id)


async def test_a_report_keeps_the_phones_clock_and_the_lack_of_accuracy(database, city):
    yesterday = datetime(2026, 11, 22, 8, 15, 30, tzinfo=UTC)
    sent = submission(ESSAI.middle, captured_at=yesterday, accuracy_m=None, location_source="map")
    filed = await file(database, city, sent)

    async with database.transaction(city_id=city.id) as session:
        report = (await read_receipt(session, city.id, sent.id)).report

    assert (report.captured_at, report.accuracy_m, report.received_at) == (yesterday, None, NOON)
    assert filed.issue.accuracy_m == 10.0
