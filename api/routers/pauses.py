"""Pauses: a city's managers have the clocks of deadlines stand still, on the days of a snowstorm for example."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from api.auth import Caller
from api.deps import CityWords, Now, Transaction, identify, only
from api.models.fields import OwnId
from api.models.lists import ItemList
from api.models.pauses import PauseChangeOut, PauseIn, PauseOut
from api.openapi import problems
from api.problems.refusals import FieldError, InvalidFields
from api.responses import answer
from issues.actors import Role
from issues.languages import msgid
from issues.pauses import list_pauses
from issues.rescheduling import declare_pause, withdraw_pause

router = APIRouter(prefix="/v1/pauses", tags=["issues"], dependencies=[Depends(identify)])

_ENDS_BEFORE = msgid("This is before it begins.")
_OVER = msgid("This day is over.")
_TOO_LONG = msgid("A pause has at most {days} days.")
_MOST_DAYS = 100
_NO_SERVICE = msgid("The city has no such service: {code}.")

Manager = Annotated[Caller, Depends(only(Role.MANAGER, Role.ADMIN))]
PauseId = Annotated[OwnId, Path(description="Made by whoever declares the pause (UUIDv7).")]


@router.get("", response_model=ItemList[PauseOut])
async def read_pauses(*, session: Transaction, city: CityWords, now: Now) -> Response:
    """List when a city's clocks stand still, today and from now on, and why."""
    found = await list_pauses(session, city.book.id, since=city.book.local_date(now))
    return answer(ItemList[PauseOut](items=[PauseOut.of(pause, city) for pause in found]))


@router.put("/{pause_id}", response_model=PauseChangeOut, responses=problems(400, 409, 413, 415))
async def put_pause(
    *, caller: Manager, session: Transaction, city: CityWords, now: Now, pause_id: PauseId, body: PauseIn
) -> Response:
    """Have clocks stand still on some days; open issues get later deadlines. Sent again, it is done once."""
    wrong = _wrong_days(body, today=city.book.local_date(now))
    unknown = sorted(set(body.service_codes) - city.book.catalogue.services.keys())
    wrong += [FieldError("service_codes", _NO_SERVICE, {"code": code}) for code in unknown[:1]]
    if wrong:
        raise InvalidFields(wrong)
    done = await declare_pause(
        session, city.book, pause_id, body.pause, reasons=body.reasons, actor=caller.actor.sender, now=now
    )
    return answer(PauseChangeOut.of_change(done, city))


@router.delete("/{pause_id}", response_model=PauseChangeOut)
async def delete_pause(
    *, caller: Manager, session: Transaction, city: CityWords, now: Now, pause_id: PauseId
) -> Response:
    """Take a pause back as if it had never been; open issues get their earlier deadlines again."""
    done = await withdraw_pause(session, city.book, pause_id, actor=caller.actor.sender, now=now)
    return answer(PauseChangeOut.of_change(done, city))


def _wrong_days(body: PauseIn, *, today: date) -> list[FieldError]:
    """A slip of the pen in a year would put off every deadline of the city."""
    if body.ends < body.begins:
        return [FieldError("ends", _ENDS_BEFORE)]
    if body.ends < today:
        return [FieldError("ends", _OVER)]
    if (body.ends - body.begins).days >= _MOST_DAYS:
        return [FieldError("ends", _TOO_LONG, {"days": _MOST_DAYS})]
    return []
