"""What counts as an answer to a service's questions."""

from typing import Any

import pytest

from issues.questions import AnswersRefused, Question, WrongAnswer, read_answers


def question(kind: str, *choices: str, required: bool = False) -> Question:
    values = [{"code": code, "names": {"fr": code, "en": code}} for code in choices]
    names = {"fr": "?", "en": "?"}
    return Question.read({"code": "q", "names": names, "kind": kind, "required": required, "values": values})


@pytest.mark.parametrize(
    ("asked", "answer", "kept"),
    [
        (question("text"), "Poteau 12", "Poteau 12"),
        (question("number"), 0, 0.0),
        (question("number"), -2.5, -2.5),
        (question("number"), "3.5", 3.5),  # as a form sends it
        (question("boolean"), False, False),
        (question("boolean"), "true", True),
        (question("boolean"), "false", False),
        (question("single", "petit", "grand"), "grand", "grand"),
        (question("multiple", "a", "b", "c"), ["c", "a"], ["c", "a"]),
        (question("multiple", "a", "b", "c"), "b", ["b"]),
    ],
)
def test_an_answer_is_kept_as_its_question_asks(asked, answer, kept):
    read = read_answers([asked], {"q": answer})["q"]

    assert (read, type(read)) == (kept, type(kept))


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (question("text"), 12.0),
        (question("text"), ["a"]),
        (question("number"), "douze"),
        (question("number"), "inf"),
        (question("number"), "nan"),
        (question("number"), 10**400),
        (question("number"), True),
        (question("number"), [1]),
        (question("boolean"), "oui"),
        (question("boolean"), 1.0),
        (question("boolean"), ["true"]),
        (question("single", "petit", "grand"), "moyen"),
        (question("single", "petit", "grand"), "Grand"),
        (question("single", "petit", "grand"), ["grand"]),
        (question("single", "1", "2"), 1),
        (question("multiple", "a", "b"), ["a", "c"]),
        (question("multiple", "a", "b"), ["a", "a"]),
        (question("multiple", "a", "b"), "c"),
        (question("multiple", "a", "b"), True),
    ],
)
def test_what_is_no_answer_to_its_question_is_refused(asked, answer):
    with pytest.raises(AnswersRefused) as refused:
        read_answers([asked], {"q": answer})

    assert refused.value.wrong == (WrongAnswer("q", asked),)


@pytest.mark.parametrize("nothing", [{}, {"q": None}, {"q": " "}, {"q": []}])
@pytest.mark.parametrize("kind", ["text", "number", "boolean", "single", "multiple"])
def test_nothing_is_an_answer_only_where_none_is_required(kind, nothing: dict[str, Any]):
    choices = ["a"] if kind in {"single", "multiple"} else []
    needed = question(kind, *choices, required=True)

    assert read_answers([question(kind, *choices)], nothing) == {}
    with pytest.raises(AnswersRefused) as refused:
        read_answers([needed], nothing)
    assert refused.value.wrong == (WrongAnswer("q", needed, missing=True),)


def test_all_that_is_wrong_is_named_at_once():
    needed = question("boolean", required=True)

    with pytest.raises(AnswersRefused) as refused:
        read_answers([needed], {"couleur": "rouge", "taille": None})

    assert refused.value.wrong == (
        WrongAnswer("q", needed, missing=True),
        WrongAnswer("couleur", None),
        WrongAnswer("taille", None),
    )
