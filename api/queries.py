"""Parameters of queries: those that are more than one value, and those that nobody declared."""

import re
from datetime import date, datetime, time, tzinfo
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

from fastapi import Query
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Param, ParamTypes
from fastapi.routing import APIRoute
from pydantic import AfterValidator, BeforeValidator, TypeAdapter
from pydantic_core import PydanticCustomError
from starlette.requests import Request

from api.models.fields import Code, Moment
from api.models.reports import MOST_PHOTOS
from api.problems.refusals import FieldError, InvalidFields
from issues.browse import BoundingBox
from issues.languages import msgid
from issues.lifecycle import Status

Value = TypeVar("Value")

# Callers may send it with every call, also where a position or an id says already which city is meant.
_EVERYWHERE: Final = frozenset({"jurisdiction_id"})


async def refuse_unknown_parameters(request: Request) -> None:
    """Refuse parameters that the route does not declare: a misspelt filter would quietly be no filter.

    Raises:
        InvalidFields: naming all of them.
    """
    route = request.scope["route"]
    if not request.query_params or not isinstance(route, APIRoute):
        return
    unknown = request.query_params.keys() - _EVERYWHERE - _declared_parameters(route)
    if unknown:
        raise InvalidFields([FieldError(name, msgid("There is no such parameter.")) for name in sorted(unknown)])


def _declared_parameters(route: APIRoute) -> set[str]:
    infos = ((parameter.alias, parameter.field_info) for parameter in get_flat_params(route.dependant))
    return {name for name, info in infos if isinstance(info, Param) and info.in_ is ParamTypes.query}


def split(value: Any) -> Any:
    """Take `a,b` for what `a` and `b` given one by one would be."""
    if isinstance(value, list):
        return [part for item in value for part in (item.split(",") if isinstance(item, str) else [item])]
    return value


def _restore_plus(value: Any) -> Any:
    """Put back the plus of an offset, which stands for a space in a URL that was not encoded."""
    return value.replace(" ", "+") if isinstance(value, str) else value


def _refuse_bare_codes(value: str) -> str:
    layer, _, code = value.partition(":")
    if not layer or not code:
        raise PydanticCustomError("district", "layer:code")
    return value


Statuses = Annotated[list[Status], BeforeValidator(split), Query(max_length=20)]
Codes = Annotated[list[Code], BeforeValidator(split), Query(max_length=50)]
Districts = Annotated[
    list[Annotated[Code, AfterValidator(_refuse_bare_codes)]],
    BeforeValidator(split),
    Query(max_length=50, description="`layer:code`"),
]
PhotoIds = Annotated[list[UUID], BeforeValidator(split), Query(max_length=MOST_PHOTOS)]
After = Annotated[Moment | None, BeforeValidator(_restore_plus), Query()]
_NO_TIME: Final = msgid(
    "A datetime is an RFC 3339 time or a day, or two with a slash between them; .. leaves an end open."
)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_OPEN_END: Final = ("", "..")
_MOMENT: Final = TypeAdapter(Moment)
Box = Annotated[str | None, Query(max_length=200, description="minlong,minlat,maxlong,maxlat; WGS 84 degrees.")]


def bounding_box(text: str | None) -> BoundingBox | None:
    """Read a `bbox`.

    Raises:
        InvalidFields: it is not four numbers.
        InvalidBoundingBox: they make no box.
    """
    if text is None:
        return None
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        wrong = msgid("A bbox is minlong,minlat,maxlong,maxlat in WGS 84 degrees.")
        raise InvalidFields([FieldError("bbox", wrong)]) from None
    return BoundingBox(west=west, south=south, east=east, north=north)


def _end_of_range(text: str, of_a_day: time, zone: tzinfo) -> datetime | None:
    if text in _OPEN_END:
        return None
    is_day = _DAY.fullmatch(text)
    written = datetime.combine(date.fromisoformat(text), of_a_day, zone) if is_day else _restore_plus(text)
    moment: datetime = _MOMENT.validate_python(written)
    return moment


def time_range(text: str | None, zone: tzinfo) -> tuple[datetime | None, datetime | None]:
    """Read a `datetime` as OGC API - Features has it: a time, or two with a slash; None for an end that is open.

    Days are taken as well, from their first to their last moment in `zone`: many clients have them alone.

    Raises:
        InvalidFields: it is neither, or ends before it begins.
    """
    if text is None:
        return None, None
    first, slash, last = text.partition("/")
    try:
        since = _end_of_range(first, time.min, zone)
        until = _end_of_range(last if slash else first, time.max, zone)
    except ValueError:  # pydantic's is one
        raise InvalidFields([FieldError("datetime", _NO_TIME)]) from None
    if (since is None and until is None) or (since is not None and until is not None and until < since):
        raise InvalidFields([FieldError("datetime", _NO_TIME)])
    return since, until
