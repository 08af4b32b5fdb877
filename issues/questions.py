"""The questions that a service asks, and what counts as an answer to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Any


class QuestionKind(StrEnum):
    """What an answer to a question looks like."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    SINGLE = "single"
    MULTIPLE = "multiple"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the answers to choose from."""

    code: str
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Question:
    """A question that goes with a service.

    Attributes:
        names: The question as people are asked it, by language.
        choices: For the kinds single and multiple; empty for all others.
    """

    code: str
    names: Mapping[str, str]
    kind: QuestionKind
    required: bool
    choices: tuple[Choice, ...]

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> "Question":
        """Read a question as a pack's loading wrote it."""
        return cls(
            code=stored["code"],
            names=stored["names"],
            kind=QuestionKind(stored["kind"]),
            required=stored["required"],
            choices=tuple(Choice(choice["code"], choice["names"]) for choice in stored["values"]),
        )

    @property
    def choice_codes(self) -> tuple[str, ...]:
        """The codes to answer with, in the pack's order."""
        return tuple(choice.code for choice in self.choices)


@dataclass(frozen=True, slots=True)
class WrongAnswer:
    """An answer that is missing, or is none to its question.

    Attributes:
        code: The question's, as the sender wrote it.
        question: None where the service asks no such question.
        missing: Whether nothing was answered to a question that has to be.
    """

    code: str
    question: Question | None
    missing: bool = False


@dataclass(eq=False)
class AnswersRefused(Exception):
    """Answers to a service's questions are wrong or missing.

    Attributes:
        wrong: All of them, in the order of the questions; those to questions never asked come last.
    """

    wrong: tuple[WrongAnswer, ...]


def read_answers(questions: Sequence[Question], given: Mapping[str, Any]) -> dict[str, Any]:
    """Check the answers to a service's questions, and put them into the form in which they are kept.

    Forms send texts only: a number, true or false may come as its text, and a single choice of many as itself.

    Args:
        questions: What the service asks.
        given: Answers by the code of their question; None, a blank text and an empty list answer nothing.

    Returns:
        What was answered, by code: a text, a number, a boolean, or a list of the codes chosen.

    Raises:
        AnswersRefused: answers are wrong, or missing where one is required.
    """
    answers: dict[str, Any] = {}
    wrong: list[WrongAnswer] = []
    for question in questions:
        answer = given.get(question.code)
        if _is_blank(answer):
            wrong += [WrongAnswer(question.code, question, missing=True)] if question.required else []
        elif (read := _read(question, answer)) is None:
            wrong.append(WrongAnswer(question.code, question))
        else:
            answers[question.code] = read
    asked = {question.code for question in questions}
    wrong += [WrongAnswer(code, None) for code in given if code not in asked]
    if wrong:
        raise AnswersRefused(tuple(wrong))
    return answers


def _is_blank(answer: Any) -> bool:
    return answer is None or answer == [] or (isinstance(answer, str) and not answer.strip())


def _read(question: Question, answer: Any) -> str | float | bool | list[str] | None:
    """Read an answer that is not blank; None where it is none to this question."""
    match question.kind:
        case QuestionKind.TEXT:
            return answer if isinstance(answer, str) else None
        case QuestionKind.NUMBER:
            return _number(answer)
        case QuestionKind.BOOLEAN:
            return _boolean(answer)
        case QuestionKind.SINGLE:
            return answer if answer in question.choice_codes else None
        case QuestionKind.MULTIPLE:
            return _choices(question, answer)


def _number(answer: Any) -> float | None:
    if isinstance(answer, bool) or not isinstance(answer, str | int | float):
        return None
    try:
        number = float(answer)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


def _boolean(answer: Any) -> bool | None:
    if isinstance(answer, str):
        return {"true": True, "false": False}.get(answer)
    return answer if isinstance(answer, bool) else None


def _choices(question: Question, answer: Any) -> list[str] | None:
    chosen = [answer] if isinstance(answer, str) else answer
    if not isinstance(chosen, list) or not all(code in question.choice_codes for code in chosen):
        return None
    return chosen if len(set(chosen)) == len(chosen) else None
