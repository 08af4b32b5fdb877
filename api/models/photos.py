"""Photos on the wire."""

from uuid import UUID

from pydantic import Field

from api.language import Say
from api.models.fields import Outgoing
from issues.languages import msgid
from media.outcome import Rejection
from media.photos import Photo, PhotoState

REJECTION_TEXTS = {
    Rejection.TRUNCATED: msgid("The photo arrived incomplete. Please take or choose it again."),
    Rejection.DAMAGED: msgid("The photo is damaged and cannot be opened. Please take or choose another one."),
    Rejection.NOT_AN_IMAGE: msgid("This is not a photo that we can open. Please send a JPEG, HEIC, PNG or WebP."),
    Rejection.TOO_MANY_PIXELS: msgid("The photo has too many pixels. Please send a smaller one."),
    Rejection.TOO_COMPLEX: msgid("The photo could not be opened safely. Please take or choose another one."),
}


class PhotoOut(Outgoing):
    """Where a photo stands."""

    id: UUID
    sha256: str = Field(description="Of the bytes as received, hexadecimal: compare it with what the phone holds.")
    state: PhotoState
    reason: str | None = Field(description="Why it was rejected, for the person who sent it.")
    width: int = Field(description="Pixels; as declared until the photo is ready.")
    height: int

    @classmethod
    def of(cls, photo: Photo, say: Say) -> "PhotoOut":
        """Say where a photo stands, in the language of the answer."""
        return cls(
            id=photo.id,
            sha256=photo.sha256,
            state=PhotoState(photo.state),
            reason=None if photo.reason is None else say(REJECTION_TEXTS[Rejection(photo.reason)]),
            width=photo.width,
            height=photo.height,
        )
