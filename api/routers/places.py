"""Where a position is, and what can be reported there."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.deps import Anyone, JurisdictionId, Now, Served, city_asked_for, identify
from api.listener import language_of
from api.models.fields import Accuracy, Latitude, Longitude
from api.models.lists import ItemList
from api.models.places import CityOut, PlacedDistrict, ServiceOut, WhereOut
from api.problems.refusals import FieldError, InvalidFields
from api.responses import answer
from geo.points import LonLat
from issues.languages import msgid
from issues.routing import district_key

router = APIRouter(prefix="/v1", tags=["places"])

_NEEDED = msgid("This is needed.")


@router.get("/where", response_model=WhereOut, dependencies=[Depends(identify)])
async def locate(
    *,
    request: Request,
    served: Served,
    now: Now,
    lat: Annotated[Latitude, Query()],
    long: Annotated[Longitude, Query()],
    accuracy_m: Annotated[Accuracy, Query()] = 0.0,
) -> Response:
    """Tell the city, the district of each layer, whether a border is near, and the nearest address."""
    at = LonLat(lon=long, lat=lat)
    book = served.cities.at(at)
    city = served.cities.named(book, language_of(request, book))
    found = book.map.districts_at(at, accuracy_m=accuracy_m, on=book.local_date(now))
    districts = [
        PlacedDistrict(
            layer=district.layer,
            code=district.code,
            name=city.district_name(district_key(district.layer, district.code)),
            responsible=district.layer == book.map.responsible_layer,
            near_boundary=district.near_boundary,
        )
        for district in found
    ]
    return answer(
        WhereOut(
            jurisdiction_id=city.jurisdiction_id,
            city=CityOut(jurisdiction_id=city.jurisdiction_id, name=city.name),
            districts=districts,
            near_boundary=any(district.near_boundary for district in districts if district.responsible),
            address=book.streets.address_at(at),
        )
    )


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
        services = book.catalogue.services_at([district_key(district.layer, district.code) for district in found])
    else:
        book = city_asked_for(served.cities, caller, jurisdiction_id)
        services = [service for service in book.catalogue.services.values() if service.offered]
    city = served.cities.named(book, language_of(request, book))
    return answer(ItemList[ServiceOut](items=[ServiceOut.of(service, city) for service in services]))
