"""Reading a report off the wire: JSON, or a form with photos."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json
from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from api.middleware import JSON_LIMIT_BYTES, IncomingBody
from api.models.fields import PhotoId
from api.models.reports import MOST_PHOTOS, Answers, ContactIn, ReportIn
from api.problems.refusals import (
    BodyTooLarge,
    FieldError,
    InvalidFields,
    MalformedBody,
    MediaTypeNotSupported,
    PartRefused,
)
from api.problems.validation import field_errors, is_unreadable
from api.scope import BODY
from api.settings import Settings
from issues.languages import msgid
from media.headers import BrokenImageHeader, EmptyPhoto, TooManyPixels, UnsupportedImage
from media.objects import storage_refusals
from media.store import IncomingPhoto, PhotoStore, PhotoTooLarge

_JSON_TYPE: Final = "application/json"
_FORM_TYPE: Final = "multipart/form-data"
_SLACK_BYTES: Final = 1_000_000  # for the fields of a form besides its photos
_MOST_FIELDS: Final = 200
_PHOTOS: Final = "photos"
_PHOTO_IDS: Final = "photo_ids"
_ANSWER: Final = re.compile(r"attributes\[(.*)\]")

_PIECE_BYTES: Final = 1 << 18

_ids = TypeAdapter(dict[str, list[PhotoId]])  # by its name, so that errors have it too

_answers = TypeAdapter(dict[str, Answers])


def _form_schema() -> dict[str, Any]:
    """Describe the form: the fields of the JSON body, those of its objects under `outer[inner]`, and the files."""
    fields = dict(ReportIn.model_json_schema()["properties"])
    del fields["attributes"], fields["contact"]
    inner = {f"contact[{name}]": schema for name, schema in ContactIn.model_json_schema()["properties"].items()}
    files = {"type": "array", "items": {"type": "string", "format": "binary"}, "maxItems": MOST_PHOTOS}
    return {
        "type": "object",
        "description": "Answers to the service's questions go into `attributes[code]`.",
        "properties": {**fields, **inner, _PHOTOS: files},
        "required": ["service_code"],
    }


FORM_SCHEMA: Final = _form_schema()
"""JSON Schema of the form, for the description of the API."""


@dataclass(frozen=True, slots=True)
class Filed:
    """A report as it came, checked field by field, and the photos that came with it."""

    report: ReportIn
    photos: Sequence[UploadFile] = ()


@asynccontextmanager
async def read_report(request: Request, settings: Settings) -> AsyncIterator[Filed]:
    """Read a report; files that came with it are gone at the end of the block.

    Args:
        request: Its body is the report.
        settings: Say how many photos a report may have, and how large.

    Raises:
        MediaTypeNotSupported: neither JSON nor a form.
        MalformedBody: not readable as what it says it is.
        InvalidFields: fields are wrong; all of them are named.
        BodyTooLarge: more bytes than such a body may have.
    """
    if is_form(request):
        body: IncomingBody = request.scope[BODY]
        body.limit_bytes = settings.photos_per_report * settings.photo_max_bytes + _SLACK_BYTES
        form = await _parse_form(request)
        try:
            yield _count_photos(_read_form(form), most=settings.photos_per_report)
        finally:
            await form.close()
    elif _media_type(request) == _JSON_TYPE:
        yield _count_photos(Filed(await _read_json(request)), most=settings.photos_per_report)
    else:
        raise MediaTypeNotSupported([_JSON_TYPE, _FORM_TYPE])


def _count_photos(filed: Filed, *, most: int) -> Filed:
    if len(filed.photos) + len(filed.report.photo_ids) > most:
        too_many = msgid("There may be at most {max_length} of these.")
        raise InvalidFields([FieldError(_PHOTOS if filed.photos else _PHOTO_IDS, too_many, {"max_length": most})])
    return filed


def is_form(request: Request) -> bool:
    """Whether a report comes as a form, perhaps with photos."""
    return _media_type(request) == _FORM_TYPE


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", _JSON_TYPE).partition(";")[0].strip().lower()


@asynccontextmanager
async def received_photo(
    store: PhotoStore, upload: UploadFile, settings: Settings, *, position: int
) -> AsyncIterator[IncomingPhoto]:
    """Take in a photo of a form, as `PhotoStore.receive` does.

    Args:
        store: Where photos are kept.
        upload: The photo as it came.
        settings: Say how large a photo may be.
        position: Which of the form's photos it is, counted from 0.

    Raises:
        PartRefused: it is no photo that is accepted.
        StorageUnavailable: the disk does not take the bytes.
    """
    async with AsyncExitStack() as receiving:
        incoming = store.receive(
            _chunks_of(upload),
            announced_bytes=upload.size,
            max_bytes=settings.photo_max_bytes,
            max_pixels=settings.photo_max_pixels,
        )
        try:
            photo = await receiving.enter_async_context(incoming)
        except (EmptyPhoto, UnsupportedImage, BrokenImageHeader, TooManyPixels, PhotoTooLarge) as error:
            raise PartRefused(f"{_PHOTOS}[{position}]", error) from error
        yield photo


class _FormParser(MultiPartParser):
    """Starlette's parser, which names the field that is too long and sees a form that was cut off."""

    complete = False

    def on_end(self) -> None:
        """Note that the last boundary came: a body without it lost its end on the way."""
        self.complete = True

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Take in a piece of a field."""
        try:
            super().on_part_data(data, start, end)
        except MultiPartException as error:
            raise BodyTooLarge(self.max_part_size, field=self._current_part.field_name) from error

    def discard(self) -> None:
        """Give up the files that came so far; Starlette does so after errors of its own only."""
        for file in self._files_to_close_on_error:
            with suppress(OSError):  # a full disk, said once already when it was written to
                file.close()


async def _parse_form(request: Request) -> FormData:
    parser = _FormParser(
        request.headers,
        request.stream(),
        max_files=2 * MOST_PHOTOS,
        max_fields=_MOST_FIELDS,
        max_part_size=JSON_LIMIT_BYTES,
    )
    try:
        with storage_refusals():  # of the system's folder for files of the moment, where photos wait to be looked at
            form = await parser.parse()
    except BaseException as error:
        parser.discard()
        if isinstance(error, MultiPartException | FormParserError):
            raise MalformedBody from error
        raise
    if not parser.complete:
        parser.discard()
        raise MalformedBody
    return form


async def _chunks_of(upload: UploadFile) -> AsyncIterator[bytes]:
    """Read a file that came with a form, piece by piece."""
    while piece := await upload.read(_PIECE_BYTES):
        yield piece


async def _read_json(request: Request) -> ReportIn:
    received = bytearray()
    try:
        async for chunk in request.stream():
            received += chunk
    except BodyTooLarge as error:
        raise BodyTooLarge(error.limit_bytes, field=_field_at_end(received + error.last_part)) from error
    try:
        return ReportIn.model_validate_json(received)
    except ValidationError as error:
        raise _refusal(error) from error


def _refusal(error: ValidationError) -> Exception:
    found = error.errors(include_url=False, include_input=False)
    return MalformedBody() if is_unreadable(found) else InvalidFields(field_errors(found))


def _field_at_end(received: bytearray) -> str | None:
    """Name the field in the middle of which a JSON object was cut off; None where it is none."""
    try:
        found = from_json(received, allow_partial="trailing-strings")
    except ValueError:
        return None
    return next(reversed(found), None) if isinstance(found, dict) else None


def _read_form(form: FormData) -> Filed:
    texts: dict[str, Any] = {}
    answers: dict[str, list[str]] = {}
    photo_ids: list[str] = []
    photos: list[UploadFile] = []
    wrong: list[FieldError] = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile) != (name == _PHOTOS):
            wrong.append(FieldError(name, msgid("There is no such field.")))
        elif isinstance(value, UploadFile):
            photos.append(value)
        elif name == _PHOTO_IDS:
            photo_ids.append(value)
        elif not value:
            continue  # a form sends what was left empty
        elif (question := _ANSWER.fullmatch(name)) is not None:
            answers.setdefault(question[1], []).append(value)
        else:
            _put(texts, name, value)
    try:
        report = ReportIn.model_validate_strings(texts)
        report = report.model_copy(update=_ids.validate_python({_PHOTO_IDS: photo_ids}))
        report = report.model_copy(update=_answers.validate_python({"attributes": _one_or_several(answers)}))
    except ValidationError as error:
        wrong += field_errors(error.errors(include_url=False, include_input=False))
    if wrong:
        raise InvalidFields(wrong)
    return Filed(report, photos)


def _one_or_several(answers: dict[str, list[str]]) -> dict[str, str | list[str]]:
    """Take an answer that came once for a text, and one that came several times for all that was chosen."""
    return {code: values[0] if len(values) == 1 else values for code, values in answers.items()}


def _put(fields: dict[str, Any], name: str, value: str) -> None:
    """Put `contact[email]` into the object `contact`, and everything else under its own name."""
    outer, bracket, inner = name.partition("[")
    if bracket and inner.endswith("]") and isinstance(fields.setdefault(outer, {}), dict):
        fields[outer][inner[:-1]] = value
    else:
        fields[name] = value
