"""When a push host is left alone, and for how long."""

import pytest

from push.circuits import FAILURES, FIRST_PAUSE_S, LONGEST_PAUSE_S, Circuits

HOST, OTHER = "https://push.example.net", "https://push.example.org"


def failed(times, *, at=0.0):
    circuits = Circuits()
    for _ in range(times):
        circuits.note_failure(HOST, at)
    return circuits


@pytest.mark.parametrize(("failures", "wait_s"), [(FAILURES - 1, 0.0), (FAILURES, FIRST_PAUSE_S)])
def test_failures_in_a_row_open_the_circuit_of_their_host_alone(failures, wait_s):
    circuits = failed(failures)

    assert circuits.ask(HOST, 0.0) == wait_s
    assert circuits.ask(OTHER, 0.0) == 0.0


def test_an_answer_in_between_keeps_it_closed():
    circuits = failed(FAILURES - 1)

    circuits.note_answer(HOST, 0.0)
    circuits.note_failure(HOST, 0.0)

    assert circuits.ask(HOST, 0.0) == 0.0


def test_those_that_were_on_their_way_when_it_opened_do_not_prolong_the_pause():
    assert failed(FAILURES + 20).ask(HOST, 1.0) == FIRST_PAUSE_S - 1


def test_after_the_pause_one_goes_out_to_see():
    circuits = failed(FAILURES)

    assert circuits.ask(HOST, FIRST_PAUSE_S) == 0.0
    assert circuits.ask(HOST, FIRST_PAUSE_S) > 0.0


def test_where_the_one_is_answered_all_may_go():
    circuits = failed(FAILURES)
    circuits.ask(HOST, FIRST_PAUSE_S)

    circuits.note_answer(HOST, FIRST_PAUSE_S + 1)

    assert [circuits.ask(HOST, FIRST_PAUSE_S + 1) for _ in range(3)] == [0.0] * 3


def test_where_the_one_fails_each_pause_is_twice_as_long_up_to_a_limit():
    circuits, now, pauses = failed(FAILURES), 0.0, []
    for _ in range(7):
        pauses.append(circuits.ask(HOST, now))
        now += pauses[-1]
        assert circuits.ask(HOST, now) == 0.0
        circuits.note_failure(HOST, now)

    assert pauses == [30.0, 60.0, 120.0, 240.0, 480.0, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


def test_one_that_went_out_to_see_and_never_came_back_is_followed_by_another():
    circuits = failed(FAILURES)
    circuits.ask(HOST, FIRST_PAUSE_S)

    wait_s = circuits.ask(HOST, FIRST_PAUSE_S)

    assert circuits.ask(HOST, FIRST_PAUSE_S + wait_s) == 0.0


def test_a_rest_that_was_asked_for_lasts_whatever_else_is_answered():
    circuits = Circuits()
    circuits.rest(HOST, 60.0)

    circuits.note_answer(HOST, 10.0)

    assert circuits.ask(HOST, 10.0) == 50.0
    assert [circuits.ask(HOST, 60.0) for _ in range(2)] == [0.0, 0.0]
