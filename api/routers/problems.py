"""What the `type` of a problem leads to: what kind of problem it is."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.listener import listener_of
from api.models.fields import Code
from api.problems.refusals import NothingHere
from api.problems.table import PROBLEMS, UNEXPECTED

router = APIRouter(prefix="/problems", include_in_schema=False)


@router.get("/{slug}")
async def explain_problem(request: Request, slug: Code) -> Response:
    """Tell what kind of problem a slug names, in the reader's language."""
    problem = next((each for each in (*PROBLEMS.values(), UNEXPECTED) if each.slug == slug), None)
    if problem is None:
        raise NothingHere
    say = listener_of(request).say
    return JSONResponse({"type": f"/problems/{slug}", "title": say(problem.title), "status": problem.status})
