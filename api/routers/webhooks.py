"""Webhooks: a city's administrators have its other systems told what happens."""

from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from api.deps import City, Now, Served, Transaction, only
from api.models.lists import ItemList
from api.models.webhooks import ReplayIn, WebhookIn, WebhookOut
from api.openapi import created_at_location, problems
from api.problems.refusals import FieldError, InvalidFields
from api.responses import answer, created
from issues.actors import Role
from issues.languages import msgid
from issues.webhooks import add_webhook, find_webhook, list_webhooks, remove_webhook, replay
from push.endpoints import EndpointRefused, endpoint_origin

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], dependencies=[Depends(only(Role.ADMIN))])


@router.post(
    "",
    status_code=201,
    response_model=WebhookOut,
    responses={**created_at_location("Made; the secret is in this answer only."), **problems(400, 413, 415)},
)
async def create_webhook(
    *, request: Request, served: Served, session: Transaction, city: City, now: Now, body: WebhookIn
) -> Response:
    """Have a system told what happens from now on, each event signed, in order; the secret is shown this once."""
    try:
        endpoint_origin(body.url, allow_private=served.settings.webpush_private)
    except EndpointRefused as error:
        raise InvalidFields([FieldError("url", msgid("This has to be an https address on the Internet."))]) from error
    added = await add_webhook(session, city.id, body.url, body.kinds, now=now)
    made = WebhookOut.of(added, jurisdiction_id=city.jurisdiction_id, with_secret=True)
    return created(made, f"{request.url.path}/{added.id}", jurisdiction_id=city.jurisdiction_id)


@router.get("", response_model=ItemList[WebhookOut])
async def read_webhooks(*, session: Transaction, city: City) -> Response:
    """List the city's webhooks and how they fare."""
    found = await list_webhooks(session, city.id)
    items = [WebhookOut.of(one, jurisdiction_id=city.jurisdiction_id) for one in found]
    return answer(ItemList[WebhookOut](items=items, links=[]))


@router.get("/{webhook_id}", response_model=WebhookOut)
async def read_webhook(*, session: Transaction, city: City, webhook_id: UUID) -> Response:
    """Read one of the city's webhooks and how it fares."""
    found = await find_webhook(session, city.id, webhook_id)
    return answer(WebhookOut.of(found, jurisdiction_id=city.jurisdiction_id))


@router.delete("/{webhook_id}", status_code=204, response_class=Response)
async def delete_webhook(*, session: Transaction, city: City, webhook_id: UUID) -> Response:
    """Have a system told no more; again, it is told nothing already."""
    await remove_webhook(session, city.id, webhook_id)
    return Response(status_code=204)


@router.post("/{webhook_id}/replay", status_code=204, response_class=Response, responses=problems(400, 413, 415))
async def replay_webhook(
    *,
    session: Transaction,
    city: City,
    now: Now,
    webhook_id: UUID,
    body: ReplayIn,
) -> Response:
    """Tell a system everything again from an event on, under the same ids."""
    await replay(session, city.id, webhook_id, body.event_id, now=now)
    return Response(status_code=204)
