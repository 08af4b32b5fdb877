"""What may be wrong with photos and uploads."""

from collections.abc import Mapping
from typing import Final

from api.problems import refusals
from api.problems.particulars import (
    RETRY_AFTER_S,
    Particulars,
    Problem,
)
from issues.languages import msgid
from issues.order_photos import PhotoTaken
from issues.originals import LinkNotValid
from media.append import ChecksumMismatch, UploadOverrun
from media.headers import BrokenImageHeader, EmptyPhoto, TooManyPixels, UnsupportedImage
from media.objects import BlobMissing
from media.photos import PhotoIdAlreadyUsed, PhotoNotReady, PhotoWasRejected
from media.store import BodyLengthMismatch, PhotoTooLarge
from media.uploads import UploadLeased, UploadNotFound, UploadOffsetMismatch

OF_PHOTOS: Final[Mapping[type[Exception], Problem]] = {
    # Photos.
    LinkNotValid: Problem(
        403,
        "link-not-valid",
        msgid("Link not valid"),
        msgid("This link is not valid, or no longer. Ask for the original again."),
        fields=("proof",),
    ),
    PhotoTaken: Problem(
        409,
        "photo-taken",
        msgid("Photo already used"),
        msgid("This photo belongs to another report or work order."),
        fields=("photo_ids",),
        particulars=lambda error, _: Particulars(members={"photo_id": str(error.photo_id)}),
    ),
    PhotoIdAlreadyUsed: Problem(
        409,
        "id-already-used",
        msgid("Id already used"),
        msgid("This id has been used for something else."),
        fields=("photo_id",),
    ),
    EmptyPhoto: Problem(422, "photo-empty", msgid("Empty photo"), msgid("The photo has no bytes."), fields=("body",)),
    PhotoTooLarge: Problem(
        413,
        "photo-too-large",
        msgid("Photo too large"),
        msgid("A photo may have at most {limit_mb} MB."),
        fields=("body",),
        particulars=lambda error, _: Particulars({"limit_mb": error.limit_bytes // 1_000_000}),
    ),
    TooManyPixels: Problem(
        413,
        "photo-too-many-pixels",
        msgid("Too many pixels"),
        msgid("The photo says it has {width} x {height} pixels; at most {limit} million are accepted."),
        fields=("body",),
        particulars=lambda error, _: Particulars(
            {"width": error.width, "height": error.height, "limit": error.limit // 1_000_000}
        ),
    ),
    UnsupportedImage: Problem(
        415,
        "photo-format-not-supported",
        msgid("Kind of photo not supported"),
        msgid("Photos are still pictures in JPEG, HEIC, PNG or WebP, whatever the file is called."),
        fields=("body",),
        particulars=lambda error, _: Particulars(members={"found": error.found}),
    ),
    BrokenImageHeader: Problem(
        422, "photo-broken", msgid("Broken photo"), msgid("The photo is damaged or cut off."), fields=("body",)
    ),
    BodyLengthMismatch: Problem(
        400,
        "body-length-mismatch",
        msgid("Body of another length"),
        msgid("The body has another length than the request announced."),
        fields=("body",),
    ),
    PhotoNotReady: Problem(
        409,
        "photo-not-ready",
        msgid("Photo not ready"),
        msgid("The photo is still being opened. Ask again soon."),
        retry_after_s=RETRY_AFTER_S,
    ),
    PhotoWasRejected: Problem(
        410, "photo-rejected", msgid("Photo rejected"), msgid("The photo could not be used, and has been deleted.")
    ),
    refusals.PhotoNotFound: Problem(
        404, "photo-not-found", msgid("No such photo"), msgid("There is no such photo here.")
    ),
    BlobMissing: Problem(404, "photo-not-found", msgid("No such photo"), msgid("There is no such photo here.")),
    # Uploads.
    refusals.TusVersionNotSupported: Problem(
        412,
        "tus-version-not-supported",
        msgid("Version of tus not supported"),
        msgid("Uploads are sent by tus 1.0.0. Say so in the header Tus-Resumable."),
        fields=("Tus-Resumable",),
    ),
    refusals.ChecksumUnreadable: Problem(
        400,
        "checksum-not-supported",
        msgid("Unknown checksum"),
        msgid("A checksum is sha256 or sha1, a space, and the digest in Base64."),
        fields=("Upload-Checksum",),
    ),
    refusals.SenderStalled: Problem(
        408,
        "upload-stalled",
        msgid("Nothing came"),
        msgid("Nothing came for {seconds} seconds. What had come is kept: ask how far it is, and go on from there."),
        particulars=lambda error, _: Particulars({"seconds": round(error.stall_s)}),
    ),
    UploadNotFound: Problem(
        404,
        "upload-not-found",
        msgid("No such upload"),
        msgid("There is no such upload here, or no longer. Begin it again."),
    ),
    UploadLeased: Problem(
        423,
        "upload-in-use",
        msgid("Upload in use"),
        msgid("Another request is sending this photo. Ask how far it is in a moment, and go on from there."),
        retry_after_s=RETRY_AFTER_S,
    ),
    UploadOffsetMismatch: Problem(
        409,
        "upload-offset-mismatch",
        msgid("Bytes that do not follow"),
        msgid("These bytes do not follow on what is there. Go on from byte {offset}."),
        fields=("Upload-Offset",),
        particulars=lambda error, _: Particulars(
            {"offset": error.received_bytes}, members={"upload_offset": error.received_bytes}
        ),
    ),
    UploadOverrun: Problem(
        413,
        "upload-too-long",
        msgid("More bytes than announced"),
        msgid("The photo was to have {length} bytes, and more came."),
        fields=("body",),
        particulars=lambda error, _: Particulars(
            {"length": error.byte_size}, members={"upload_length": error.byte_size}
        ),
    ),
    ChecksumMismatch: Problem(
        460,
        "checksum-mismatch",
        msgid("Other bytes than were sent"),
        msgid("The bytes do not have the checksum that came with them. Nothing of them was kept; send them again."),
        fields=("Upload-Checksum",),
    ),
}
