"""Devices: where pushes go, and who speaks for a resident."""

import re
from typing import Final
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.auth import bearer_secret, find_caller
from api.deps import Now, Served, Transaction
from api.models.devices import DeviceIn, DeviceOut
from api.models.fields import SECRET_PATTERN, OwnId
from api.problems.refusals import FieldError, InvalidFields, SecretUnknown, SignInNeeded
from api.responses import answer
from db.tenancy import enter_city
from issues.assignments import forget_work
from issues.follows import forget_follows
from issues.languages import msgid
from issues.subscriptions import unsubscribe
from push.devices import Device, DeviceSecretMismatch, Registration, forget_device, register_device
from push.emails import forget_address_of
from push.endpoints import EndpointRefused, endpoint_origin
from push.preferences import forget_preferences

router = APIRouter(prefix="/v1/devices", tags=["devices"])

_NO_ENDPOINT: Final = msgid("A push endpoint is an https address that the Internet knows.")
_WEAK_SECRET: Final = msgid("A device's secret is 32 random bytes, written as base64url.")


@router.put(
    "/{device_id}",
    response_model=DeviceOut,
    responses={201: {"description": "Registered for the first time.", "model": DeviceOut}},
)
async def put_device(
    *, request: Request, served: Served, session: Transaction, now: Now, device_id: OwnId, body: DeviceIn
) -> Response:
    """Register a device under the secret it made for itself, or refresh what is known of it."""
    secret = bearer_secret(request)
    if secret is None:
        raise SignInNeeded
    if not re.fullmatch(SECRET_PATTERN, secret):
        raise InvalidFields([FieldError("Authorization", _WEAK_SECRET)])
    push = None if body.push is None else body.push.address
    if push is not None and push.kind.has_endpoint:
        _check_endpoint(push.value, allow_private=served.settings.webpush_private)
    registration = Registration(device_id, secret, body.platform, body.locale, push)
    device = await register_device(session, registration, now=now)
    registered = DeviceOut(
        id=device.id,
        platform=body.platform,
        locale=body.locale,
        push=None if body.push is None else body.push.kind,
        refreshed_at=now,
    )
    return answer(registered, status=201 if device.created else 200)


@router.delete("/{device_id}", status_code=204, response_class=Response)
async def delete_device(
    *, request: Request, served: Served, session: Transaction, now: Now, device_id: UUID
) -> Response:
    """Forget a device and what its person follows and wishes; again, it is forgotten already."""
    secret = bearer_secret(request)
    if secret is None:
        raise SignInNeeded
    caller = await find_caller(session, secret, now=now)
    if caller is None:
        if await session.get(Device, device_id) is not None:
            raise SecretUnknown
    elif caller.device_id != device_id or caller.actor.person_id is None:
        raise DeviceSecretMismatch(device_id)
    else:
        for city_id in served.cities.current.books:
            await enter_city(session, city_id)
            await forget_follows(session, city_id, caller.actor.person_id)
            await unsubscribe(session, city_id, caller.actor.person_id, None)
            await forget_work(session, city_id, caller.actor.person_id)
            await forget_address_of(session, city_id, caller.actor.person_id)
        await forget_preferences(session, caller.actor.person_id)
        await forget_device(session, device_id)
    return Response(status_code=204)


def _check_endpoint(endpoint: str, *, allow_private: bool) -> None:
    try:
        endpoint_origin(endpoint, allow_private=allow_private)
    except EndpointRefused as error:
        raise InvalidFields([FieldError("push.endpoint", _NO_ENDPOINT)]) from error
