"""What people are shown before they report."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from issues.catalogue import ServiceNotOffered
from issues.corrections import withdraw_report
from issues.near import find_near
from tests.issues.people import AGENT, bring
from tests.issues.photographs import DARK, HOLE, LAMP, SAME_HOLE, photograph, upload
from tests.issues.towns import ESSAI, NOON, change_service, east_of, file, set_status, submission

HERE = ESSAI.middle


async def near(database, city, *, service="nid-de-poule", at=HERE, accuracy_m=8.0, now=NOON, **more):
    async with database.transaction(city_id=city.id) as session:
        return await find_near(session, city=city, service_code=service, at=at, accuracy_m=accuracy_m, now=now, **more)


async def test_shows_the_issue_with_score_reasons_and_distance(database, city):
    filed = await file(database, city, submission(HERE))

    (found,) = await near(database, city, at=east_of(HERE, 6.0))

    assert found.issue == filed.issue
    assert found.distance_m == pytest.approx(6.0, abs=0.01)
    assert found.score > 0.9
    assert [reason.factor for reason in found.reasons] == ["distance", "age", "service"]


async def test_shows_at_most_five_best_first(database, city):
    filed = [
        await file(database, city, submission(east_of(HERE, 4.0 * n), service_code="graffiti")) for n in range(1, 8)
    ]

    found = await near(database, city, service="graffiti")

    assert [one.issue.id for one in found] == [receipt.issue.id for receipt in filed[:5]]
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


async def test_looks_farther_and_longer_back_than_joining_does(database, city):
    await file(database, city, submission(HERE, service_code="lampadaire"))
    await file(database, city, submission(HERE))

    # A position that is known to 60 m only leaves much in doubt.
    assert len(await near(database, city, at=east_of(HERE, 70.0), accuracy_m=60.0)) == 1
    assert len(await near(database, city, at=east_of(HERE, 80.0), accuracy_m=60.0)) == 0
    assert len(await near(database, city, service="lampadaire", now=NOON + timedelta(days=44))) == 1
    assert len(await near(database, city, service="lampadaire", now=NOON + timedelta(days=46))) == 0
    assert len(await near(database, city, now=NOON + timedelta(days=61))) == 0


async def test_what_is_not_likely_enough_to_ask_about_is_not_shown(database, city):
    await file(database, city, submission(HERE))

    assert [one.score for one in await near(database, city, at=east_of(HERE, 25.0)) if one.score < 0.3] == []
    assert await near(database, city, at=east_of(HERE, 45.0)) == []


async def test_shows_siblings_after_the_service_itself(database, city):
    own = await file(database, city, submission(HERE, service_code="chaussee"))
    other = await file(database, city, submission(east_of(HERE, 28.0)))
    assert own.issue.id != other.issue.id

    found = await near(database, city, service="chaussee", at=east_of(HERE, 14.0))

    assert [one.issue.service_code for one in found] == ["chaussee", "nid-de-poule"]


async def test_shows_other_services_of_the_group_last_and_none_of_other_groups(database, city):
    for service in ("trottoir", "nid-de-poule", "lampadaire"):
        await file(database, city, submission(HERE, service_code=service))

    found = await near(database, city)

    assert [one.issue.service_code for one in found] == ["nid-de-poule", "trottoir"]
    assert [reason.value for reason in found[1].reasons if reason.factor == "service"] == [0.2]


async def test_neither_shows_private_issues_nor_anything_to_who_reports_something_private(database, city):
    await file(database, city, submission(HERE, service_code="bruit"))
    await file(database, city, submission(HERE, service_code="bruit", person_id=None))

    assert await near(database, city, service="bruit") == []
    assert await near(database, city, service="lampadaire") == []


async def test_shows_issues_of_services_that_only_ask(database, city):
    await file(database, city, submission(HERE, service_code="graffiti"))

    assert len(await near(database, city, service="graffiti", accuracy_m=None)) == 1


@pytest.mark.parametrize("status", ["acknowledged", "resolved"])
async def test_shows_nothing_that_no_report_is_about_any_more(database, city, status):
    filed = await file(database, city, submission(HERE))
    await bring(database, filed.issue, status)
    async with database.transaction(city.id) as session:
        await withdraw_report(session, filed.report.id, city=city, actor=AGENT, by_author=False, now=NOON)

    assert await near(database, city) == []


async def test_shows_what_was_fixed_a_short_while_ago_as_come_back(database, city):
    filed = await file(database, city, submission(HERE))
    await bring(database, filed.issue, "resolved", now=NOON + timedelta(days=70))
    soon, late = NOON + timedelta(days=80), NOON + timedelta(days=131)

    (found,) = await near(database, city, now=soon)

    assert (found.issue.id, found.issue.status, found.came_back) == (filed.issue.id, "resolved", True)
    assert "came_back" in {reason.factor for reason in found.reasons}
    assert await near(database, city, now=late) == []
    # However likely, nobody is put there unasked.
    again = await file(database, city, submission(HERE), now=soon)
    assert again.issue.id != filed.issue.id


@pytest.mark.parametrize("status", ["closed", "declined", "transferred"])
async def test_shows_nothing_that_ended_in_another_way(owner, database, city, status):
    filed = await file(database, city, submission(HERE))
    await set_status(owner, filed.issue.id, status)

    assert await near(database, city) == []


async def test_shows_nothing_of_a_service_whose_reports_are_kept_apart(owner, database, city):
    await file(database, city, submission(HERE))
    apart = await change_service(owner, database, city, "nid-de-poule", joins="never")

    assert await near(database, apart) == []


async def test_asks_from_the_score_on_that_the_service_says(owner, database, city):
    await file(database, city, submission(HERE))
    strict = await change_service(owner, database, city, "nid-de-poule", suggest_threshold=0.99)

    assert await near(database, strict, at=east_of(HERE, 12.0)) == []
    assert len(await near(database, city, at=east_of(HERE, 12.0))) == 1


async def test_shows_the_first_photo_that_everybody_may_see(owner, database, city):
    first = await file(database, city, submission(HERE))
    second = await file(database, city, submission(HERE))
    assert first.issue.id == second.issue.id
    await photograph(owner, first.report, state="pending")
    await photograph(owner, first.report, uploader="device:somebody-else")
    seen = await photograph(owner, second.report)
    await photograph(owner, second.report)

    (found,) = await near(database, city)
    assert found.photo_id == seen

    async with owner.transaction() as session:
        await session.execute(text("UPDATE report SET withdrawn_at = :now"), {"now": NOON})
    (found,) = await near(database, city)
    assert found.photo_id is None


async def test_shows_no_photo_where_the_city_shows_none(owner, database, city):
    filed = await file(database, city, submission(HERE))
    await photograph(owner, filed.report)
    discreet = replace(city, settings=replace(city.settings, photos_public=False))

    (found,) = await near(database, discreet)

    assert found.photo_id is None


@pytest.mark.parametrize(
    ("own", "likelier", "told"), [(SAME_HOLE, True, 3.0), (LAMP, False, 64.0), (DARK, False, None)]
)
async def test_a_photo_that_was_uploaded_before_counts_as_far_as_it_looks_like_theirs(
    owner, database, city, own, likelier, told
):
    filed = await file(database, city, submission(HERE))
    for dhash in (HOLE, DARK):
        await photograph(owner, filed.report, dhash=dhash)
    photo_id = await upload(owner, uploader="device:me", dhash=own)

    (before,) = await near(database, city, at=east_of(HERE, 20.0))
    (found,) = await near(database, city, at=east_of(HERE, 20.0), photo_ids=[photo_id], uploader="device:me")

    assert (found.score > before.score) is likelier
    assert [each.value for each in found.reasons if each.factor == "photos"] == ([] if told is None else [told])


@pytest.mark.parametrize(
    ("uploader", "state", "theirs"),
    [("device:else", "ready", None), ("device:me", "pending", None), ("device:me", "ready", "device:else")],
    ids=["of somebody else", "not decoded yet", "beside one that the issue's report only named"],
)
async def test_photos_that_are_not_the_callers_or_not_ready_count_for_nothing(
    owner, database, city, uploader, state, theirs
):
    filed = await file(database, city, submission(HERE))
    await photograph(owner, filed.report, dhash=HOLE, uploader=theirs)
    photo_id = await upload(owner, uploader=uploader, dhash=HOLE, state=state)

    (found,) = await near(database, city, photo_ids=[photo_id], uploader="device:me")

    assert "photos" not in {reason.factor for reason in found.reasons}


async def test_a_service_the_city_does_not_have_is_refused(database, city):
    with pytest.raises(ServiceNotOffered):
        await near(database, city, service="licorne")
