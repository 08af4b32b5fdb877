"""Where a position is, and what can be reported there."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.deps import Anyone, JurisdictionId, Now, Served, Transaction, city_asked_for, city_looked_at, identify
from api.geocoding import look_for, look_further
from api.language import Say
from api.listener import language_of
from api.models.fields import Accuracy, AddressLine, Code, Latitude, Longitude
from api.models.lists import ItemList
from api.models.places import CityOut, PlaceCollection, ServiceOut, WhereOut
from api.ownership import explain_owner, place_district
from api.problems.refusals import FieldError, InvalidFields
from api.responses import GeoJson, answer
from geo.points import LonLat
from geo.street_map import StreetMap, within_words
from issues.languages import msgid
from issues.possibilities import circumstances_of
from issues.routing import district_key
from issues.whereabouts import whereabouts_of

router = APIRouter(prefix="/v1", tags=["places"])

_NEEDED = msgid("This is needed.")
_AT_CROSSING = msgid("{street}, at {one}")
_NEAR_CROSSING = msgid("{street}, near {one}")
_BETWEEN_CROSSINGS = msgid("{street}, between {one} and {other}")


@router.get("/where", response_model=WhereOut, dependencies=[Depends(identify)])
async def locate(
    *,
    request: Request,
    served: Served,
    now: Now,
    lat: Annotated[Latitude, Query()],
    long: Annotated[Longitude, Query()],
    accuracy_m: Annotated[Accuracy, Query()] = 0.0,
    service_code: Annotated[
        Code | None, Query(description="What would be reported: who is responsible for it here, by which rule.")
    ] = None,
) -> Response:
    """Tell the city, the district of each layer, how near its edge is, who is responsible, and the nearest address."""
    at = LonLat(lon=long, lat=lat)
    book = served.cities.at(at)
    city = served.cities.named(book, language_of(request, book))
    on = book.local_date(now)
    found = book.map.districts_at(at, accuracy_m=accuracy_m, on=on)
    districts = [place_district(answer, city, at=at, accuracy_m=accuracy_m, on=on) for answer in found]
    responsible = None
    if service_code is not None:
        responsible = explain_owner(service_code, at, accuracy_m=accuracy_m, city=city, now=now)
    return answer(
        WhereOut(
            jurisdiction_id=city.jurisdiction_id,
            city=CityOut(jurisdiction_id=city.jurisdiction_id, name=city.name),
            districts=districts,
            near_boundary=any(district.near_boundary for district in districts if district.responsible),
            responsible=responsible,
            address=_address_or_block(book.streets, at, partial(served.languages.translate, city.language))
            or whereabouts_of(at, city=book, districts=found).line,
        )
    )


def _address_or_block(streets: StreetMap, at: LonLat, say: Say) -> str | None:
    """Write the nearest address, else the nearest street with the crossing or the block."""
    block = streets.block_at(at)
    if block is None:
        return streets.address_at(at)
    names = [within_words(name) for name in (block.ends or filter(None, [block.crossing]))]
    if not names:
        return block.street
    text = _AT_CROSSING if block.crossing else _NEAR_CROSSING if len(names) == 1 else _BETWEEN_CROSSINGS
    return say(text, street=block.street, one=names[0], other=names[-1])


@router.get("/geocode", response_model=PlaceCollection, response_class=GeoJson)
async def geocode(
    *,
    request: Request,
    served: Served,
    caller: Anyone,
    session: Transaction,
    q: Annotated[
        AddressLine,
        Query(
            description="An address, a crossing (`X et Y`, `X / Y`) or a street, in French or English.",
            openapi_examples={
                "an address": {"value": "4475 st-denis, Montréal"},
                "a crossing": {"value": "Rachel et Berri"},
            },
        ),
    ],
    jurisdiction_id: Annotated[
        Code | None, Query(description="The city; left out, all are looked through, or that of the staff who ask.")
    ] = None,
) -> Response:
    """Find where an address, a crossing or a street may be: at most five places, the likeliest first."""
    named = caller.city_id is not None or jurisdiction_id is not None
    city = city_asked_for(served.cities, caller, jurisdiction_id) if named else None
    cities = served.cities.current
    found = await look_for(session, cities, q, only_in=city)
    if served.geocoder is not None and cities.books:
        language = language_of(request, city)
        found = await look_further(cities, q, found, other=served.geocoder, only_in=city, language=language)
    return GeoJson.of(PlaceCollection.of(found))


@router.get("/services", response_model=ItemList[ServiceOut])
async def list_services(
    *,
    request: Request,
    served: Served,
    caller: Anyone,
    now: Now,
    lat: Annotated[Latitude | None, Query()] = None,
    long: Annotated[Longitude | None, Query()] = None,
    jurisdiction_id: JurisdictionId = None,
) -> Response:
    """List what can be reported at a place, or, without one, anywhere in a city."""
    if (lat is None) != (long is None):
        raise InvalidFields([FieldError("lat" if lat is None else "long", _NEEDED)])
    if lat is not None and long is not None:
        at = LonLat(lon=long, lat=lat)
        book = served.cities.at(at)
        found = book.map.districts_at(at, accuracy_m=0.0, on=book.local_date(now))
        local = now.astimezone(book.timezone)
        keys = [district_key(district.layer, district.code) for district in found]
        here = circumstances_of(keys, book.catalogue.needs, at=at, city=book, local=local)
        services = book.catalogue.services_at(here)
    else:
        book = city_looked_at(served.cities, caller, jurisdiction_id)
        services = [service for service in book.catalogue.services.values() if service.offered]
    city = served.cities.named(book, language_of(request, book))
    return answer(ItemList[ServiceOut](items=[ServiceOut.of(service, city) for service in services]))
