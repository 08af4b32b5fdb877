"""What people are shown before they report."""

from datetime import timedelta

import pytest

from issues.catalogue import ServiceNotOffered
from issues.near import find_near
from tests.issues.towns import ESSAI, NOON, east_of, file, set_status, submission

HERE = ESSAI.middle


async def near(database, city, *, service="nid-de-poule", at=HERE, accuracy_m=8.0, now=NOON):
    async with database.transaction(city_id=city.id) as session:
        return await find_near(session, city=city, service_code=service, at=at, accuracy_m=accuracy_m, now=now)


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

    assert len(await near(database, city, at=east_of(HERE, 45.0))) == 1
    assert len(await near(database, city, at=east_of(HERE, 55.0))) == 0
    assert len(await near(database, city, service="lampadaire", now=NOON + timedelta(days=29))) == 1
    assert len(await near(database, city, now=NOON + timedelta(days=61))) == 0


async def test_shows_siblings_after_the_service_itself(database, city):
    own = await file(database, city, submission(HERE, service_code="chaussee"))
    other = await file(database, city, submission(east_of(HERE, 34.0)))
    assert own.issue.id != other.issue.id

    found = await near(database, city, service="chaussee", at=east_of(HERE, 17.0))

    assert [one.issue.service_code for one in found] == ["chaussee", "nid-de-poule"]


@pytest.mark.parametrize("service", ["bruit", "trottoir"])
async def test_shows_neither_private_issues_nor_those_of_other_services(database, city, service):
    await file(database, city, submission(HERE, service_code="bruit"))
    await file(database, city, submission(HERE))

    assert await near(database, city, service=service) == []


async def test_shows_issues_of_services_that_only_ask(database, city):
    await file(database, city, submission(HERE, service_code="graffiti"))

    assert len(await near(database, city, service="graffiti", accuracy_m=None)) == 1


async def test_shows_open_issues_only(owner, database, city):
    filed = await file(database, city, submission(HERE))
    await set_status(owner, filed.issue.id, "resolved")

    assert await near(database, city) == []


async def test_a_service_the_city_does_not_have_is_refused(database, city):
    with pytest.raises(ServiceNotOffered):
        await near(database, city, service="licorne")
