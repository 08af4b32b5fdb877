"""Resumable uploads of photos (tus 1.0.0): what arrived stays, and the sender goes on from there."""

from contextlib import nullcontext, suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Header
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from api.auth import authenticate
from api.deps import Now, Served
from api.limits import allowances_for_photo
from api.middleware import IncomingBody
from api.openapi import binary, problems
from api.problems.refusals import PartRefused, SignInNeeded
from api.scope import BODY, CALLER
from api.serving import Serving
from api.tus import (
    CHECKSUM_ALGORITHMS,
    EXTENSIONS,
    METADATA,
    OFFSET_STREAM,
    VERSION,
    ArrivingBody,
    ChecksumHeader,
    Count,
    check_stream,
    http_date,
    read_checksum,
    read_photo_id,
    speak_tus,
)
from db.rates import count_use
from media.append import Checksum, ChecksumMismatch, append_bytes
from media.store import PhotoTooLarge
from media.uploads import (
    Upload,
    UploadLeased,
    UploadOffsetMismatch,
    begin_upload,
    find_upload,
    lease_upload,
    terminate_upload,
)

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])

_SLACK_BYTES: Final = 1_000_000
_TUS: Final = [Depends(speak_tus)]
_EXAMPLE_ID: Final = "id MDE5MzZmM2UtODAwMC03MDAwLTgwMDAtMDAwMDAwMDAwMDAx"
_OFFSET_HEADER: Final = {
    "Upload-Offset": {"description": "How many bytes are kept for good.", "schema": {"type": "integer"}}
}
_STANDING_HEADERS: Final = {
    **_OFFSET_HEADER,
    "Upload-Expires": {"description": "Until when, if nothing more comes (RFC 9110).", "schema": {"type": "string"}},
}
_BEGUN_HEADERS: Final = {
    **_STANDING_HEADERS,
    "Location": {"description": "The upload, relative to this address.", "schema": {"type": "string"}},
}


def _bytes_body(*, required: bool) -> dict[str, Any]:
    content = {OFFSET_STREAM: binary("The next bytes of the photo: as many as there are, or as are wanted at once.")}
    return {"requestBody": {"required": required, "content": content}}


@router.options("", status_code=204, response_class=Response)
@router.options("/{photo_id}", status_code=204, response_class=Response, include_in_schema=False)
async def tell_abilities(*, served: Served) -> Response:
    """Tell what of tus is spoken here."""
    abilities = {
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(served.settings.photo_max_bytes),
        "Tus-Checksum-Algorithm": CHECKSUM_ALGORITHMS,
    }
    return Response(status_code=204, headers=abilities)


@router.post(
    "",
    status_code=201,
    response_class=Response,
    dependencies=_TUS,
    responses={
        200: {"description": "The same upload had been begun before.", "headers": _BEGUN_HEADERS},
        201: {"description": "Begun.", "headers": _BEGUN_HEADERS},
        **problems(400, 408, 409, 412, 413, 415, 423, 429, 460),
    },
    openapi_extra=_bytes_body(required=False),
)
async def create_upload(
    *,
    request: Request,
    served: Served,
    now: Now,
    length: Annotated[Count, Header(alias="Upload-Length", description="Bytes of the photo.", examples=["204800"])],
    metadata: Annotated[
        str,
        Header(
            alias=METADATA,
            max_length=4000,
            description="`id` and the photo's own id (UUID) in Base64; other pairs are kept and told again.",
            examples=[_EXAMPLE_ID],
        ),
    ],
    checksum: ChecksumHeader = None,
) -> Response:
    """Begin the upload of a photo, also with its first bytes; the same id again finds the same upload."""
    photo_id, sums_up_to = read_photo_id(metadata), read_checksum(checksum)
    has_bytes = _expect_bytes(request, served)
    if has_bytes:
        check_stream(request)
    with served.uploads.entered() if has_bytes else nullcontext():
        async with served.database.transaction() as session:
            uploader = await _known_sender(request, session, now)
            try:
                begun = await begin_upload(
                    session,
                    photo_id,
                    uploader=uploader,
                    byte_size=int(length),
                    metadata=metadata,
                    now=now,
                    max_bytes=served.settings.photo_max_bytes,
                )
            except PhotoTooLarge as error:
                raise PartRefused("Upload-Length", error) from error
            if begun.is_new:  # counted here, so that none is refused with its last byte
                await served.photo_backlog.refuse_more(session)
                await count_use(session, allowances_for_photo(request, request.scope[CALLER], now), now=now)
            upload, leased = begun.upload, None
            if has_bytes:
                # Begun before, it may be further already: these bytes are not needed then.
                with suppress(UploadLeased, UploadOffsetMismatch):
                    leased = await _lease(session, served, photo_id, uploader=uploader, offset=0, now=now)
        if leased is not None:
            upload = await _append(request, served, leased, sums_up_to)
    location = {"Location": f"{router.prefix}/{photo_id}"}
    return Response(status_code=201 if begun.is_new else 200, headers=_standing(upload) | location)


@router.get(
    "/{photo_id}",
    response_class=Response,
    dependencies=_TUS,
    responses={200: {"description": "As the headers say.", "headers": _STANDING_HEADERS}, **problems(412)},
)
async def read_upload(*, request: Request, served: Served, now: Now, photo_id: UUID) -> Response:
    """Tell, in the headers, how far an upload has come (HEAD in tus); whole, it is `/v1/photos/{photo_id}`."""
    async with served.database.transaction() as session:
        uploader = await _known_sender(request, session, now)
        upload = await find_upload(session, photo_id, uploader=uploader, now=now)
    described = {
        "Upload-Length": str(upload.byte_size),
        METADATA: upload.metadata_sent,
        "Cache-Control": "no-store",
    }
    return Response(headers=_standing(upload) | described)


@router.patch(
    "/{photo_id}",
    status_code=204,
    response_class=Response,
    dependencies=_TUS,
    responses={
        204: {"description": "Kept.", "headers": _STANDING_HEADERS},
        **problems(400, 408, 409, 412, 413, 415, 423, 460),
    },
    openapi_extra=_bytes_body(required=True),
)
async def continue_upload(
    *,
    request: Request,
    served: Served,
    now: Now,
    photo_id: UUID,
    offset: Annotated[Count, Header(alias="Upload-Offset", description="Where the bytes belong.", examples=["0"])],
    checksum: ChecksumHeader = None,
) -> Response:
    """Add bytes. What came of them stays when the connection breaks; with the last one, the upload is a photo."""
    check_stream(request)
    sums_up_to = read_checksum(checksum)
    _expect_bytes(request, served)
    with served.uploads.entered():
        async with served.database.transaction() as session:
            uploader = await _known_sender(request, session, now)
            leased = await _lease(session, served, photo_id, uploader=uploader, offset=int(offset), now=now)
        upload = await _append(request, served, leased, sums_up_to)
    return Response(status_code=204, headers=_standing(upload))


@router.delete("/{photo_id}", status_code=204, response_class=Response, dependencies=_TUS, responses=problems(412))
async def delete_upload(*, request: Request, served: Served, now: Now, photo_id: UUID) -> Response:
    """Give up an upload, and what has arrived of it; a photo that it became stays."""
    async with served.database.transaction() as session:
        uploader = await _known_sender(request, session, now)
    await terminate_upload(served.database, served.store, photo_id, uploader=uploader, now=now)
    return Response(status_code=204)


async def _known_sender(request: Request, session: AsyncSession, now: datetime) -> str:
    caller = await authenticate(session, request, now=now)
    request.scope[CALLER] = caller
    if not caller.is_known:
        raise SignInNeeded
    return caller.actor.sender


def _expect_bytes(request: Request, served: Serving) -> bool:
    """Let a body of bytes in; answers whether one comes."""
    body: IncomingBody = request.scope[BODY]
    body.limit_bytes = served.settings.photo_max_bytes + _SLACK_BYTES  # an upload has the exact limit
    return bool(body.announced_bytes) or "transfer-encoding" in request.headers


async def _lease(
    session: AsyncSession, served: Serving, photo_id: UUID, *, uploader: str, offset: int, now: datetime
) -> Upload:
    return await lease_upload(
        session, photo_id, uploader=uploader, offset=offset, now=now, lease_for=_lease_for(served)
    )


async def _append(request: Request, served: Serving, leased: Upload, checksum: Checksum | None) -> Upload:
    body = ArrivingBody(request, stall_s=served.settings.upload_stall_s)
    announced_bytes = request.scope[BODY].announced_bytes
    try:
        upload = await append_bytes(
            served.database,
            served.store,
            leased,
            body,
            announced_bytes=announced_bytes,
            checksum=checksum,
            clock=_clock,
            lease_for=_lease_for(served),
            max_bytes=served.settings.photo_max_bytes,
            max_pixels=served.settings.photo_max_pixels,
        )
    except ChecksumMismatch:
        body.check_complete()  # half of it cannot have the checksum of the whole
        raise
    body.check_complete()
    return upload


def _lease_for(served: Serving) -> timedelta:
    """Outlast a stall, with time for storing what came before it."""
    return timedelta(seconds=2 * served.settings.upload_stall_s)


def _standing(upload: Upload) -> dict[str, str]:
    return {"Upload-Offset": str(upload.received_bytes), "Upload-Expires": http_date(upload.expires_at)}


def _clock() -> datetime:
    return datetime.now(UTC)
