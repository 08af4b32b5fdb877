"""Reports that their senders correct or take back."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from db.base import new_id
from geo.points import LonLat
from issues.actors import Actor, Role
from issues.audience import find_audience
from issues.catalogue import ServiceNotOffered
from issues.commands import CommandIdUsed
from issues.corrections import Correction, PlaceSettled, ReportWithdrawn, correct_report, withdraw_report
from issues.events import list_history
from issues.lifecycle import NotAllowed, Status
from issues.moving import NewPlace
from issues.reports import ReportNotFound, read_receipt
from issues.work_orders import find_work_order
from tests.issues.people import AGENT, CREW, RESIDENT, bring, issue_now, notices, plan
from tests.issues.towns import ESSAI, NEXT_DAY, NOON, east_of, file, submission

SOON = NOON + timedelta(minutes=5)
LATE = NOON + timedelta(minutes=15, seconds=1)
HERE = ESSAI.middle
WEST = LonLat(ESSAI.west + 0.02, HERE.lat)  # in the borough `ouest`


def place(at, accuracy_m=8.0, source="gps"):
    return NewPlace(at, accuracy_m, source)


@pytest.fixture
def correct(database, city):
    async def correct(receipt, *, words=None, at=None, actor=RESIDENT, by_author=True, now=SOON, **more):
        correction = Correction(words, None if at is None else place(at))
        async with database.transaction(city.id) as session:
            return await correct_report(
                session, receipt.report.id, correction, city=city, actor=actor, by_author=by_author, now=now, **more
            )

    return correct


@pytest.fixture
def withdraw(database, city):
    async def withdraw(receipt, *, actor=RESIDENT, by_author=True, now=SOON, **more):
        async with database.transaction(city.id) as session:
            return await withdraw_report(
                session, receipt.report.id, city=city, actor=actor, by_author=by_author, now=now, **more
            )

    return withdraw


@pytest.fixture
def history(database, city):
    async def history(issue, *, staff=True):
        async with database.transaction(city.id) as session:
            page = await list_history(session, city.id, issue.id, staff=staff, limit=50)
        return [(event.kind, dict(event.data)) for event in page.items]

    return history


# Words.


async def test_words_are_added_and_the_first_ones_stay(database, city, correct):
    receipt = await file(database, city, submission(HERE))

    corrected = await correct(receipt, words="Devant le 1234")

    assert corrected.report.description == "Gros trou"
    assert [(each.words, each.at, each.former_place) for each in corrected.report.corrections] == [
        ("Devant le 1234", SOON, None)
    ]


async def test_words_are_added_also_days_later(database, city, correct):
    receipt = await file(database, city, submission(HERE))

    corrected = await correct(receipt, words="Toujours là", now=NOON + timedelta(days=3))

    assert corrected.report.corrections[0].words == "Toujours là"


@pytest.mark.parametrize("words", ["Gros trou", "Devant le 1234", "  ", None])
async def test_words_that_are_there_are_not_added_again(database, city, correct, history, words):
    receipt = await file(database, city, submission(HERE))
    await correct(receipt, words="Devant le 1234")
    before = await history(receipt.issue)

    again = await correct(receipt, words=words)

    assert len(again.report.corrections) == 1
    assert await history(receipt.issue) == before


async def test_words_are_in_no_event_and_the_public_hears_nothing_of_them(database, city, correct, history):
    receipt = await file(database, city, submission(HERE))

    await correct(receipt, words="Chez Camille Tremblay")

    told = {"report_id": str(receipt.report.id), "fields": ["words"]}
    assert (await history(receipt.issue))[1:] == [("report.corrected", told)]
    assert await history(receipt.issue, staff=False) == [("report.opened", {})]


# The place.


async def test_a_place_put_right_nearby_keeps_the_report_in_its_issue_and_the_old_place_for_staff(
    database, city, correct
):
    await file(database, city, submission(HERE))
    receipt = await file(database, city, submission(east_of(HERE, 5)))

    corrected = await correct(receipt, at=east_of(HERE, 10))

    assert corrected.issue.id == receipt.issue.id
    assert corrected.issue.at == receipt.issue.at  # the others say that it is there
    assert corrected.report.at == east_of(HERE, 10)
    [kept] = corrected.report.corrections
    assert (kept.former_place.at, kept.former_place.accuracy_m) == (receipt.report.at, 8.0)
    assert (corrected.issue.report_count, corrected.match) == (2, receipt.match)


async def test_the_issue_of_one_report_alone_moves_along(database, city, correct):
    receipt = await file(database, city, submission(HERE))

    corrected = await correct(receipt, at=east_of(HERE, 10))

    assert corrected.issue.id == receipt.issue.id
    assert corrected.issue.at == east_of(HERE, 10)
    assert corrected.issue.updated_at == SOON


async def test_an_issue_that_moves_along_over_a_border_is_the_other_boroughs(database, city, correct, history):
    border = LonLat(ESSAI.west + ESSAI.side / 2, HERE.lat)
    receipt = await file(database, city, submission(east_of(border, -8)))

    corrected = await correct(receipt, at=east_of(border, 8))

    assert (receipt.issue.district_code, receipt.issue.department_code) == ("ouest", "voirie")
    assert corrected.issue.id == receipt.issue.id
    assert (corrected.issue.district_code, corrected.issue.department_code) == ("est", "voirie-est")
    assert (await history(corrected.issue))[-1][1]["department"] == {"from": "voirie", "to": "voirie-est"}


async def test_a_work_order_leads_to_the_place_that_was_put_right(database, city, correct):
    receipt = await file(database, city, submission(HERE))
    other = await file(database, city, submission(east_of(HERE, 500)))
    order = await plan(database, receipt.issue, other.issue)
    elsewhere = await plan(database, other.issue, receipt.issue)

    await correct(receipt, at=east_of(HERE, 10), actor=AGENT, by_author=False)

    async with database.transaction(city.id) as session:
        led = await find_work_order(session, city.id, order.id, actor=CREW)
        left = await find_work_order(session, city.id, elsewhere.id, actor=CREW)
    assert (led.at, led.version) == (east_of(HERE, 10), order.version)
    assert left.at == other.issue.at


async def test_a_place_put_right_far_away_takes_the_report_to_an_issue_of_its_own(database, city, correct, history):
    await file(database, city, submission(HERE))
    receipt = await file(database, city, submission(HERE))

    corrected = await correct(receipt, at=WEST)

    assert corrected.issue.id != receipt.issue.id
    assert corrected.match is None
    assert (corrected.issue.at, corrected.issue.number) == (WEST, receipt.report.number)
    assert (corrected.issue.district_code, corrected.issue.department_code) == ("ouest", "voirie")
    assert (corrected.issue.opened_at, corrected.issue.expected_at) == (NOON, receipt.issue.expected_at)
    assert (await issue_now(database, receipt.issue)).report_count == 1
    moved = {"report_id": str(receipt.report.id), "fields": ["place"], "to": str(corrected.issue.id)}
    assert (await history(receipt.issue))[-1] == ("report.corrected", moved)
    assert await history(corrected.issue) == [("report.opened", {"report_id": str(receipt.report.id)})]


async def test_a_place_put_right_far_away_joins_what_is_open_there(database, city, correct):
    there = await file(database, city, submission(WEST))
    receipt = await file(database, city, submission(HERE))

    corrected = await correct(receipt, at=east_of(WEST, 4))

    assert corrected.issue.id == there.issue.id
    assert corrected.issue.report_count == 2
    assert corrected.match.score > 0.6


async def test_out_of_a_private_issue_a_report_goes_into_a_private_one_also_where_its_service_is_so_no_more(
    owner, database, city, correct
):
    receipt = await file(database, city, submission(HERE))
    there = await file(database, city, submission(WEST))
    async with owner.transaction() as session:
        await session.execute(text("UPDATE issue SET private = true WHERE id = :id"), {"id": receipt.issue.id})

    corrected = await correct(receipt, at=WEST)

    assert corrected.issue.id not in (receipt.issue.id, there.issue.id)
    assert corrected.issue.private


async def test_what_is_closed_there_is_not_joined(database, city, correct):
    there = await file(database, city, submission(WEST))
    await bring(database, there.issue, "resolved")
    receipt = await file(database, city, submission(HERE))

    corrected = await correct(receipt, at=WEST)

    assert corrected.issue.id != there.issue.id


async def test_an_issue_that_lost_its_only_report_is_closed_where_nothing_was_done(database, city, correct, history):
    receipt = await file(database, city, submission(HERE))

    await correct(receipt, at=WEST)

    left = await issue_now(database, receipt.issue)
    assert (left.status, left.report_count) == (Status.CLOSED, 0)
    assert [kind for kind, _ in await history(left)] == ["report.opened", "report.corrected", "issue.status"]
    assert await notices(database, city.id) == []


async def test_an_issue_that_staff_work_on_stays_open_without_reports(database, city, correct):
    receipt = await file(database, city, submission(HERE))
    await bring(database, receipt.issue, "acknowledged")

    await correct(receipt, at=WEST)

    left = await issue_now(database, receipt.issue)
    assert (left.status, left.report_count) == (Status.ACKNOWLEDGED, 0)


@pytest.mark.parametrize(("now", "allowed"), [(NOON + timedelta(minutes=15), True), (LATE, False)])
async def test_its_sender_puts_the_place_right_within_fifteen_minutes_of_receipt(database, city, correct, now, allowed):
    wrong_clock = NOON - timedelta(days=400)
    receipt = await file(database, city, submission(HERE, captured_at=wrong_clock))

    if allowed:
        assert (await correct(receipt, at=WEST, now=now)).report.at == WEST
    else:
        with pytest.raises(PlaceSettled) as refused:
            await correct(receipt, at=WEST, words="Plus loin", now=now)
        assert refused.value.until == NOON + timedelta(minutes=15)
        async with database.transaction(city.id) as session:
            assert (await read_receipt(session, city.id, receipt.report.id)).report.corrections == ()


async def test_staff_put_a_place_right_at_any_time(database, city, correct):
    receipt = await file(database, city, submission(HERE))

    corrected = await correct(receipt, at=WEST, actor=AGENT, by_author=False, now=NOON + timedelta(days=9))

    assert corrected.report.at == WEST


async def test_the_place_that_it_has_is_no_correction(database, city, correct):
    receipt = await file(database, city, submission(HERE))

    assert (await correct(receipt, at=HERE)).report.corrections == ()


async def test_a_service_not_offered_at_the_new_place_is_refused(database, city, correct):
    receipt = await file(database, city, submission(WEST, service_code="piste"))

    with pytest.raises(ServiceNotOffered):
        await correct(receipt, at=HERE)


@pytest.mark.parametrize("actor", [CREW, RESIDENT, Actor("anonymous", Role.RESIDENT)])
async def test_only_its_sender_and_agents_correct_a_report(database, city, correct, withdraw, actor):
    receipt = await file(database, city, submission(HERE))

    with pytest.raises(NotAllowed):
        await correct(receipt, words="Non", actor=actor, by_author=False)
    with pytest.raises(NotAllowed):
        await withdraw(receipt, actor=actor, by_author=False)


async def test_a_report_that_is_not_there_is_not_found(database, city):
    with pytest.raises(ReportNotFound):
        async with database.transaction(city.id) as session:
            await correct_report(session, new_id(), Correction("x"), city=city, actor=AGENT, by_author=False, now=SOON)


# Taking back.


async def test_a_report_taken_back_is_counted_no_more_and_still_read(database, city, withdraw, history):
    first = await file(database, city, submission(HERE))
    second = await file(database, city, submission(HERE))

    withdrawn = await withdraw(second)

    assert withdrawn.report.withdrawn_at == SOON
    assert (withdrawn.issue.id, withdrawn.issue.report_count) == (first.issue.id, 1)
    assert withdrawn.issue.status is Status.RECEIVED
    assert (await history(first.issue))[-1] == ("report.withdrawn", {"report_id": str(second.report.id)})


async def test_the_only_report_taken_back_closes_an_issue_that_nobody_has_worked_on(database, city, withdraw):
    receipt = await file(database, city, submission(HERE))

    withdrawn = await withdraw(receipt)

    assert (withdrawn.issue.status, withdrawn.issue.report_count) == (Status.CLOSED, 0)
    assert (await file(database, city, submission(HERE))).issue.id != receipt.issue.id


async def test_the_only_report_taken_back_leaves_an_issue_that_staff_work_on_to_them(database, city, withdraw):
    receipt = await file(database, city, submission(HERE))
    await bring(database, receipt.issue, "acknowledged")

    withdrawn = await withdraw(receipt)

    assert (withdrawn.issue.status, withdrawn.issue.report_count) == (Status.ACKNOWLEDGED, 0)


async def test_taken_back_twice_is_taken_back_once(database, city, withdraw, history):
    receipt = await file(database, city, submission(HERE))
    first = await withdraw(receipt)
    before = await history(receipt.issue)

    again = await withdraw(receipt, now=LATE, command_id=new_id())

    assert again == first
    assert await history(receipt.issue) == before


async def test_who_took_a_report_back_hears_nothing_more(database, city, withdraw):
    first = await file(database, city, submission(HERE))
    second = await file(database, city, submission(HERE))

    await withdraw(second)

    async with database.transaction(city.id) as session:
        audience = await find_audience(session, city.id, second.issue.id, as_of=NEXT_DAY)
    assert [listener.person_id for listener in audience] == [first.report.person_id]


async def test_a_report_taken_back_is_corrected_no_more(database, city, correct, withdraw):
    receipt = await file(database, city, submission(HERE))
    await withdraw(receipt)

    with pytest.raises(ReportWithdrawn):
        await correct(receipt, words="Et encore")


# The same command again.


async def test_the_same_command_again_has_the_same_result_also_when_its_time_is_over(database, city, correct, history):
    receipt, command_id = await file(database, city, submission(HERE)), new_id()
    first = await correct(receipt, at=WEST, words="Là-bas", command_id=command_id)
    before = await history(first.issue)

    again = await correct(receipt, at=WEST, words="Là-bas", command_id=command_id, now=LATE)

    assert again == first
    assert await history(first.issue) == before
    assert first.report.corrections[0].event_id == command_id


async def test_the_id_of_another_command_is_refused(database, city, correct, withdraw):
    receipt, command_id = await file(database, city, submission(HERE)), new_id()
    await correct(receipt, words="Là-bas", command_id=command_id)

    with pytest.raises(CommandIdUsed):
        await correct(receipt, words="Ici", command_id=command_id)
    with pytest.raises(CommandIdUsed):
        await withdraw(receipt, command_id=command_id)


async def test_what_was_said_can_be_erased_and_not_changed(database, city, correct):
    receipt = await file(database, city, submission(HERE))
    await correct(receipt, words="Chez Camille Tremblay")

    async with database.transaction(city.id) as session:
        erased = await session.execute(text("DELETE FROM report_correction RETURNING words"))
        assert [row.words for row in erased] == ["Chez Camille Tremblay"]
        allowed = await session.scalar(text("SELECT has_table_privilege('report_correction', 'UPDATE')"))
    assert allowed is False


async def test_its_author_hears_what_waited_to_be_told_of_the_issue_that_a_report_leaves(
    owner, database, city, correct
):
    await file(database, city, submission(HERE))
    receipt = await file(database, city, submission(east_of(HERE, 2)))
    await bring(database, receipt.issue, "acknowledged")

    await correct(receipt, at=east_of(HERE, 300))

    async with owner.transaction() as session:
        told = await session.scalars(text("SELECT person_id FROM notification WHERE kind = 'acknowledged'"))
        assert receipt.report.person_id in set(told)
