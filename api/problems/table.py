"""From what went wrong below to what the caller is told: one table, problem documents of RFC 9457 on the wire."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from api.listener import Listener
from api.problems import refusals
from api.problems.particulars import (
    PHOTO_AWAITED,
    Particulars,
    Problem,
    answers_particulars,
    blocked_particulars,
    confirmation_particulars,
    id_used_particulars,
    not_allowed_particulars,
    other_city_particulars,
    outside_particulars,
    photo_particulars,
    position_particulars,
    role_needed_particulars,
    stale_order_particulars,
    too_large_particulars,
    transition_particulars,
    used_up_particulars,
)
from api.problems.refusals import FieldError
from db.rates import AllowanceUsedUp
from db.sessions import DatabaseBusy, DatabaseFull, DatabaseUnavailable
from issues.browse import InvalidBoundingBox
from issues.catalogue import ServiceNotOffered
from issues.commands import CommandIdUsed
from issues.corrections import PLACE_WINDOW, PlaceSettled, ReportWithdrawn
from issues.dispatch import IssueNotOpen, PhotoTaken, StaleWorkOrder
from issues.issue import IssueMerged, IssueNotFound
from issues.languages import msgid
from issues.lifecycle import NotAllowed, TransitionNotAllowed
from issues.merging import MergeNeedsConfirmation, MixedPrivacy
from issues.originals import LinkNotValid
from issues.pages import InvalidCursor
from issues.questions import AnswersRefused
from issues.reports import ReportNotFound
from issues.splitting import NothingWouldRemain, ReportNotInIssue
from issues.staff import CrewNotFound
from issues.submit import IdAlreadyUsed
from issues.undoing import AlreadyUndone, EventNotFound, NotUndoable, UndoBlocked
from issues.work_orders import WorkOrderNotFound
from media.append import ChecksumMismatch, UploadOverrun
from media.headers import BrokenImageHeader, EmptyPhoto, TooManyPixels, UnsupportedImage
from media.objects import BlobMissing, StorageFull, StorageUnavailable
from media.photos import PhotoIdAlreadyUsed, PhotoNotReady, PhotoWasRejected
from media.store import BodyLengthMismatch, PhotoTooLarge
from media.uploads import UploadLeased, UploadNotFound, UploadOffsetMismatch
from push.devices import DeviceSecretMismatch

_RETRY_AFTER_S: Final = 2
_RETRY_WHEN_FULL_S: Final = 60  # somebody has to make room first


PROBLEMS: Final[Mapping[type[Exception], Problem]] = {
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
    # Who asks.
    refusals.SignInNeeded: Problem(
        401,
        "sign-in-needed",
        msgid("Sign-in needed"),
        msgid("This is for known devices and staff. Send your secret as Authorization: Bearer."),
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
    # Reports.
    refusals.PositionNeeded: Problem(
        422,
        "position-needed",
        msgid("Position needed"),
        msgid("Say where it is: lat and long, or a photo that knows."),
        particulars=position_particulars,
    ),
    refusals.PhotoNotReady: Problem(
        409,
        "photo-not-ready",
        msgid("Photo not ready"),
        PHOTO_AWAITED,
        particulars=photo_particulars,
        retry_after_s=_RETRY_AFTER_S,
    ),
    ServiceNotOffered: Problem(
        422,
        "service-not-offered",
        msgid("Service not offered"),
        msgid("The city offers no such service at this place."),
        fields=("service_code",),
    ),
    AnswersRefused: Problem(
        422,
        "invalid-fields",
        msgid("Wrong fields"),
        msgid("Some answers to the questions of this service are missing or not accepted."),
        particulars=answers_particulars,
    ),
    IdAlreadyUsed: Problem(
        409,
        "id-already-used",
        msgid("Id already used"),
        msgid("A report with this id and another content has been received."),
        fields=("id",),
        particulars=id_used_particulars,
    ),
    CommandIdUsed: Problem(
        409,
        "id-already-used",
        msgid("Id already used"),
        msgid("This id has been used for something else."),
        fields=("id",),
    ),
    ReportNotFound: Problem(404, "report-not-found", msgid("No such report"), msgid("There is no such report here.")),
    refusals.ReportNotYetHere: Problem(
        404,
        "report-not-found",
        msgid("No such report"),
        msgid("There is no such report here. If it is still on its way, send this again after it."),
        retry_after_s=_RETRY_AFTER_S,
    ),
    ReportWithdrawn: Problem(
        409,
        "report-withdrawn",
        msgid("Report taken back"),
        msgid("This report was taken back, so nothing in it is changed any more."),
    ),
    PlaceSettled: Problem(
        409,
        "place-settled",
        msgid("Too late to change the place"),
        msgid("The place can be put right within {minutes} minutes. Add words, or take it back and send another."),
        fields=("lat", "long"),
        particulars=lambda error, _: Particulars(
            {"minutes": PLACE_WINDOW // timedelta(minutes=1)}, members={"until": error.until.isoformat()}
        ),
    ),
    refusals.PlaceInAnotherCity: Problem(
        422,
        "place-in-another-city",
        msgid("Place in another city"),
        msgid("This place lies in {city}. Take this report back and send another from there."),
        fields=("lat", "long"),
        particulars=other_city_particulars,
    ),
    # Issues and work orders.
    IssueNotFound: Problem(404, "issue-not-found", msgid("No such issue"), msgid("There is no such issue here.")),
    IssueMerged: Problem(
        409,
        "issue-merged",
        msgid("Merged issue"),
        msgid("The reports of this issue are in another one now."),
        particulars=lambda error, _: Particulars(
            members={"issue_id": str(error.issue_id), "merged_into": str(error.survivor_id)}
        ),
    ),
    MergeNeedsConfirmation: Problem(
        409,
        "merge-needs-confirmation",
        msgid("Merge to be confirmed"),
        msgid("Are these the same problem? {reasons} To merge them all the same, send this again with confirm."),
        fields=("confirm",),
        particulars=confirmation_particulars,
    ),
    MixedPrivacy: Problem(
        409,
        "mixed-privacy",
        msgid("Private and public issues"),
        msgid("A private issue and a public one are never merged."),
        fields=("issue_ids",),
        particulars=lambda error, _: Particulars(members={"issue_id": str(error.issue_id)}),
    ),
    ReportNotInIssue: Problem(
        409,
        "report-not-in-issue",
        msgid("Report of another issue"),
        msgid("This report is in another issue."),
        fields=("report_ids",),
        particulars=lambda error, _: Particulars(
            members={"report_id": str(error.report_id), "issue_id": str(error.issue_id)}
        ),
    ),
    NothingWouldRemain: Problem(
        409,
        "nothing-would-remain",
        msgid("Nothing would remain"),
        msgid("These are all the reports of this issue: leave at least one in it."),
        fields=("report_ids",),
    ),
    EventNotFound: Problem(
        404, "event-not-found", msgid("No such event"), msgid("There is no such event in the history of this issue.")
    ),
    NotUndoable: Problem(
        409,
        "not-undoable",
        msgid("Cannot be undone"),
        msgid("Only a merge, a split or a leave can be undone. A status is changed back by another change."),
        fields=("event_id",),
        particulars=lambda error, _: Particulars(members={"kind": error.kind}),
    ),
    AlreadyUndone: Problem(
        409,
        "already-undone",
        msgid("Already undone"),
        msgid("Somebody has undone this already."),
        fields=("event_id",),
        particulars=lambda error, _: Particulars(members={"undone_by": str(error.undone_by)}),
    ),
    UndoBlocked: Problem(
        409,
        "undo-blocked",
        msgid("Cannot all be undone"),
        msgid("Some of these reports are in another issue by now. With force, the others are put back."),
        fields=("event_id",),
        particulars=blocked_particulars,
    ),
    IssueNotOpen: Problem(
        409,
        "issue-not-open",
        msgid("Issue not open"),
        msgid("Work can be ordered for open issues only."),
        fields=("issue_ids",),
        particulars=lambda error, _: Particulars(
            members={"issue_id": str(error.issue_id), "issue_status": error.status.value}
        ),
    ),
    TransitionNotAllowed: Problem(
        409,
        "transition-not-allowed",
        msgid("Change of status not allowed"),
        msgid("From {current}, this does not lead to {wanted}."),
        fields=("status",),
        particulars=transition_particulars,
    ),
    WorkOrderNotFound: Problem(
        404, "work-order-not-found", msgid("No such work order"), msgid("There is no such work order here.")
    ),
    StaleWorkOrder: Problem(
        409,
        "work-order-changed",
        msgid("Work order changed"),
        msgid("Somebody has changed this work order since. Look at it and try again."),
        fields=("version",),
        particulars=stale_order_particulars,
    ),
    CrewNotFound: Problem(
        422, "crew-unknown", msgid("Unknown crew"), msgid("The city has no such crew."), fields=("crew",)
    ),
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
        retry_after_s=_RETRY_AFTER_S,
    ),
    PhotoWasRejected: Problem(
        410, "photo-rejected", msgid("Photo rejected"), msgid("The photo could not be used, and has been deleted.")
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
        retry_after_s=_RETRY_AFTER_S,
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
        retry_after_s=_RETRY_AFTER_S,
    ),
    refusals.TooManyPhotosWaiting: Problem(
        503,
        "too-many-photos-waiting",
        msgid("Too many photos waiting"),
        msgid("Many photos are waiting to be opened. Send this one in a few minutes; the report need not wait for it."),
        retry_after_s=_RETRY_WHEN_FULL_S,
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
        retry_after_s=_RETRY_AFTER_S,
    ),
    DatabaseFull: Problem(
        503,
        "unavailable",
        msgid("Not available now"),
        msgid("There is no room to store this right now. Nothing was stored; try again in a few minutes."),
        retry_after_s=_RETRY_WHEN_FULL_S,
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
        retry_after_s=_RETRY_AFTER_S,
    ),
    StorageFull: Problem(
        503,
        "storage-full",
        msgid("No room"),
        msgid("There is no room for photos at the moment, and nothing of this one was kept. Send it again later."),
        retry_after_s=_RETRY_WHEN_FULL_S,
    ),
    StorageUnavailable: Problem(
        503,
        "unavailable",
        msgid("Not available now"),
        msgid("This does not work right now. Try again in a moment."),
        retry_after_s=_RETRY_AFTER_S,
    ),
}
UNEXPECTED: Final = Problem(
    500, "unexpected", msgid("Our mistake"), msgid("Something went wrong on our side. It has been written down.")
)


def problem_document(problem: Problem, error: Exception, listener: Listener, *, request_id: str) -> dict[str, Any]:
    """Write a problem document in the listener's language."""
    found = problem.particulars(error, listener)
    text = found.text or problem.detail
    errors = found.errors
    if errors is None:
        errors = [FieldError(name, text, found.params) for name in problem.fields]
    return {
        "type": f"/problems/{problem.slug}",
        "title": listener.say(problem.title),
        "status": problem.status,
        "detail": listener.say(text, **found.params),
        "errors": [{"field": each.field, "detail": listener.say(each.text, **each.params)} for each in errors],
        "request_id": request_id,
        **found.members,
    }
