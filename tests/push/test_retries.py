"""What the providers' rules make of each outcome, at their limits."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from push.channels import Outcome, SendResult
from push.retries import Tries, ending_of, retry_delay_s
from tests.push.people import NOON, after

TOMORROW = NOON + timedelta(hours=24)
AGAIN = [Outcome.RETRY, Outcome.NO_ANSWER, Outcome.QUOTA, Outcome.STOP_PROJECT, Outcome.STOP_PLATFORM]


ONCE = Tries(attempts=1)


def end(outcome, tries=ONCE, *, jitter=0.0, expires_at=TOMORROW, **result):
    return ending_of(
        SendResult(outcome, **result), tries, due_at=after(-5), expires_at=expires_at, now=NOON, jitter=jitter
    )


@pytest.mark.parametrize(
    ("outcome", "state"), [(Outcome.SENT, "sent"), (Outcome.FORGET, "forgotten"), (Outcome.GIVE_UP, "dead")]
)
def test_what_is_final_is_not_due_again(outcome, state):
    assert (end(outcome).state, end(outcome).due_at) == (state, None)


@pytest.mark.parametrize(
    ("failures", "wait_s"), [(0, 10), (1, 20), (2, 40), (3, 80), (4, 160), (5, 320), (6, 640), (7, 1280)]
)
def test_a_provider_in_trouble_is_asked_again_after_ten_seconds_doubled_each_time(failures, wait_s):
    ending = end(Outcome.RETRY, Tries(attempts=failures + 1, failures=failures))

    assert (ending.state, ending.due_at) == ("queued", after(wait_s))
    assert ending.tries.failures == failures + 1


@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_a_provider_in_trouble_is_asked_for_no_longer_than_an_hour(jitter):
    tries, waited_s = Tries(), 0.0
    while (ending := end(Outcome.RETRY, tries, jitter=jitter)).state == "queued":
        waited_s += (ending.due_at - NOON).total_seconds()
        tries = ending.tries

    assert ending.state == "dead"
    assert 2550 <= waited_s <= 3600


def test_what_nobody_answered_is_sent_once_more_and_then_given_up():
    first = end(Outcome.NO_ANSWER)
    second = end(Outcome.NO_ANSWER, first.tries)

    assert (first.state, first.due_at) == ("queued", after(60))
    assert (second.state, second.tries.unanswered) == ("dead", 2)


@pytest.mark.parametrize(("retry_after_s", "due_after_s"), [(None, -5), (0.0, 0), (42.0, 42)])
def test_what_never_left_counts_as_no_attempt_and_keeps_its_place_unless_asked_to_wait(retry_after_s, due_after_s):
    ending = end(Outcome.UNSENT, Tries(attempts=3), jitter=1.0, retry_after_s=retry_after_s)

    assert (ending.state, ending.due_at) == ("queued", after(due_after_s))
    assert ending.tries == Tries(attempts=2)


@pytest.mark.parametrize("outcome", [Outcome.QUOTA, Outcome.STOP_PROJECT, Outcome.STOP_PLATFORM])
def test_what_says_nothing_of_the_message_is_tried_for_as_long_as_it_is_worth_anything(outcome):
    ending = end(outcome, Tries(attempts=500, failures=8, unanswered=1))

    assert ending.state == "queued"
    assert ending.tries == Tries(attempts=500, failures=8, unanswered=1)


@pytest.mark.parametrize("outcome", [*AGAIN, Outcome.UNSENT])
@pytest.mark.parametrize(("expires_after_s", "state"), [(400, "expired"), (401, "queued")])
def test_what_would_come_too_late_is_not_sent_any_more(outcome, expires_after_s, state):
    ending = end(outcome, expires_at=after(expires_after_s), retry_after_s=400.0)

    assert ending.state == state


@given(
    outcome=st.sampled_from(AGAIN),
    failures=st.integers(0, 10_000),
    retry_after_s=st.none() | st.floats(0, 1e6),
    jitter=st.floats(0, 1),
)
def test_no_message_is_sent_twice_within_ten_seconds_or_before_its_provider_wants_it(
    outcome, failures, retry_after_s, jitter
):
    delay_s = retry_delay_s(SendResult(outcome, retry_after_s=retry_after_s), failures, jitter=jitter)

    assert delay_s >= max(10, retry_after_s or 0)
