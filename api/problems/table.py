"""From what went wrong below to what the caller is told: one table, problem documents of RFC 9457 on the wire."""

from collections.abc import Mapping
from typing import Any, Final

from api.listener import Listener
from api.problems.of_calls import OF_CALLS
from api.problems.of_photos import OF_PHOTOS
from api.problems.of_reports import OF_REPORTS
from api.problems.particulars import Problem
from api.problems.refusals import FieldError
from issues.languages import msgid

PROBLEMS: Final[Mapping[type[Exception], Problem]] = {**OF_CALLS, **OF_REPORTS, **OF_PHOTOS}
UNEXPECTED: Final = Problem(
    500, "unexpected", msgid("Our mistake"), msgid("Something went wrong on our side. It has been written down.")
)


def problem_document(problem: Problem, error: Exception, listener: Listener, *, request_id: str) -> dict[str, Any]:
    """Write a problem document in the listener's language."""
    found = problem.particulars(error, listener)
    text = found.text or problem.detail
    errors = found.errors
    if errors is None:
        errors = [FieldError(name, text, found.params) for name in problem.fields]
    return {
        "type": f"/problems/{problem.slug}",
        "title": listener.say(problem.title),
        "status": problem.status,
        "detail": listener.say(text, **found.params),
        "errors": [{"field": each.field, "detail": listener.say(each.text, **each.params)} for each in errors],
        "request_id": request_id,
        **found.members,
    }
