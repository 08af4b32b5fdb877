"""OGC API - Features and Tiles over a city's open data, for QGIS and its like. Each city is an API of its own.

Small on purpose: GeoJSON, WGS 84, filters by box and time, pages by a cursor. How many features match is never
counted: it would be a walk through a city's history for each page.
"""

import json
from collections.abc import Iterable
from typing import Annotated, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.deps import Cursor, Now, Served, Transaction, identify
from api.language import in_language
from api.licences import licence_page
from api.listener import language_of
from api.models.fields import Code, Outgoing
from api.models.ogc import (
    WEB_MERCATOR_QUAD,
    CollectionOut,
    Collections,
    Conformance,
    Extent,
    Landing,
    OgcFeatures,
    OgcLink,
    SpatialExtent,
    TileSet,
    TileSets,
)
from api.openapi import OPEN_DATA_PATH, problems
from api.queries import Box, bounding_box, time_range
from api.responses import JSON, GeoJson
from api.routers.tiles import MVT
from db.tenancy import enter_city
from issues.languages import msgid
from issues.open_data import COLLECTIONS, Collection, Wanted, find_collection, find_feature, list_features


async def _answers_json(
    f: Annotated[
        Literal["json"], Query(description="The only form there is; other programs like to name it.")
    ] = "json",
) -> None:
    """Take the parameter by which many clients of this standard choose a form."""


router = APIRouter(
    prefix=OPEN_DATA_PATH + "{jurisdiction_id}",
    tags=["open data"],
    dependencies=[Depends(identify), Depends(_answers_json)],
    responses=problems(400),
)

_JSON: Final = "application/json"
_GEOJSON: Final = "application/geo+json"
_OPENAPI: Final = "application/vnd.oai.openapi+json;version=3.1"
_DESCRIPTION: Final = msgid("What everybody may see of reports in {city}, and its districts and streets.")
_MAP: Final = msgid("Map of {city}")
# What a client asks for beyond it is not refused, as the standard wants.
_MOST: Final = 5000

CityName = Annotated[Code, Path(description="The city.", examples=["montreal.ca"])]
CollectionName = Annotated[Code, Path(examples=["issues"])]


class _Ask:
    """A city asked about, and the words and links of the answer."""

    def __init__(self, request: Request, served: Served, jurisdiction_id: CityName) -> None:
        self.city = served.cities.asked_for(jurisdiction_id)
        self.language = language_of(request, self.city)
        self.name = in_language(self.city.names, self.language)
        self.root = f"{str(request.base_url).rstrip('/')}/v1/ogc/{self.city.jurisdiction_id}"
        self.host = str(request.base_url).rstrip("/")
        self.credits = self.city.settings.credits
        self._languages = served.languages

    def say(self, sentence: str) -> str:
        return self._languages.translate(self.language, sentence, city=self.name)

    def link(self, rel: str, path: str, media_type: str = _JSON, title: str | None = None) -> OgcLink:
        return OgcLink(href=f"{self.root}{path}", rel=rel, type=media_type, title=title)


async def _ask(request: Request, served: Served, jurisdiction_id: CityName) -> _Ask:
    return _Ask(request, served, jurisdiction_id)


Ask = Annotated[_Ask, Depends(_ask)]


@router.get("", response_model=Landing)
async def read_landing_page(ask: Ask) -> Response:
    """Read where a city's open data is (OGC API - Features)."""
    service_desc = OgcLink(href=f"{ask.host}/openapi.json", rel="service-desc", type=_OPENAPI)
    service_doc = OgcLink(href=f"{ask.host}/docs", rel="service-doc", type="text/html")
    links = [
        ask.link("self", ""),
        service_desc,
        service_doc,
        ask.link("conformance", "/conformance"),
        ask.link("data", "/collections"),
        ask.link("http://www.opengis.net/def/rel/ogc/1.0/tilesets-vector", "/tiles"),
        *_licences(ask, *COLLECTIONS),
    ]
    told = ask.say(_DESCRIPTION)
    return _answer(Landing(title=ask.name, description=told, attribution=_attribution(ask, *COLLECTIONS), links=links))


@router.get("/conformance", response_model=Conformance)
async def read_conformance(ask: Ask) -> Response:  # noqa: ARG001 - of a city that there is
    """Read which parts of the standards are kept to."""
    return _answer(Conformance())


@router.get("/collections", response_model=Collections)
async def list_collections(ask: Ask) -> Response:
    """List what is open data: issues, districts, streets."""
    found = [_collection(ask, each) for each in COLLECTIONS.values()]
    return _answer(Collections(collections=found, links=[ask.link("self", "/collections")]))


@router.get("/collections/{name}", response_model=CollectionOut)
async def read_collection(ask: Ask, name: CollectionName) -> Response:
    """Read what a collection is."""
    return _answer(_collection(ask, find_collection(name)))


@router.get("/collections/{name}/items", response_model=OgcFeatures, response_class=GeoJson)
async def list_items(
    *,
    request: Request,
    ask: Ask,
    session: Transaction,
    now: Now,
    name: CollectionName,
    bbox: Box = None,
    during: Annotated[
        str | None,
        Query(
            alias="datetime",
            max_length=100,
            description="A time or a day of the city, or two with `/`; `..` for open ends.",
        ),
    ] = None,
    limit: Annotated[int, Query(ge=1)] = 100,
    cursor: Cursor = None,
) -> Response:
    """List the features of a collection as GeoJSON, by box and time; issues by when they were first reported."""
    collection = find_collection(name)
    since, until = time_range(during, ask.city.timezone)
    await enter_city(session, ask.city.id)
    wanted = Wanted(bounding_box(bbox), since, until)
    page = await list_features(session, ask.city.id, collection, wanted, limit=min(limit, _MOST), cursor=cursor)
    path = f"/collections/{collection.name}"
    links = [ask.link("self", f"{path}/items{_query(request)}", _GEOJSON), ask.link("collection", path)]
    if page.next_cursor is not None:
        links.append(ask.link("next", f"{path}/items{_query(request, cursor=page.next_cursor)}", _GEOJSON))
    # The features are JSON already, made by the database.
    frame = OgcFeatures(time_stamp=now.isoformat(), number_returned=len(page.items), links=links, features=[])
    head = frame.model_dump_json(by_alias=True, exclude_none=True).removesuffix("]}")
    return GeoJson(f"{head}{','.join(page.items)}]}}".encode())


@router.get("/collections/{name}/items/{item_id}", response_class=GeoJson)
async def read_item(ask: Ask, session: Transaction, name: CollectionName, item_id: Code) -> Response:
    """Read one feature as GeoJSON."""
    collection = find_collection(name)
    await enter_city(session, ask.city.id)
    feature = await find_feature(session, ask.city.id, collection, item_id)
    path = f"/collections/{collection.name}"
    links = [ask.link("self", f"{path}/items/{item_id}", _GEOJSON), ask.link("collection", path)]
    told = json.dumps([link.model_dump(exclude_none=True) for link in links], ensure_ascii=False)
    return GeoJson(f'{feature.removesuffix("}")}, "links": {told}}}'.encode())


@router.get("/tiles", response_model=TileSets)
async def list_tilesets(ask: Ask) -> Response:
    """List the sets of map tiles of a city (OGC API - Tiles): the one there is."""
    return _answer(TileSets(tilesets=[_tileset(ask)], links=[ask.link("self", "/tiles")]))


@router.get("/tiles/WebMercatorQuad", response_model=TileSet)
async def read_tileset(ask: Ask) -> Response:
    """Read where the map tiles of a city are."""
    return _answer(_tileset(ask))


def _answer(body: Outgoing) -> Response:
    """Answer without what is None: the standards' schemas have no null."""
    return Response(body.model_dump_json(by_alias=True, exclude_none=True), media_type=JSON)


def _collection(ask: _Ask, collection: Collection) -> CollectionOut:
    path = f"/collections/{collection.name}"
    return CollectionOut(
        id=collection.name,
        title=in_language(collection.title, ask.language),
        attribution=_attribution(ask, collection.name),
        extent=Extent(spatial=SpatialExtent(bbox=[ask.city.map.bounds])),
        links=[
            ask.link("self", path),
            ask.link("items", f"{path}/items", _GEOJSON),
            *_licences(ask, collection.name),
        ],
    )


def _credits(ask: _Ask, collections: Iterable[str]) -> list[tuple[str, str]]:
    """Whom collections are from and under which licence, each once."""
    return list(dict.fromkeys(pair for name in collections for pair in ask.credits.get(name, ())))


def _attribution(ask: _Ask, *collections: str) -> str | None:
    return "; ".join(f"{source}, {licence}" for source, licence in _credits(ask, collections)) or None


def _licences(ask: _Ask, *collections: str) -> list[OgcLink]:
    """Lead to the texts of the licences that are known; what is otherwise said of them is in the attribution."""
    named = dict.fromkeys(licence for _, licence in _credits(ask, collections))
    pages = {licence: licence_page(licence) for licence in named}
    return [
        OgcLink(href=page, rel="license", type="text/html", title=licence) for licence, page in pages.items() if page
    ]


def _tileset(ask: _Ask) -> TileSet:
    template = f"{ask.host}/v1/tiles/{{tileMatrix}}/{{tileCol}}/{{tileRow}}.mvt"
    tiles = f"{template}?{urlencode({'jurisdiction_id': ask.city.jurisdiction_id})}"
    links = [
        ask.link("self", "/tiles/WebMercatorQuad"),
        OgcLink(href=WEB_MERCATOR_QUAD, rel="http://www.opengis.net/def/rel/ogc/1.0/tiling-scheme", type=_JSON),
        OgcLink(href=tiles, rel="item", type=MVT, templated=True),
    ]
    return TileSet(title=ask.say(_MAP), links=links)


def _query(request: Request, *, cursor: str | None = None) -> str:
    """Write the parameters of a request, with another cursor."""
    kept = [(key, value) for key, value in request.query_params.multi_items() if cursor is None or key != "cursor"]
    query = urlencode([*kept, *([] if cursor is None else [("cursor", cursor)])])
    return f"?{query}" if query else ""
