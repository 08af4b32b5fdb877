"""Work orders: planned, listed, changed, and what becomes of their issues."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from db.base import new_id
from issues.commands import CommandIdUsed
from issues.dispatch import DayPassed, IssueNotOpen, StaleWorkOrder, WorkOrderDraft
from issues.issue import IssueMerged, IssueNotFound
from issues.lifecycle import NotAllowed, OrderStatus, Status, TransitionNotAllowed
from issues.order_photos import PhotoTaken
from issues.pages import InvalidCursor, write_cursor
from issues.staff import CrewNotFound
from issues.work_orders import OrderPhoto, WorkOrderNotFound, find_work_order, list_work_orders
from tests.issues.people import (
    AGENT,
    CREW,
    OTHER_CREW,
    RESIDENT,
    TUESDAY,
    bring,
    change,
    issue_now,
    jobs,
    notices,
    open_issue,
    plan,
)
from tests.issues.towns import AILLEURS, ESSAI, NOON, east_of, open_town

WEDNESDAY = TUESDAY + timedelta(days=1)


@pytest.fixture
async def city(owner, database):
    return await open_town(owner, database)


@pytest.fixture
async def issue(database, city):
    return await open_issue(database, city)


@pytest.fixture
async def other(database, city):
    return await open_issue(database, city, at=east_of(ESSAI.middle, 500))


async def listed(database, city, *, actor=AGENT, limit=100, **filters):
    async with database.transaction(city.id) as session:
        return await list_work_orders(session, city.id, actor=actor, limit=limit, **filters)


async def find(database, city, order_id, *, actor=AGENT):
    async with database.transaction(city.id) as session:
        return await find_work_order(session, city.id, order_id, actor=actor)


async def status_of(database, issue):
    return (await issue_now(database, issue)).status


async def arrive(owner, photo_id, uploader, *, state="pending"):
    """Have a photo's bytes arrive, uploaded by somebody."""
    async with owner.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO photo (id, uploader, sha256, byte_size, content_type, width, height, state, received_at)"
                " VALUES (:id, :uploader, '', 1, 'image/jpeg', 1, 1, :state, :now)"
            ),
            {"id": photo_id, "uploader": uploader, "state": state, "now": NOON},
        )


async def test_an_order_is_where_its_first_issue_is(database, issue, other):
    order = await plan(database, issue, other, note=" Pelle ")

    assert (order.at, order.address) == (issue.at, issue.address)
    assert (order.layer, order.district_code) == ("arrondissements", "est")
    assert (order.crew_code, order.planned_on, order.tour_position) == ("equipe-1", TUESDAY, 1)
    assert (order.status, order.version, order.note) == (OrderStatus.PLANNED, 1, "Pelle")
    assert order.created_by == AGENT.sender
    assert {(one.id, one.number, one.status) for one in order.issues} == {
        (issue.id, issue.number, Status.SCHEDULED),
        (other.id, other.number, Status.SCHEDULED),
    }


async def test_planning_schedules_and_tells_once_per_issue(database, issue, other):
    await plan(database, issue, other)
    await plan(database, issue, planned_on=WEDNESDAY)

    assert await status_of(database, issue) is Status.SCHEDULED
    assert await notices(database, issue.city_id) == ["scheduled", "scheduled"]
    assert len([kind for kind, _ in await jobs(database) if kind == "push.tell"]) == 2


async def test_work_that_goes_on_is_not_put_back_by_more_of_it(database, issue):
    await bring(database, issue, "in_progress")

    await plan(database, issue)

    assert await status_of(database, issue) is Status.IN_PROGRESS


async def test_the_story_of_an_order_is_the_story_of_its_issues(database, issue, other):
    order = await plan(database, issue, other)
    order = await change(database, order, status="in_progress")
    assert (order.status, order.version) == (OrderStatus.IN_PROGRESS, 2)
    assert {one.status for one in order.issues} == {Status.IN_PROGRESS}

    order = await change(database, order, status="done")

    assert (order.status, order.version) == (OrderStatus.DONE, 3)
    assert {one.status for one in order.issues} == {Status.RESOLVED}
    assert await notices(database, issue.city_id) == ["scheduled", "scheduled", "resolved", "resolved"]


async def test_an_order_called_off_leaves_its_issues_acknowledged(database, issue):
    order = await plan(database, issue)

    await change(database, order, status="cancelled", actor=AGENT)

    assert await status_of(database, issue) is Status.ACKNOWLEDGED
    assert await notices(database, issue.city_id) == ["scheduled", "postponed"]


@pytest.mark.parametrize("ending", ["done", "cancelled"])
async def test_an_issue_in_two_orders_waits_for_the_last(database, issue, ending):
    first = await plan(database, issue)
    second = await plan(database, issue, crew_code="equipe-est", planned_on=WEDNESDAY)
    await change(database, first, status="in_progress")

    await change(database, first, status=ending, actor=AGENT, version=2)
    assert await status_of(database, issue) is Status.IN_PROGRESS

    await change(database, second, status="done", actor=OTHER_CREW)
    assert await status_of(database, issue) is Status.RESOLVED


async def test_what_an_agent_closed_meanwhile_stays_closed(database, issue, other):
    order = await plan(database, issue, other)
    await bring(database, issue, "declined")

    await change(database, order, status="done")

    assert await status_of(database, issue) is Status.DECLINED
    assert await status_of(database, other) is Status.RESOLVED


async def test_planning_repeated_with_its_id_plans_once(database, issue):
    order_id = new_id()
    first = await plan(database, issue, id=order_id)
    await change(database, first, status="done")

    again = await plan(database, issue, id=order_id)

    assert (first.id, again.id, again.status) == (order_id, order_id, OrderStatus.DONE)
    assert await notices(database, issue.city_id) == ["scheduled", "resolved"]


async def test_simultaneous_copies_of_a_plan_make_one_order(database, city, issue, other):
    order_id = new_id()

    copies = await asyncio.gather(*(plan(database, issue, other, id=order_id) for _ in range(5)))

    assert {copy.id for copy in copies} == {order_id}
    assert len((await listed(database, city)).items) == 1
    assert await notices(database, city.id) == ["scheduled", "scheduled"]


@pytest.mark.parametrize(
    "different", [{"crew_code": "equipe-est"}, {"planned_on": WEDNESDAY}, {"note": "Autre"}, {"actor": "another"}]
)
async def test_the_id_of_one_order_does_for_no_other(database, issue, different):
    if different == {"actor": "another"}:
        different = {"actor": type(AGENT)("staff:another", AGENT.role)}
    order_id = new_id()
    await plan(database, issue, id=order_id)

    with pytest.raises(CommandIdUsed):
        await plan(database, issue, id=order_id, **different)


async def test_the_id_of_one_order_does_for_no_other_issue(database, issue, other):
    order_id = new_id()
    await plan(database, issue, id=order_id)

    with pytest.raises(CommandIdUsed):
        await plan(database, other, id=order_id)

    assert await status_of(database, other) is Status.RECEIVED


async def test_orders_planned_crosswise_at_once_do_not_block_each_other(database, city, issue, other):
    orders = await asyncio.gather(
        *(plan(database, *pair) for _ in range(4) for pair in ((issue, other), (other, issue)))
    )

    assert len({order.id for order in orders}) == 8


async def test_no_work_is_planned_for_a_day_that_is_over_and_an_order_of_one_stays(database, issue):
    order = await plan(database, issue, planned_on=TUESDAY, today=TUESDAY)

    for change_or_plan in (
        plan(database, issue, planned_on=TUESDAY, today=WEDNESDAY),
        change(database, order, actor=AGENT, planned_on=TUESDAY - timedelta(days=1), today=TUESDAY),
    ):
        with pytest.raises(DayPassed):
            await change_or_plan

    late = await change(database, order, planned_on=TUESDAY, status="done", today=WEDNESDAY)
    assert (late.status, late.planned_on) == (OrderStatus.DONE, TUESDAY)


async def test_no_order_without_issues():
    with pytest.raises(ValueError, match="at least one"):
        WorkOrderDraft((), "equipe-1", TUESDAY)


async def test_no_order_for_a_closed_issue_and_nothing_half_done(database, issue, other):
    await bring(database, other, "declined")

    with pytest.raises(IssueNotOpen) as refused:
        await plan(database, issue, other)

    assert (refused.value.issue_id, refused.value.status) == (other.id, Status.DECLINED)
    assert await status_of(database, issue) is Status.RECEIVED


async def test_no_order_for_an_issue_merged_unknown_or_of_another_city(owner, database, issue, other):
    elsewhere = await open_issue(database, await open_town(owner, database, AILLEURS), at=AILLEURS.middle)
    with pytest.raises(IssueNotFound):
        await plan(database, issue, elsewhere)
    async with owner.transaction() as session:
        await session.execute(
            text("UPDATE issue SET merged_into = :other WHERE id = :id"), {"id": issue.id, "other": other.id}
        )
    with pytest.raises(IssueMerged) as refused:
        await plan(database, issue)

    assert refused.value.survivor_id == other.id


async def test_no_order_for_a_crew_that_the_city_lacks(database, issue):
    with pytest.raises(CrewNotFound):
        await plan(database, issue, crew_code="equipe-9")
    order = await plan(database, issue)
    with pytest.raises(CrewNotFound):
        await change(database, order, actor=AGENT, crew_code="equipe-9")


@pytest.mark.parametrize("actor", [CREW, RESIDENT])
async def test_only_agents_plan(database, issue, actor):
    with pytest.raises(NotAllowed):
        await plan(database, issue, actor=actor)


async def test_a_day_is_listed_in_the_order_of_its_tour(database, city, issue):
    last, first = await plan(database, issue), await plan(database, issue, tour_position=0)
    middle = [await plan(database, issue, tour_position=1) for _ in range(2)]
    await plan(database, issue, planned_on=WEDNESDAY)
    await plan(database, issue, crew_code="equipe-est")

    page = await listed(database, city, actor=CREW, planned_on=TUESDAY)

    middle_ids = sorted([last.id, *(order.id for order in middle)])
    assert [order.id for order in page.items] == [first.id, *middle_ids]
    assert page.next_cursor is None


@pytest.mark.parametrize(
    "filters",
    [{}, {"crew_code": "equipe-1"}, {"planned_on": TUESDAY}, {"crew_code": "equipe-1", "planned_on": TUESDAY}],
)
async def test_pages_show_every_order_once_also_while_orders_are_added(database, city, issue, filters):
    for planned_on in (WEDNESDAY, TUESDAY, TUESDAY):
        for crew_code in ("equipe-est", "equipe-1"):
            await plan(database, issue, crew_code=crew_code, planned_on=planned_on)
    whole = (await listed(database, city, **filters)).items
    seen, cursor = [], None
    while True:
        page = await listed(database, city, limit=1, cursor=cursor, **filters)
        seen += page.items
        if not seen[1:]:
            await plan(database, issue, planned_on=TUESDAY - timedelta(days=1))
        if (cursor := page.next_cursor) is None:
            break

    assert [order.id for order in seen] == [order.id for order in whole]
    keys = [(order.planned_on, order.crew_code, order.tour_position, order.id) for order in seen]
    assert keys == sorted(keys)


@pytest.mark.parametrize("cursor", ["x", write_cursor("orders", "2026-11-24", "a\x00", 1, new_id())])
async def test_a_made_up_cursor_is_refused(database, city, cursor):
    with pytest.raises(InvalidCursor):
        await listed(database, city, cursor=cursor)


async def test_a_crew_sees_its_own_orders_only(database, city, issue):
    own, foreign = await plan(database, issue), await plan(database, issue, crew_code="equipe-est")

    assert [order.id for order in (await listed(database, city, actor=CREW)).items] == [own.id]
    with pytest.raises(NotAllowed):
        await listed(database, city, actor=CREW, crew_code="equipe-est")
    with pytest.raises(WorkOrderNotFound):
        await find(database, city, foreign.id, actor=CREW)
    with pytest.raises(WorkOrderNotFound):
        await change(database, foreign, actor=CREW, status="done")
    assert (await find(database, city, foreign.id)).id == foreign.id


async def test_residents_see_no_orders(database, city, issue):
    order = await plan(database, issue)
    with pytest.raises(NotAllowed):
        await listed(database, city, actor=RESIDENT)
    with pytest.raises(NotAllowed):
        await find(database, city, order.id, actor=RESIDENT)


async def test_a_change_of_an_old_version_is_refused_with_the_current_order(database, issue):
    order = await plan(database, issue)
    await change(database, order, actor=AGENT, tour_position=7)

    with pytest.raises(StaleWorkOrder) as refused:
        await change(database, order, note="Trop tard")

    assert (refused.value.current.version, refused.value.current.tour_position) == (2, 7)


async def test_of_two_changes_of_one_version_one_wins(database, issue):
    order = await plan(database, issue)

    outcomes = await asyncio.gather(
        *(change(database, order, actor=AGENT, note=str(n)) for n in range(4)), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes].count(StaleWorkOrder) == 3


async def test_a_change_sent_again_changes_nothing_more(database, issue):
    order = await plan(database, issue)
    photo_id = new_id()
    wish = {"status": "in_progress", "note": "Début", "photo_ids": (photo_id,)}
    first = await change(database, order, **wish)

    again = await change(database, order, **wish)

    assert (again.version, again.photo_ids) == (first.version, (photo_id,)) == (2, (photo_id,))


async def test_a_change_with_an_id_is_made_once_though_others_have_changed_the_order_since(database, issue):
    order, command_id = await plan(database, issue), new_id()
    await change(database, order, note="Début", command_id=command_id)
    await change(database, order, actor=AGENT, version=2, note="Fin")

    again = await change(database, order, note="Début", command_id=command_id)

    assert (again.version, again.note) == (3, "Fin")


async def test_simultaneous_copies_of_a_change_are_one(database, issue):
    order, command_id = await plan(database, issue), new_id()

    copies = await asyncio.gather(
        *(change(database, order, status="in_progress", command_id=command_id) for _ in range(5))
    )

    assert [(copy.version, copy.status) for copy in copies] == [(2, OrderStatus.IN_PROGRESS)] * 5
    assert (await status_of(database, issue)) is Status.IN_PROGRESS


async def test_a_crew_gets_the_answer_to_its_change_also_after_the_order_became_anothers(database, issue):
    order, command_id = await plan(database, issue), new_id()
    await change(database, order, tour_position=3, command_id=command_id)
    await change(database, order, actor=AGENT, version=2, crew_code="equipe-est")

    again = await change(database, order, tour_position=3, command_id=command_id)

    assert (again.version, again.crew_code) == (3, "equipe-est")


@pytest.mark.parametrize("other", [{"note": "Autre"}, {"tour_position": 2}, {"version": 2}, {"actor": AGENT}])
async def test_the_id_of_one_change_does_for_no_other(database, issue, other):
    order, command_id = await plan(database, issue), new_id()
    first = {"note": "Début", "command_id": command_id}
    await change(database, order, **first)

    with pytest.raises(CommandIdUsed):
        await change(database, order, **{**first, **other})


async def test_an_id_does_for_one_kind_of_command(database, issue):
    command_id = new_id()
    order = await plan(database, issue, id=command_id)

    with pytest.raises(CommandIdUsed):
        await change(database, order, actor=AGENT, note="Début", command_id=command_id)
    with pytest.raises(CommandIdUsed):
        await bring(database, issue, "resolved", command_id=command_id)


async def test_a_day_and_a_crew_are_changed_by_those_who_plan(database, city, issue):
    order = await plan(database, issue)
    for wish in ({"planned_on": WEDNESDAY}, {"crew_code": "equipe-est"}):
        with pytest.raises(NotAllowed):
            await change(database, order, **wish)

    moved = await change(database, order, actor=AGENT, planned_on=WEDNESDAY, crew_code="equipe-est")

    assert (moved.planned_on, moved.crew_code, moved.version) == (WEDNESDAY, "equipe-est", 2)
    assert await notices(database, city.id) == ["scheduled"]


async def test_a_blank_note_takes_the_note_away(database, issue):
    order = await plan(database, issue, note="Pelle")

    assert (await change(database, order, note=" ")).note is None


@pytest.mark.parametrize(
    ("path", "refused"), [(["done"], "in_progress"), (["cancelled"], "done"), (["in_progress"], "planned")]
)
async def test_an_order_goes_only_where_its_table_leads(database, issue, path, refused):
    order = await plan(database, issue)
    for status in path:
        order = await change(database, order, actor=AGENT, status=status)

    with pytest.raises(TransitionNotAllowed):
        await change(database, order, actor=AGENT, status=refused)


async def test_a_crew_does_not_call_work_off(database, issue):
    order = await plan(database, issue)
    with pytest.raises(NotAllowed):
        await change(database, order, status="cancelled")


async def test_photos_are_added_and_show_how_far_they_came(owner, database, city, issue):
    there, awaited = new_id(), new_id()
    await arrive(owner, there, CREW.sender, state="ready")
    order = await plan(database, issue)

    order = await change(database, order, photo_ids=(there,))
    order = await change(database, order, photo_ids=(awaited, there))

    assert order.photos == (OrderPhoto(there, "ready"), OrderPhoto(awaited, None))
    await arrive(owner, awaited, CREW.sender)
    assert (await find(database, city, order.id)).photos[1] == OrderPhoto(awaited, "pending")


async def test_a_photo_of_somebody_else_shows_nothing_until_its_owner_names_it(owner, database, issue):
    photo_id = new_id()
    await arrive(owner, photo_id, AGENT.sender)
    order = await plan(database, issue)

    order = await change(database, order, photo_ids=(photo_id,))
    assert order.photos == ()

    order = await change(database, order, actor=AGENT, photo_ids=(photo_id,))
    assert order.photo_ids == (photo_id,)


async def test_a_photo_is_part_of_one_order_only(database, issue):
    photo_id = new_id()
    first, second = await plan(database, issue), await plan(database, issue)
    await change(database, first, photo_ids=(photo_id,))

    with pytest.raises(PhotoTaken) as refused:
        await change(database, second, photo_ids=(photo_id,))

    assert refused.value.photo_id == photo_id


async def test_orders_of_another_city_are_not_found(owner, database, issue):
    order = await plan(database, issue)
    elsewhere = await open_town(owner, database, AILLEURS)

    with pytest.raises(WorkOrderNotFound):
        await find(database, elsewhere, order.id)
    assert (await listed(database, elsewhere)).items == ()
