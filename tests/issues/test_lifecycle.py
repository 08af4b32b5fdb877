"""Statuses: where they lead, who leads them, what residents are told."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issues.actors import ANONYMOUS, SYSTEM, Actor, Role
from issues.issue import OPEN_SQL
from issues.lifecycle import (
    CLOSED,
    CREW_STATUSES,
    OPEN,
    ORDER_TRANSITIONS,
    TRANSITIONS,
    NotAllowed,
    NoticeKind,
    OrderStatus,
    Status,
    TransitionNotAllowed,
    allowed_transitions,
    check_order_transition,
    check_transition,
    issue_status_after,
    notice_of,
)

AGENT = Actor("staff:a", Role.AGENT)
CREW = Actor("staff:c", Role.CREW, "equipe-1")
RESIDENT = Actor("device:d", Role.RESIDENT)

S, N, W = Status, NoticeKind, OrderStatus


def test_the_index_of_open_issues_holds_the_open_statuses():
    assert set(re.findall(r"'(\w+)'", OPEN_SQL)) == OPEN


def test_open311_calls_four_statuses_closed():
    assert {"resolved", "closed", "declined", "transferred"} == CLOSED


def test_every_status_leads_somewhere_and_none_to_itself_or_back_to_received():
    assert TRANSITIONS.keys() == set(Status)
    for current, following in TRANSITIONS.items():
        assert following
        assert current not in following
        assert Status.RECEIVED not in following
        assert len(set(following)) == len(following)


@pytest.mark.parametrize("current", sorted(CLOSED))
def test_a_closed_issue_can_be_reopened(current):
    assert OPEN & set(TRANSITIONS[current])


def test_only_what_was_dealt_with_is_closed_for_good():
    assert {current for current, following in TRANSITIONS.items() if S.CLOSED in following} == CLOSED - {S.CLOSED}


@given(st.sampled_from(Status), st.sampled_from(Status), st.sampled_from(list(Role)))
def test_a_transition_passes_exactly_if_it_is_among_those_allowed_to_the_role(current, wanted, role):
    actor = Actor("staff:x", role)
    try:
        check_transition(current, wanted, actor)
    except (NotAllowed, TransitionNotAllowed):
        passed = False
    else:
        passed = True

    assert passed == (wanted in allowed_transitions(current, role))


@pytest.mark.parametrize("wanted", sorted(set(Status) - CREW_STATUSES))
def test_a_crew_does_the_work_and_decides_nothing_else(wanted):
    with pytest.raises(NotAllowed) as refused:
        check_transition(S.IN_PROGRESS, wanted, CREW)

    assert refused.value.role is Role.CREW


@pytest.mark.parametrize("actor", [RESIDENT, ANONYMOUS])
def test_residents_change_no_status(actor):
    with pytest.raises(NotAllowed):
        check_transition(S.RECEIVED, S.RESOLVED, actor)


def test_a_refusal_names_the_ways_that_are_open():
    with pytest.raises(TransitionNotAllowed) as refused:
        check_transition(S.CLOSED, S.RESOLVED, AGENT)

    assert (refused.value.current, refused.value.wanted) == (S.CLOSED, S.RESOLVED)
    assert refused.value.allowed == (S.ACKNOWLEDGED,)


@pytest.mark.parametrize(
    ("before", "after", "public_note", "told"),
    [
        (S.RECEIVED, S.ACKNOWLEDGED, False, N.ACKNOWLEDGED),
        (S.ACKNOWLEDGED, S.SCHEDULED, False, N.SCHEDULED),
        (S.SCHEDULED, S.IN_PROGRESS, False, None),
        (S.SCHEDULED, S.IN_PROGRESS, True, N.NOTE),
        (S.SCHEDULED, S.ACKNOWLEDGED, False, N.POSTPONED),
        (S.IN_PROGRESS, S.ACKNOWLEDGED, False, N.POSTPONED),
        (S.IN_PROGRESS, S.RESOLVED, False, N.RESOLVED),
        (S.IN_PROGRESS, S.RESOLVED, True, N.RESOLVED),
        (S.RESOLVED, S.CLOSED, False, None),
        (S.RESOLVED, S.IN_PROGRESS, False, N.REOPENED),
        (S.CLOSED, S.ACKNOWLEDGED, False, N.REOPENED),
        (S.DECLINED, S.ACKNOWLEDGED, True, N.REOPENED),
        (S.RECEIVED, S.DECLINED, False, N.DECLINED),
        (S.RECEIVED, S.TRANSFERRED, False, N.TRANSFERRED),
        (S.CLOSED, S.CLOSED, True, N.NOTE),
        (S.RECEIVED, S.RECEIVED, False, None),
    ],
)
def test_residents_are_told_what_matters_to_them_once(before, after, public_note, told):
    assert notice_of(before, after, public_note=public_note) is told


@pytest.mark.parametrize(
    ("order", "current", "wanted"),
    [
        (W.PLANNED, S.RECEIVED, S.SCHEDULED),
        (W.PLANNED, S.ACKNOWLEDGED, S.SCHEDULED),
        (W.PLANNED, S.SCHEDULED, None),
        (W.PLANNED, S.IN_PROGRESS, None),
        (W.IN_PROGRESS, S.SCHEDULED, S.IN_PROGRESS),
        (W.DONE, S.IN_PROGRESS, S.RESOLVED),
        (W.DONE, S.SCHEDULED, S.RESOLVED),
        (W.DONE, S.DECLINED, None),
        (W.CANCELLED, S.SCHEDULED, S.ACKNOWLEDGED),
        (W.CANCELLED, S.IN_PROGRESS, S.ACKNOWLEDGED),
        (W.CANCELLED, S.RECEIVED, None),
        (W.CANCELLED, S.RESOLVED, None),
    ],
)
def test_a_work_order_takes_its_issues_along(order, current, wanted):
    assert issue_status_after(order, current) is wanted


@pytest.mark.parametrize(("order", "current"), list(itertools.product(OrderStatus, Status)))
def test_a_work_order_moves_issues_only_along_the_table(order, current):
    wanted = issue_status_after(order, current)

    assert wanted is None or wanted in TRANSITIONS[current]


def test_an_order_that_ended_stays_ended():
    for ended in (W.DONE, W.CANCELLED):
        assert ORDER_TRANSITIONS[ended] == ()
        with pytest.raises(TransitionNotAllowed):
            check_order_transition(ended, W.IN_PROGRESS, SYSTEM)


def test_a_crew_starts_and_finishes_an_order_but_does_not_call_it_off():
    check_order_transition(W.PLANNED, W.IN_PROGRESS, CREW)
    check_order_transition(W.IN_PROGRESS, W.DONE, CREW)
    with pytest.raises(NotAllowed):
        check_order_transition(W.PLANNED, W.CANCELLED, CREW)
    check_order_transition(W.PLANNED, W.CANCELLED, AGENT)


def test_residents_have_nothing_to_do_with_orders():
    with pytest.raises(NotAllowed):
        check_order_transition(W.PLANNED, W.DONE, RESIDENT)
