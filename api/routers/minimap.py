"""A small map around a place, for e-mail, paper, and phones that draw no maps."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.conditional import NOT_MODIFIED, answer_unless_known
from api.deps import Now, Served, Transaction, identify
from api.language import in_language
from api.models.fields import Latitude, Longitude
from api.openapi import binary
from geo.minimap import draw_minimap
from geo.points import LonLat

router = APIRouter(prefix="/v1", tags=["places"])

SVG: Final = "image/svg+xml"
_HEADERS: Final = {
    "Cache-Control": "public, max-age=86400",
    # Nothing of it runs or is fetched, wherever it is opened.
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "cross-origin",  # mails and the city's own pages show it
}


@router.get(
    "/minimap.svg",
    response_class=Response,
    responses={200: {"content": {SVG: binary("The map.")}}, **NOT_MODIFIED},
    dependencies=[Depends(identify)],
)
async def draw_place(
    *,
    request: Request,
    served: Served,
    session: Transaction,
    now: Now,
    lat: Annotated[Latitude, Query()],
    long: Annotated[Longitude, Query()],
) -> Response:
    """Draw what is around a place as SVG: streets, the edge of the district, a pin; 480 by 320 metres and pixels."""
    at = LonLat(lon=long, lat=lat)
    city = served.cities.at(at)
    title = city.streets.address_at(at) or in_language(city.names, city.locale)
    drawn = await draw_minimap(session, city.id, at, title=title, on=city.local_date(now))
    return answer_unless_known(request, drawn.encode(), media_type=SVG, headers=_HEADERS)
