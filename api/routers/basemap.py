"""Base maps: one file of tiles for each city, which apps read by ranges of bytes."""

import re
from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api.conditional import NOT_MODIFIED, has_tag
from api.deps import Served, Transaction, identify
from api.models.fields import Code
from api.openapi import binary, problems
from api.problems.refusals import BaseMapNotMade, RangeNotSatisfiable
from api.scope import HEAD_ONLY
from api.serving import Serving
from geo.base_map import BaseMapFile, find_base_map, read_piece

router = APIRouter(prefix="/v1/basemap", tags=["places"], dependencies=[Depends(identify)])

PMTILES: Final = "application/vnd.pmtiles"
_PIECE_BYTES: Final = 256 << 10
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")

CityName = Annotated[Code, Path(description="The city.", examples=["montreal.ca"])]


@router.get(
    "/{jurisdiction_id}.pmtiles",
    response_class=Response,
    responses={
        200: {"content": {PMTILES: binary("All of it.")}},
        206: {"description": "The range.", "content": {PMTILES: binary("What `Range` asked for.")}},
        **problems(416),
        **NOT_MODIFIED,
    },
)
async def read_base_map(
    *, request: Request, served: Served, session: Transaction, jurisdiction_id: CityName
) -> Response:
    """Read a city's base map (PMTiles 3): districts, streets and names, by `Range`, one at a time.

    It is made when the city's data are loaded. The layer `names` has a point for each district, where its name is
    written; the others are as in the map's tiles.
    """
    city = served.cities.asked_for(jurisdiction_id)
    found = await find_base_map(session, city.id)
    if found is None:
        raise BaseMapNotMade(city.jurisdiction_id)
    headers = {
        "ETag": f'"{found.sha256[:32]}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "public, max-age=3600",
        "Cross-Origin-Resource-Policy": "cross-origin",  # the city's own pages show the map too
    }
    if has_tag(request.headers.get("if-none-match"), found.sha256[:32]):
        return Response(status_code=304, headers=headers)
    span = _span(request, found)
    start, end = span or (0, found.length)
    headers["Content-Length"] = str(end - start)
    if span is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{found.length}"
    if HEAD_ONLY in request.scope:
        return Response(status_code=200 if span is None else 206, headers=headers, media_type=PMTILES)
    pieces = _pieces(served, city.id, found, start, end)
    return StreamingResponse(pieces, 200 if span is None else 206, headers=headers, media_type=PMTILES)


def _span(request: Request, found: BaseMapFile) -> tuple[int, int] | None:
    """Read the range that is asked for (RFC 9110, 14.2); None for all, as where it is none of one piece.

    Raises:
        RangeNotSatisfiable: the file ends before it.
    """
    asked = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    condition = request.headers.get("if-range")
    if asked is None or asked[0] == "bytes=-" or condition not in (None, f'"{found.sha256[:32]}"'):
        return None
    if not asked[1]:  # so many from its end
        start, end = max(0, found.length - int(asked[2])), found.length
    else:
        start, end = int(asked[1]), min(int(asked[2] or found.length) + 1, found.length)
        if asked[2] and int(asked[2]) < start:
            return None
    if start >= end:
        raise RangeNotSatisfiable(found.length)
    return start, end


async def _pieces(served: Serving, city_id: int, found: BaseMapFile, start: int, end: int) -> AsyncIterator[bytes]:
    """Read a range in pieces, none in a transaction that lasts as long as the line is slow."""
    for begin in range(start, end, _PIECE_BYTES):
        async with served.database.transaction() as session:
            piece = await read_piece(session, city_id, found.sha256, start=begin, length=min(_PIECE_BYTES, end - begin))
        if piece is None:
            raise ConnectionAbortedError  # made anew meanwhile: the line is cut, and the client asks again
        yield piece
