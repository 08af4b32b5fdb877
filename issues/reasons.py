"""What each reason of a score says to people, one short sentence. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from issues.languages import msgid
from issues.match import SAME, SIBLING, Reason

Sentence = tuple[str, Mapping[str, Any]]
"""A sentence to be translated, and the values that go into it."""

_LATELY_D: Final = 1.0
_ALIKE: Final = 0.5
_ALIKE_BITS: Final = 12  # of the 64 of a difference hash


def sentence_of(reason: Reason, *, of_pair: bool = False) -> Sentence:
    """Say what a reason means.

    Args:
        reason: Also one that was stored with a report long ago, by a version that weighed something else.
        of_pair: Whether it is about two issues that are there, whenever that is read, and not about a report just sent.

    Returns:
        The sentence for `Languages.translate`, and its values.
    """
    say = (_OF_PAIRS if of_pair else _SENTENCES).get(reason.factor)
    return (msgid("Something else: {factor}"), {"factor": reason.factor}) if say is None else say(reason.value)


def _distance(metres: float) -> Sentence:
    return msgid("{metres} m away"), {"metres": round(metres)}


def _age(days: float) -> Sentence:
    if days < _LATELY_D:
        return msgid("Last reported within a day"), {}
    if round(days) == 1:
        return msgid("Last reported a day ago"), {}
    return msgid("Last reported {days} days ago"), {"days": round(days)}


def _apart(days: float) -> Sentence:
    if days < _LATELY_D:
        return msgid("Reported within a day of each other"), {}
    if round(days) == 1:
        return msgid("Reported a day apart"), {}
    return msgid("Reported {days} days apart"), {"days": round(days)}


def _service(closeness: float) -> Sentence:
    if closeness >= SAME:
        return msgid("The same kind of problem"), {}
    if closeness >= SIBLING:
        return msgid("A kind of problem that is often taken for this one"), {}
    return msgid("Another kind of problem"), {}


def _house_numbers(apart: float) -> Sentence:
    if apart == 0:
        return msgid("At the same address or crossing"), {}
    return msgid("On the same street, house numbers {apart} apart"), {"apart": round(apart)}


def _crowding(others: float) -> Sentence:
    if round(others) == 1:
        return msgid("Another one like it is near"), {}
    return msgid("{count} others like it are near"), {"count": round(others)}


def _reports(count: float) -> Sentence:
    return msgid("Reported {count} times already"), {"count": round(count)}


def _words(likeness: float) -> Sentence:
    return (msgid("Described in like words") if likeness >= _ALIKE else msgid("Described in other words")), {}


def _photos(bits_apart: float) -> Sentence:
    return (msgid("The photos look alike") if bits_apart <= _ALIKE_BITS else msgid("The photos look different")), {}


def _always(sentence: str) -> Callable[[float], Sentence]:
    return lambda _value: (sentence, {})


_SENTENCES: Final[Mapping[str, Callable[[float], Sentence]]] = {
    "distance": _distance,
    "age": _age,
    "service": _service,
    "house_numbers": _house_numbers,
    "other_street": _always(msgid("On another street")),
    "same_block": _always(msgid("In the same block")),
    "crowding": _crowding,
    "reports": _reports,
    "words": _words,
    "photos": _photos,
    "came_back": _always(msgid("It was fixed a short while ago, and may have come back")),
    "wish": _always(msgid("Its sender said that it is the same problem")),
}
_OF_PAIRS: Final = {**_SENTENCES, "age": _apart}
