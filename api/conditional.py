"""Answers that a caller may have already: entity tags and If-None-Match (RFC 9110, 13.1.2)."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

NOT_MODIFIED: Final[dict[int | str, dict[str, Any]]] = {
    304: {"description": "Unchanged since the `ETag` in `If-None-Match`."}
}


def has_tag(if_none_match: str | None, etag: str) -> bool:
    """Whether an If-None-Match header names a tag, given without its quotes; the comparison is weak."""
    if if_none_match is None:
        return False
    tags = {tag.strip().removeprefix("W/").strip('"') for tag in if_none_match.split(",")}
    return etag in tags or "*" in tags


def answer_unless_known(request: Request, body: bytes, *, media_type: str, headers: Mapping[str, str]) -> Response:
    """Answer with a body under a tag made of it; without the body where the caller has it."""
    etag = hashlib.sha256(body).hexdigest()[:32]
    tagged = {**headers, "ETag": f'"{etag}"'}
    if has_tag(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=tagged)
    return Response(body, headers=tagged, media_type=media_type)
