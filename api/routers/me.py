"""What concerns the caller alone."""

from typing import Final
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.auth import find_caller
from api.deps import City, DeviceCaller, Now, PersonId, Served, Transaction
from api.models.feedback import EmailIn, EmailOut
from api.models.wishes import PreferencesIn, PreferencesOut
from api.models.work import WorkIn, WorkOut
from api.openapi import problems
from api.problems.refusals import EmailNotOffered, FieldError, InvalidFields, NoEmail
from api.responses import answer
from db.base import new_id
from db.jobs import enqueue
from issues.assignments import forget_work, hear_of_work
from issues.languages import msgid
from push.emails import VERIFY, find_address, forget_address_of, name_address
from push.preferences import read_preferences, write_preferences
from push.queueing import queue_letter

router = APIRouter(prefix="/v1/me", tags=["me"])

_NOT_STAFF: Final = msgid("Nobody on the city's staff has this secret.")


@router.put("/email", response_model=EmailOut, responses=problems(409, 429))
async def put_email(
    *,
    served: Served,
    caller: DeviceCaller,
    person_id: PersonId,
    session: Transaction,
    city: City,
    now: Now,
    body: EmailIn,
) -> Response:
    """Name the address that a city's letters go to, once the link that is sent there has been tapped."""
    if not served.settings.can_send_email:
        raise EmailNotOffered
    locale = caller.locale or city.locale
    named, ask = await name_address(session, city.id, person_id, body.address, locale=locale, now=now)
    if ask:
        await queue_letter(
            session,
            city.id,
            event_id=new_id(),
            kind=VERIFY,
            params={"jurisdiction_id": city.jurisdiction_id, "locale": city.locale},
            person_id=person_id,
            address_id=named.id,
            now=now,
        )
        await enqueue(session, "push.deliver", {"city_id": city.id})
    return answer(EmailOut.of(named, jurisdiction_id=city.jurisdiction_id))


@router.get("/email", response_model=EmailOut)
async def get_email(*, person_id: PersonId, session: Transaction, city: City) -> Response:
    """Read the address that a city's letters go to, and whether they do."""
    found = await find_address(session, city.id, person_id)
    if found is None:
        raise NoEmail
    return answer(EmailOut.of(found, jurisdiction_id=city.jurisdiction_id))


@router.delete("/email", status_code=204, response_class=Response)
async def delete_email(*, person_id: PersonId, session: Transaction, city: City) -> Response:
    """Get no more letters from a city; again, it sends none already."""
    await forget_address_of(session, city.id, person_id)
    return Response(status_code=204)


@router.put("/work", response_model=WorkOut)
async def put_work(*, person_id: PersonId, session: Transaction, city: City, now: Now, body: WorkIn) -> Response:
    """Use this device for work: what is assigned to its user's crew is told here, by push or e-mail as they wish."""
    staff = await find_caller(session, body.secret, now=now)
    if staff is None or staff.city_id != city.id or not staff.actor.sender.startswith("staff:"):
        raise InvalidFields([FieldError("secret", _NOT_STAFF)])
    staff_id = UUID(staff.actor.sender.removeprefix("staff:"))
    await hear_of_work(session, city.id, staff_id, person_id, now=now)
    return answer(WorkOut(jurisdiction_id=city.jurisdiction_id, role=staff.actor.role, crew_code=staff.actor.crew_code))


@router.delete("/work", status_code=204, response_class=Response)
async def delete_work(*, person_id: PersonId, session: Transaction, city: City) -> Response:
    """Hear of a city's work no more on this device; again, it hears of none already."""
    await forget_work(session, city.id, person_id)
    return Response(status_code=204)


@router.get("/preferences", response_model=PreferencesOut)
async def get_preferences(*, person_id: PersonId, session: Transaction) -> Response:
    """Read what the caller wishes of all that is told to them, in whatever city."""
    return answer(PreferencesOut.of(await read_preferences(session, person_id)))


@router.put("/preferences", response_model=PreferencesOut)
async def put_preferences(*, person_id: PersonId, session: Transaction, now: Now, body: PreferencesIn) -> Response:
    """Say which news to hear, how, and when; it counts for what happens from now on."""
    wishes = body.to_preferences()
    await write_preferences(session, person_id, wishes, now=now)
    return answer(PreferencesOut.of(wishes))
