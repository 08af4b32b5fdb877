"""Public alerts: what a city's managers tell a district, or the whole city, and who subscribed to hear it."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from api.auth import Caller
from api.deps import Anyone, CityWords, Now, PublicCityWords, Transaction, identify, only
from api.models.alerts import AlertDetailOut, AlertIn, AlertOut
from api.models.fields import OwnId
from api.models.lists import ItemList
from api.openapi import problems
from api.problems.refusals import FieldError, InvalidFields
from api.responses import answer
from issues.actors import Role
from issues.alerts import count_alert_deliveries, find_alert, list_alerts, publish_alert, withdraw_alert
from issues.languages import msgid

router = APIRouter(prefix="/v1/alerts", tags=["alerts"], dependencies=[Depends(identify)])

_NO_DISTRICT: Final = msgid("The city has no such district.")

Manager = Annotated[Caller, Depends(only(Role.MANAGER, Role.ADMIN))]
AlertId = Annotated[OwnId, Path(description="Made by whoever publishes the alert (UUIDv7).")]


@router.get("", response_model=ItemList[AlertOut])
async def read_alerts(*, session: Transaction, city: PublicCityWords, now: Now) -> Response:
    """List the alerts of a city that stand, the latest first; at most 100."""
    found = await list_alerts(session, city.book.id, now=now)
    return answer(ItemList[AlertOut](items=[AlertOut.of(alert, city) for alert in found]))


@router.get("/{alert_id}", response_model=AlertDetailOut)
async def read_alert(*, caller: Anyone, session: Transaction, city: PublicCityWords, alert_id: UUID) -> Response:
    """Read an alert, also one that is over or was withdrawn; the city's staff see what became of its pushes."""
    found = await find_alert(session, city.book.id, alert_id)
    staff = caller.is_staff_of(city.book.id)
    deliveries = await count_alert_deliveries(session, city.book.id, alert_id) if staff else None
    return answer(AlertDetailOut.of_detail(found, city, deliveries))


@router.put(
    "/{alert_id}", response_model=AlertOut, responses={201: {"model": AlertOut}, **problems(400, 409, 413, 415)}
)
async def put_alert(
    *, caller: Manager, session: Transaction, city: CityWords, now: Now, alert_id: AlertId, body: AlertIn
) -> Response:
    """Tell all who subscribed to the kind `alert` of the district, or of any, now; sent again, it is told once."""
    layers = city.book.map.layers
    districts = {f"{layer.code}:{district.code}" for layer in layers for district in layer.districts}
    if body.district is not None and body.district not in districts:
        raise InvalidFields([FieldError("district", _NO_DISTRICT)])
    alert, is_new = await publish_alert(session, city.book.id, alert_id, body.draft, actor=caller.actor.sender, now=now)
    return answer(AlertOut.of(alert, city), status=201 if is_new else 200)


@router.delete("/{alert_id}", response_model=AlertOut)
async def delete_alert(
    *, caller: Manager, session: Transaction, city: CityWords, now: Now, alert_id: AlertId
) -> Response:
    """Withdraw an alert: whoever has not heard of it yet does not any more."""
    alert = await withdraw_alert(session, city.book.id, alert_id, actor=caller.actor.sender, now=now)
    return answer(AlertOut.of(alert, city))
