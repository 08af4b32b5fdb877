"""The review queue: what may be one problem, for the city's staff to say."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from api.deps import CityAgent, CityWords, Cursor, Limit, Now, Transaction
from api.models.lists import ItemList, next_links
from api.models.matches import ConfirmIn, PossibleMatchOut, RejectIn
from api.models.regrouping import RegroupingOut
from api.openapi import problems
from api.responses import answer
from issues.near import find_photos
from issues.pairs import PairState
from issues.review import confirm_pair, list_pairs, reject_pair

router = APIRouter(prefix="/v1/matches", tags=["matches"])


@router.get("", response_model=ItemList[PossibleMatchOut])
async def list_matches(
    *,
    request: Request,
    caller: CityAgent,  # noqa: ARG001 - only agents see it
    session: Transaction,
    city: CityWords,
    state: Annotated[PairState, Query()] = PairState.PENDING,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """List pairs of issues that may be one problem, the likeliest first.

    Pending are those that can still be decided: what was merged or closed since is left out.
    """
    page = await list_pairs(session, city.book.id, state, limit=limit, cursor=cursor)
    issues = {issue.id for pair in page.items for issue in pair.issues}
    photos = await find_photos(session, city.book, issues, staff=True)
    links = next_links(request, page.next_cursor, jurisdiction_id=city.jurisdiction_id)
    items = [PossibleMatchOut.of(pair, city, photos) for pair in page.items]
    return answer(ItemList[PossibleMatchOut](items=items, links=links))


@router.post("/{match_id}/confirm", response_model=RegroupingOut, responses=problems(400, 409, 413, 415))
async def confirm(
    *, caller: CityAgent, session: Transaction, city: CityWords, now: Now, match_id: UUID, body: ConfirmIn
) -> Response:
    """Say that they are one problem: the issue that was opened first takes the other over, as in a merge."""
    merged = await confirm_pair(
        session,
        city.book.id,
        match_id,
        actor=caller.actor,
        note=body.note,
        confirmed=body.confirm,
        command_id=body.id,
        now=now,
    )
    return answer(RegroupingOut.of(merged, city))


@router.post("/{match_id}/reject", response_model=PossibleMatchOut, responses=problems(400, 409, 413, 415))
async def reject(
    *, caller: CityAgent, session: Transaction, city: CityWords, now: Now, match_id: UUID, body: RejectIn
) -> Response:
    """Say that they are two problems: they are never paired again, whatever either is merged with."""
    pair = await reject_pair(
        session, city.book.id, match_id, actor=caller.actor, note=body.note, command_id=body.id, now=now
    )
    photos = await find_photos(session, city.book, [issue.id for issue in pair.issues], staff=True)
    return answer(PossibleMatchOut.of(pair, city, photos))
