"""What becomes of a delivery after a try, by the rules of the providers; pure.

FCM: no two sends of one message within ten seconds; where FCM is in trouble, wait from ten seconds on, doubled each
time, for an hour at most; where it does not answer, once more. Who refuses our credentials says nothing of the message:
it waits for as long as it is worth anything.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from push.channels import Outcome, SendResult

FIRST_DELAY_S: Final = 10.0
TRYING_S: Final = 3600.0

# A provider that stalls is given the time to come round, since the second silence is the last.
_NO_ANSWER_DELAY_S = 60.0
# How long to leave alone what only an operator can mend: long enough to be no load, short enough to go out soon after.
_STOP_DELAY_S = 300.0


@dataclass(frozen=True, slots=True)
class Tries:
    """How a delivery has fared.

    Attributes:
        attempts: How often it left, or may have, where its sender was killed.
        failures: How often its provider was in trouble.
        unanswered: How often it left and nobody answered.
    """

    attempts: int = 0
    failures: int = 0
    unanswered: int = 0


@dataclass(frozen=True, slots=True)
class Ending:
    """How one try ended: the delivery's new state, and when it is due where it stays queued."""

    state: str
    tries: Tries
    due_at: datetime | None = None


def ending_of(
    result: SendResult, tries: Tries, *, due_at: datetime, expires_at: datetime, now: datetime, jitter: float
) -> Ending:
    """Decide what becomes of a delivery.

    Args:
        result: Of its last try.
        tries: All of them, with this one among the attempts but not yet among failures.
        due_at: When it had fallen due.
        expires_at: From then on it is worth nothing.
        now: Time of the answer.
        jitter: From 0 to 1; spreads what failed together.
    """
    match result.outcome:
        case Outcome.SENT:
            return Ending("sent", tries)
        case Outcome.FORGET:
            return Ending("forgotten", tries)
        case Outcome.GIVE_UP:
            return Ending("dead", tries)
        case Outcome.UNSENT:
            # It keeps its place, unless there is a reason to wait.
            waits_until = due_at if result.retry_after_s is None else now + timedelta(seconds=result.retry_after_s)
            return _queued(waits_until, replace(tries, attempts=tries.attempts - 1), expires_at)
        case Outcome.RETRY:
            tries = replace(tries, failures=tries.failures + 1)
            dead = _waited_s(tries.failures + 1) > TRYING_S
        case Outcome.NO_ANSWER:
            tries = replace(tries, unanswered=tries.unanswered + 1)
            dead = tries.unanswered > 1
        case Outcome.QUOTA | Outcome.STOP_PROJECT | Outcome.STOP_PLATFORM:
            dead = False
    if dead:
        return Ending("dead", tries)
    return _queued(now + timedelta(seconds=retry_delay_s(result, tries.failures, jitter=jitter)), tries, expires_at)


def retry_delay_s(result: SendResult, failures: int, *, jitter: float) -> float:
    """Choose how long to wait before a message that left is sent again.

    Never less than ten seconds, nor than the provider asked for, and up to a quarter more to spread the load.

    Args:
        result: Of the last try.
        failures: How often the provider was in trouble, this time included.
        jitter: From 0 to 1.
    """
    asked_s = result.retry_after_s or 0.0
    match result.outcome:
        case Outcome.RETRY:
            wait_s = FIRST_DELAY_S * 2.0 ** (min(max(failures, 1), 20) - 1)
        case Outcome.NO_ANSWER:
            wait_s = _NO_ANSWER_DELAY_S
        case Outcome.STOP_PROJECT | Outcome.STOP_PLATFORM:
            wait_s = _STOP_DELAY_S
        case _:
            wait_s = FIRST_DELAY_S
    return max(wait_s, asked_s) * (1 + jitter / 4)


def _waited_s(tries: int) -> float:
    """How long after the first failure a try comes at the latest, by doubling alone."""
    return FIRST_DELAY_S * (2.0 ** min(tries - 1, 20) - 1) * 1.25


def _queued(due_at: datetime, tries: Tries, expires_at: datetime) -> Ending:
    return Ending("queued", tries, due_at) if due_at < expires_at else Ending("expired", tries)
