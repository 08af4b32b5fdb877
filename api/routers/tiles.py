"""Map tiles: issues, districts and streets as vector tiles."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from pydantic import BeforeValidator
from starlette.requests import Request
from starlette.responses import Response

from api.conditional import NOT_MODIFIED, answer_unless_known
from api.deps import Now, PublicCity, Served, Transaction
from api.models.tiles import TileLayer
from api.openapi import binary
from api.queries import split
from geo.tiling import DEEPEST_ZOOM, Tile
from issues.tiles import issue_layer

router = APIRouter(prefix="/v1/tiles", tags=["places"])

MVT: Final = "application/vnd.mapbox-vector-tile"
# Issues are counted once a second, and a map that is asked again gets a 304 for what is still so.
_WITH_ISSUES: Final = "public, max-age=1"
_PACK_ONLY: Final = "public, max-age=3600"

Zoom = Annotated[int, Path(ge=0, le=DEEPEST_ZOOM)]
Across = Annotated[int, Path(ge=0, lt=2**DEEPEST_ZOOM)]
Layers = Annotated[list[TileLayer], BeforeValidator(split), Query(max_length=10, description="All if left out.")]


@router.get(
    "/{z}/{x}/{y}.mvt",
    response_class=Response,
    responses={
        200: {"content": {MVT: binary("The tile; no bytes where there is nothing in it.")}},
        **NOT_MODIFIED,
    },
)
async def read_tile(
    *,
    request: Request,
    served: Served,
    session: Transaction,
    city: PublicCity,
    now: Now,
    z: Zoom,
    x: Across,
    y: Across,
    layers: Layers = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Draw a tile of a city's map (Mapbox Vector Tile): the layers `issues`, `districts` and `streets`.

    Up to zoom 14 issues are counted by cells, 32 to a side (`issue_count`, `open_count`), within a second or two of
    what happens; beyond, each has its `id`, `number`, `service_code` and `status`, but a tile of more than 500 goes
    on showing cells. Only what everybody may see.
    Districts have `layer`, `code`, `name_fr` and `name_en`; streets, from zoom 13, `name` and `kind`.
    """
    tile = Tile(z, x, y)
    wanted = set(layers or TileLayer)
    parts = []
    if TileLayer.ISSUES in wanted:
        parts.append(await issue_layer(session, city.id, tile))
    if wanted - {TileLayer.ISSUES}:
        drawn = await served.pack_tiles.layers(session, city, tile, on=city.local_date(now))
        parts += [layer for name, layer in drawn.items() if name in wanted]
    headers = {
        "Cache-Control": _WITH_ISSUES if TileLayer.ISSUES in wanted else _PACK_ONLY,
        "Vary": "Authorization",  # which may name the city
        "Cross-Origin-Resource-Policy": "cross-origin",  # the city's own pages show the map too
    }
    return answer_unless_known(request, b"".join(parts), media_type=MVT, headers=headers)
