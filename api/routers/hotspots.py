"""Where open issues lie close together, for the city's staff."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.deps import CityStaff, CityWords, Limit, Transaction
from api.models.hotspots import HotSpotProperties
from api.models.lists import Feature, FeatureCollection, Point
from api.queries import Box, Codes, bounding_box
from api.responses import GeoJson
from issues.hotspots import find_hotspots

router = APIRouter(prefix="/v1/hotspots", tags=["issues"])


@router.get("", response_model=FeatureCollection[HotSpotProperties], response_class=GeoJson)
async def list_hotspots(
    *,
    caller: CityStaff,  # noqa: ARG001 - private issues count too
    session: Transaction,
    city: CityWords,
    service_code: Codes = [],  # noqa: B006 - FastAPI copies it
    bbox: Box = None,
    reach_m: Annotated[
        float, Query(ge=5, le=500, allow_inf_nan=False, description="Issues no farther apart are together.")
    ] = 50.0,
    min_issues: Annotated[int, Query(ge=2, le=1000, description="So many within reach of one make a spot.")] = 3,
    limit: Limit = 50,
) -> Response:
    """List where open issues of a service lie close together (DBSCAN), the largest first; each is its middle."""
    spots = await find_hotspots(
        session,
        city.book,
        reach_m=reach_m,
        least=min_issues,
        service_codes=service_code,
        bbox=bounding_box(bbox),
        limit=limit,
    )
    features = [
        Feature[HotSpotProperties](id=spot.id, geometry=Point.of(spot.at), properties=HotSpotProperties.of(spot, city))
        for spot in spots
    ]
    return GeoJson.of(FeatureCollection[HotSpotProperties](features=features, number_returned=len(features)))
