"""Subscriptions: what a person wants to hear of a place."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.deps import City, Now, PersonId, Transaction
from api.models.fields import OwnId
from api.models.lists import ItemList
from api.models.wishes import SubscriptionIn, SubscriptionOut
from api.openapi import problems
from api.problems.refusals import FieldError, InvalidFields
from api.responses import answer
from issues.city import CityBook
from issues.languages import msgid
from issues.subscriptions import find_subscription, list_subscriptions, subscribe, unsubscribe

router = APIRouter(prefix="/v1/subscriptions", tags=["subscriptions"])


@router.put(
    "/{subscription_id}", response_model=SubscriptionOut, responses={201: {"model": SubscriptionOut}, **problems(409)}
)
async def put_subscription(
    *,
    person_id: PersonId,
    session: Transaction,
    city: City,
    now: Now,
    subscription_id: OwnId,
    body: SubscriptionIn,
) -> Response:
    """Hear of a place from now on, or change what is heard of it; each thing rings once, whatever fits it."""
    _check_codes(city, body)
    wanted = body.to_view(subscription_id)
    created = await subscribe(session, city.id, person_id, wanted, now=now)
    return answer(SubscriptionOut.of(wanted, jurisdiction_id=city.jurisdiction_id), status=201 if created else 200)


@router.get("", response_model=ItemList[SubscriptionOut])
async def read_subscriptions(*, person_id: PersonId, session: Transaction, city: City) -> Response:
    """List the caller's subscriptions in a city."""
    found = await list_subscriptions(session, city.id, person_id)
    items = [SubscriptionOut.of(one, jurisdiction_id=city.jurisdiction_id) for one in found]
    return answer(ItemList[SubscriptionOut](items=items, links=[]))


@router.get("/{subscription_id}", response_model=SubscriptionOut)
async def read_subscription(
    *, person_id: PersonId, session: Transaction, city: City, subscription_id: UUID
) -> Response:
    """Read one of the caller's subscriptions."""
    found = await find_subscription(session, city.id, person_id, subscription_id)
    return answer(SubscriptionOut.of(found, jurisdiction_id=city.jurisdiction_id))


@router.delete("/{subscription_id}", status_code=204, response_class=Response)
async def delete_subscription(
    *, person_id: PersonId, session: Transaction, city: City, subscription_id: UUID
) -> Response:
    """Hear no more of a place; again, it is ended already."""
    await unsubscribe(session, city.id, person_id, subscription_id)
    return Response(status_code=204)


def _check_codes(city: CityBook, body: SubscriptionIn) -> None:
    """Refuse a district, place or service that the city does not have: nobody would ever hear of it.

    Raises:
        InvalidFields: naming all of them.
    """
    errors = [
        FieldError(f"services[{at}]", msgid("The city has no such service."))
        for at, code in enumerate(body.services or ())
        if code not in city.catalogue.services
    ]
    districts = {f"{layer.code}:{district.code}" for layer in city.map.layers for district in layer.districts}
    if body.district is not None and body.district not in districts:
        errors.append(FieldError("district", msgid("The city has no such district.")))
    place = "area" if body.area is not None else "circle"
    if (box := body.box) is not None and not city.map.meets(box):
        errors.append(FieldError(place, msgid("This lies outside the city. Longitude comes first in a drawn area.")))
    if errors:
        raise InvalidFields(errors)
