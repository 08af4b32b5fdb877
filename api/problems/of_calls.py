"""What a caller may be told whatever the call is about."""

from collections.abc import Mapping
from typing import Final

from api.problems import refusals
from api.problems.particulars import (
    RETRY_AFTER_S,
    RETRY_WHEN_FULL_S,
    Particulars,
    Problem,
    not_allowed_particulars,
    outside_particulars,
    role_needed_particulars,
    too_large_particulars,
    used_up_particulars,
)
from api.problems.refusals import FieldError
from db.rates import AllowanceUsedUp
from db.sessions import DatabaseBusy, DatabaseFull, DatabaseUnavailable
from geo.tiling import InvalidTile
from issues.browse import InvalidBoundingBox
from issues.languages import msgid
from issues.lifecycle import NotAllowed
from issues.pages import InvalidCursor
from media.objects import StorageFull, StorageUnavailable
from push.devices import DeviceSecretMismatch

OF_CALLS: Final[Mapping[type[Exception], Problem]] = {
    # What the request is.
    refusals.MalformedBody: Problem(
        400,
        "malformed-body",
        msgid("Unreadable body"),
        msgid("The body cannot be read as what it says it is."),
        fields=("body",),
    ),
    refusals.BodyOverrun: Problem(
        400,
        "body-length-mismatch",
        msgid("Body of another length"),
        msgid("The body has another length than the request announced."),
        fields=("body",),
    ),
    refusals.BodyTooLarge: Problem(
        413,
        "body-too-large",
        msgid("Body too large"),
        msgid("The body may have at most {limit_kb} kB."),
        particulars=too_large_particulars,
    ),
    refusals.BodyUndecodable: Problem(
        400,
        "malformed-body",
        msgid("Unreadable body"),
        msgid("The body is not compressed as it says it is, or was cut off."),
        fields=("body",),
    ),
    refusals.EncodingNotSupported: Problem(
        415,
        "encoding-not-supported",
        msgid("Encoding not supported"),
        msgid("Bodies of JSON may be compressed with gzip or deflate, others not at all."),
        fields=("Content-Encoding",),
    ),
    refusals.BaseMapNotMade: Problem(
        404, "base-map-not-found", msgid("No base map"), msgid("No base map of this city has been made yet.")
    ),
    refusals.RangeNotSatisfiable: Problem(
        416,
        "range-not-satisfiable",
        msgid("No such range"),
        msgid("It has {length} bytes, which end before this range."),
        fields=("Range",),
        particulars=lambda error, _: Particulars({"length": error.length}),
    ),
    refusals.MediaTypeNotSupported: Problem(
        415,
        "media-type-not-supported",
        msgid("Kind of body not supported"),
        msgid("The body has to be: {accepted}."),
        fields=("Content-Type",),
        particulars=lambda error, _: Particulars({"accepted": ", ".join(error.accepted)}),
    ),
    refusals.InvalidFields: Problem(
        422,
        "invalid-fields",
        msgid("Wrong fields"),
        msgid("Some fields of the request are not accepted."),
        particulars=lambda error, _: Particulars(errors=error.errors),
    ),
    InvalidCursor: Problem(
        422,
        "invalid-cursor",
        msgid("Unknown cursor"),
        msgid("This cursor was not given out by this list. Start again without it."),
        fields=("cursor",),
    ),
    InvalidBoundingBox: Problem(
        422,
        "invalid-fields",
        msgid("Wrong fields"),
        msgid("A bbox is minlong,minlat,maxlong,maxlat in WGS 84 degrees."),
        fields=("bbox",),
    ),
    InvalidTile: Problem(
        422,
        "invalid-fields",
        msgid("Wrong fields"),
        msgid("Some fields of the request are not accepted."),
        particulars=lambda error, _: Particulars(
            errors=[FieldError(error.field, msgid("Here it goes from 0 to {limit}."), {"limit": error.limit})]
        ),
    ),
    # Who asks.
    refusals.SignInNeeded: Problem(
        401,
        "sign-in-needed",
        msgid("Sign-in needed"),
        msgid("This call needs a secret. Send yours as Authorization: Bearer."),
        fields=("Authorization",),
    ),
    refusals.SecretUnknown: Problem(
        401,
        "secret-unknown",
        msgid("Unknown secret"),
        msgid("The secret in the Authorization header is not known, or no longer."),
        fields=("Authorization",),
    ),
    refusals.RoleNeeded: Problem(
        403,
        "role-needed",
        msgid("Not for this role"),
        msgid("This is for: {roles}."),
        particulars=role_needed_particulars,
    ),
    NotAllowed: Problem(
        403,
        "not-allowed",
        msgid("Not allowed"),
        msgid("The role {role} may not do this here."),
        particulars=not_allowed_particulars,
    ),
    refusals.TokenOfAnotherCity: Problem(
        403,
        "token-of-another-city",
        msgid("Another city's token"),
        msgid("Your token is of another city, and acts only there."),
        particulars=lambda error, _: Particulars(
            errors=[FieldError(name, msgid("This is in another city than your token.")) for name in error.fields]
        ),
    ),
    DeviceSecretMismatch: Problem(
        403,
        "not-your-device",
        msgid("Another device"),
        msgid("Your secret is not the one of this device."),
        fields=("Authorization",),
    ),
    # Which city.
    refusals.JurisdictionNeeded: Problem(
        422,
        "jurisdiction-needed",
        msgid("City needed"),
        msgid("Several cities take reports here. Say which one you mean."),
        fields=("jurisdiction_id",),
        particulars=lambda error, _: Particulars(members={"jurisdiction_ids": list(error.jurisdiction_ids)}),
    ),
    refusals.JurisdictionUnknown: Problem(
        422,
        "jurisdiction-unknown",
        msgid("Unknown city"),
        msgid("No city of this name takes reports here."),
        fields=("jurisdiction_id",),
    ),
    refusals.OutsideServiceArea: Problem(
        422,
        "outside-service-area",
        msgid("Outside the service area"),
        msgid("This place lies in no city that takes reports here."),
        fields=("lat", "long"),
        particulars=outside_particulars,
    ),
    # How much, and how fast.
    AllowanceUsedUp: Problem(
        429,
        "too-many-requests",
        msgid("Enough for now"),
        msgid("Enough has been sent for now. Send the next one later."),
        particulars=used_up_particulars,
        retry_after_s=lambda error: error.wait_s,
    ),
    refusals.BodyStalled: Problem(
        408,
        "request-stalled",
        msgid("Nothing came"),
        msgid("Nothing or too little came within {seconds} seconds, and nothing of it was kept. Send it again."),
        fields=("body",),
        particulars=lambda error, _: Particulars({"seconds": round(error.stall_s)}),
    ),
    refusals.TooBusy: Problem(
        503,
        "too-busy",
        msgid("Too busy"),
        msgid("Too much is going on right now. Nothing was stored; try again in a moment."),
        retry_after_s=RETRY_AFTER_S,
    ),
    refusals.TooManyPhotosWaiting: Problem(
        503,
        "too-many-photos-waiting",
        msgid("Too many photos waiting"),
        msgid("Many photos are waiting to be opened. Send this one in a few minutes; the report need not wait for it."),
        retry_after_s=RETRY_WHEN_FULL_S,
    ),
    # Ours.
    refusals.NothingHere: Problem(404, "not-found", msgid("Nothing here"), msgid("There is nothing at this address.")),
    refusals.MethodNotAllowed: Problem(
        405, "method-not-allowed", msgid("Method not allowed"), msgid("This address does not take this method.")
    ),
    DatabaseBusy: Problem(
        503,
        "unavailable",
        msgid("Not available now"),
        msgid("Too much is going on right now. Nothing was stored; try again in a moment."),
        retry_after_s=RETRY_AFTER_S,
    ),
    DatabaseFull: Problem(
        503,
        "unavailable",
        msgid("Not available now"),
        msgid("There is no room to store this right now. Nothing was stored; try again in a few minutes."),
        retry_after_s=RETRY_WHEN_FULL_S,
    ),
    refusals.OutOfTime: Problem(
        503,
        "out-of-time",
        msgid("No time left"),
        msgid("There was no time left for this. Send it again."),
        retry_after_s=0,
    ),
    DatabaseUnavailable: Problem(
        503,
        "unavailable",
        msgid("Not available now"),
        msgid("This does not work right now. Try again in a moment."),
        retry_after_s=RETRY_AFTER_S,
    ),
    StorageFull: Problem(
        503,
        "storage-full",
        msgid("No room"),
        msgid("There is no room for photos at the moment, and nothing of this one was kept. Send it again later."),
        retry_after_s=RETRY_WHEN_FULL_S,
    ),
    StorageUnavailable: Problem(
        503,
        "unavailable",
        msgid("Not available now"),
        msgid("This does not work right now. Try again in a moment."),
        retry_after_s=RETRY_AFTER_S,
    ),
}
