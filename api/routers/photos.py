"""Receiving photos, and serving what was made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from typing import Annotated, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api.auth import NOBODY, Caller, authenticate, bearer_secret, find_caller
from api.conditional import NOT_MODIFIED, has_tag
from api.deps import Now, Served
from api.limits import allowances_for_photo
from api.listener import listener_of
from api.middleware import IncomingBody
from api.models.fields import OwnId
from api.models.photos import PhotoOut
from api.openapi import binary, problems, request_body
from api.problems.refusals import (
    PhotoNotFound,
    RoleNeeded,
    SecretUnknown,
    SignInNeeded,
    TokenOfAnotherCity,
    TooManyPhotosWaiting,
)
from api.responses import answer
from api.scope import BODY, CALLER, HEAD_ONLY
from api.serving import Serving
from db.credentials import hash_secret
from db.rates import Allowance, AllowanceUsedUp, look_ahead
from issues.actors import STAFF
from issues.originals import LinkNotValid, note_reading, offer_original, open_original
from issues.reports import find_report_home, photo_release
from media.photos import Photo, PhotoSize, StoredCopy, find_photo, receive_photo, stored_original, stored_picture

router = APIRouter(prefix="/v1/photos", tags=["photos"])

# The phone that has shown a picture may keep it: it never changes. What others share forgets it after five minutes,
# or asks again: a report may be taken back, an issue become private, a city show photos no more.
_PUBLIC: Final = "public, max-age=31536000, s-maxage=300, immutable"
_PRIVATE: Final = "private, max-age=3600"
_SLACK_BYTES: Final = 1_000_000
_IMAGES: Final = ("image/jpeg", "image/heic", "image/png", "image/webp")


@dataclass(frozen=True, slots=True)
class _Seen:
    """A photo that the caller may see.

    Attributes:
        city_id: The city that it belongs to; None as long as no report or order names it.
        staff: The caller, where they see it as staff; else None.
    """

    photo: Photo
    public: bool
    city_id: int | None
    staff: Caller | None


@router.put(
    "/{photo_id}",
    status_code=201,
    response_model=PhotoOut,
    responses={
        200: {"description": "The same photo had been received before.", "model": PhotoOut},
        **problems(400, 408, 409, 413, 415, 429),
    },
    openapi_extra=request_body(
        *((image, binary("JPEG, HEIC, PNG or WebP; at most 20 MB and 60 megapixels.")) for image in _IMAGES)
    ),
)
async def put_photo(*, request: Request, served: Served, now: Now, photo_id: OwnId) -> Response:
    """Receive a photo: once answered, it is kept. It is made safe in a moment; ask for its state then."""
    async with served.database.transaction() as session:
        caller = await authenticate(session, request, now=now)
        request.scope[CALLER] = caller
        if not caller.is_known:
            raise SignInNeeded
        allowances = allowances_for_photo(request, caller, now)
        await _refuse_early(session, served, photo_id, allowances, now=now)
    body: IncomingBody = request.scope[BODY]
    body.limit_bytes = served.settings.photo_max_bytes + _SLACK_BYTES  # the store answers better
    with served.uploads.entered():
        recorded = await receive_photo(
            served.database,
            served.store,
            photo_id,
            request.stream(),
            uploader=caller.actor.sender,
            announced_bytes=body.announced_bytes,
            now=now,
            max_bytes=served.settings.photo_max_bytes,
            max_pixels=served.settings.photo_max_pixels,
            allowances=allowances,
        )
    state = PhotoOut.of(recorded.photo, listener_of(request).say)
    return answer(state, status=201 if recorded.is_new else 200)


@router.get("/{photo_id}", response_model=PhotoOut)
async def read_photo_state(*, request: Request, served: Served, now: Now, photo_id: UUID) -> Response:
    """Tell where a photo stands."""
    seen = await _find(request, served, photo_id, now)
    return answer(PhotoOut.of(seen.photo, listener_of(request).say))


@router.get(
    "/{photo_id}/original",
    response_class=Response,
    responses={
        200: {"content": {image: binary("The photo as it was received.") for image in _IMAGES}},
        303: {"description": "The address that gives it without another secret, for ten minutes."},
        **problems(410),
    },
)
async def read_original(
    *,
    request: Request,
    served: Served,
    now: Now,
    photo_id: UUID,
    proof: Annotated[str | None, Query(max_length=200, description="From the address that staff are sent to.")] = None,
) -> Response:
    """Get a photo as it was received, place and device in it and all: for staff, who are sent to an address for it.

    Whoever has that address reads the photo, in the name of whom it was given to; each reading is in the history of
    the issue.
    """
    if proof is None:
        return await _send_to_original(request, served, photo_id, now)
    async with served.database.transaction() as session:
        photo = await find_photo(session, photo_id)
        if photo is None:
            raise LinkNotValid
        reading = await open_original(session, photo, proof, now=now)
        original = stored_original(photo)
        if HEAD_ONLY not in request.scope:  # without its bytes, nothing was read
            await note_reading(session, reading, now=now)
    # Kept nowhere, so that reading it again is another reading.
    return await _send(served, original, photo_id.hex, _headers("private, no-store", disposition="attachment"))


@router.get(
    "/{photo_id}/{size}",
    response_class=Response,
    responses={
        200: {"content": {"image/webp": binary("The picture.")}},
        **NOT_MODIFIED,
        **problems(409, 410),
    },
)
async def read_picture(*, request: Request, served: Served, now: Now, photo_id: UUID, size: PhotoSize) -> Response:
    """Get a picture made of a photo, which holds nothing but pixels: `large` (1600 px) or `small` (400 px)."""
    seen = await _find(request, served, photo_id, now)
    picture = stored_picture(seen.photo, size)
    headers = _headers(_PUBLIC if seen.public else _PRIVATE, disposition="inline")
    headers |= {"ETag": f'"{picture.etag}"', "Vary": "Authorization"}
    if seen.public:
        headers["Cross-Origin-Resource-Policy"] = "cross-origin"  # the city's own pages show it too
    if has_tag(request.headers.get("if-none-match"), picture.etag):
        return Response(status_code=304, headers=headers)
    return await _send(served, picture, f"{photo_id.hex}-{size}", headers)


async def _send_to_original(request: Request, served: Serving, photo_id: UUID, now: datetime) -> Response:
    seen = await _find(request, served, photo_id, now)
    if seen.staff is None:
        caller: Caller = request.scope[CALLER]
        raise TokenOfAnotherCity(["photo_id"]) if caller.actor.is_staff else RoleNeeded(STAFF)
    stored_original(seen.photo)
    city_id = seen.staff.city_id
    if city_id is None or city_id != seen.city_id:
        raise PhotoNotFound  # their own, named in no report or order yet: no history to write the reading into
    async with served.database.transaction() as session:
        proof = await offer_original(session, photo_id, reader=seen.staff.actor, city_id=city_id, now=now)
    address = f"{request.url.path}?{urlencode({'proof': proof})}"
    return Response(status_code=303, headers={"Location": address, "Cache-Control": "no-store"})


async def _refuse_early(
    session: AsyncSession, served: Serving, photo_id: UUID, allowances: Sequence[Allowance], *, now: datetime
) -> None:
    """Refuse a photo before its bytes are sent, unless it is here already.

    Raises:
        AllowanceUsedUp: its sender has sent enough for now.
        TooManyPhotosWaiting: nobody would get to it soon.
    """
    try:
        await look_ahead(session, allowances, now=now)
        await served.photo_backlog.refuse_more(session)
    except (AllowanceUsedUp, TooManyPhotosWaiting):
        if await find_photo(session, photo_id) is None:
            raise


def _headers(cache_control: str, *, disposition: str) -> dict[str, str]:
    """Head bytes that somebody else made: nothing takes them for a page, and nothing in them runs or loads."""
    return {
        "Cache-Control": cache_control,
        "Content-Disposition": disposition,
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }


async def _send(served: Serving, copy: StoredCopy, name: str, headers: dict[str, str]) -> Response:
    stored = await served.store.read(copy.key)
    filename = f"{name}.{copy.content_type.removeprefix('image/')}"
    headers["Content-Disposition"] += f'; filename="{filename}"'
    headers["Content-Length"] = str(stored.byte_size)
    return StreamingResponse(stored.chunks, headers=headers, media_type=copy.content_type)


async def _find(request: Request, served: Serving, photo_id: UUID, now: datetime) -> _Seen:
    """Find a photo that the caller may see; no transaction stays open over the sending of its bytes.

    Raises:
        PhotoNotFound: there is none, or not for this caller, which look the same.
        SecretUnknown: a secret came that is neither a caller's nor that of the photo's report.
    """
    secret = bearer_secret(request)
    async with served.database.transaction() as session:
        caller = None if secret is None else await find_caller(session, secret, now=now)
        request.scope[CALLER] = caller or NOBODY
        photo = await find_photo(session, photo_id)
        own = photo is not None and await _is_own(session, photo, caller, secret)
        if secret is not None and caller is None and not own:
            raise SecretUnknown
        if photo is None:
            raise PhotoNotFound
        release = await photo_release(session, photo, cities=served.cities.current)
    staff = caller is not None and (own or release.city_id == caller.city_id) and caller.actor.is_staff
    if not (own or staff or release.public):
        raise PhotoNotFound
    return _Seen(photo, public=release.public, city_id=release.city_id, staff=caller if staff else None)


async def _is_own(session: AsyncSession, photo: Photo, caller: Caller | None, secret: str | None) -> bool:
    """Whether the caller sent the photo, or holds the tracking secret of the report that it came with."""
    if caller is not None:
        return photo.uploader == caller.actor.sender
    kind, _, report_id = photo.uploader.partition(":")
    if secret is None or kind != "report":
        return False
    home = await find_report_home(session, UUID(report_id))
    return home is not None and compare_digest(home.tracking_hash, hash_secret(secret))
