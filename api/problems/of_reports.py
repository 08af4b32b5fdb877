"""What may be wrong with reports, issues and work orders."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from api.problems import refusals
from api.problems.particulars import (
    PHOTO_AWAITED,
    RETRY_AFTER_S,
    Particulars,
    Problem,
    answers_particulars,
    blocked_particulars,
    confirmation_particulars,
    id_used_particulars,
    other_city_particulars,
    photo_particulars,
    position_particulars,
    stale_order_particulars,
    transition_particulars,
)
from issues.alerts import AlertIdTaken, AlertNotFound
from issues.catalogue import ServiceNotOffered
from issues.commands import CommandIdUsed
from issues.corrections import PLACE_WINDOW, PlaceSettled, ReportWithdrawn
from issues.dispatch import DayPassed, IssueNotOpen, StaleWorkOrder
from issues.events import EventNotFound
from issues.feedback import WITHIN, NothingToJudge
from issues.issue import IssueMerged, IssueNotFound, IssueWithdrawn
from issues.languages import msgid
from issues.lifecycle import TransitionNotAllowed
from issues.merging import MergeNeedsConfirmation, MixedPrivacy
from issues.open_data import FeatureNotFound, NoSuchCollection
from issues.pauses import PauseIdTaken, PauseNotFound
from issues.questions import AnswersRefused
from issues.reports import ReportNotFound
from issues.review import PairNotFound, PairSettled
from issues.splitting import NothingWouldRemain, ReportNotInIssue
from issues.staff import CrewNotFound
from issues.submit import IdAlreadyUsed
from issues.subscriptions import MOST, SubscriptionNotFound, TooManySubscriptions
from issues.undoing import AlreadyUndone, NotUndoable, UndoBlocked
from issues.webhooks import WebhookNotFound
from issues.work_orders import WorkOrderNotFound
from push.emails import TooManyLetters

OF_REPORTS: Final[Mapping[type[Exception], Problem]] = {
    # Reports.
    refusals.PositionNeeded: Problem(
        422,
        "position-needed",
        msgid("Position needed"),
        msgid("Say where it is: lat and long, a photo that knows, or an address."),
        particulars=position_particulars,
    ),
    refusals.PhotoNotReady: Problem(
        409,
        "photo-not-ready",
        msgid("Photo not ready"),
        PHOTO_AWAITED,
        particulars=photo_particulars,
        retry_after_s=RETRY_AFTER_S,
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
        retry_after_s=RETRY_AFTER_S,
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
    NoSuchCollection: Problem(
        404, "collection-not-found", msgid("No such collection"), msgid("There is no open data of this name.")
    ),
    FeatureNotFound: Problem(
        404, "feature-not-found", msgid("No such feature"), msgid("The collection has nothing of this id.")
    ),
    IssueNotFound: Problem(404, "issue-not-found", msgid("No such issue"), msgid("There is no such issue here.")),
    IssueWithdrawn: Problem(
        410,
        "issue-withdrawn",
        msgid("Report taken back"),
        msgid("No report is about this problem any more: they were taken back, or were about another one."),
    ),
    refusals.EmailNotOffered: Problem(
        409, "email-not-offered", msgid("No e-mail"), msgid("This server sends no e-mail.")
    ),
    refusals.NoEmail: Problem(404, "email-not-found", msgid("No address"), msgid("You have named no e-mail address.")),
    TooManyLetters: Problem(
        429,
        "too-many-letters",
        msgid("Too many letters"),
        msgid("This address has been asked several times already. Try again in an hour."),
        retry_after_s=3600.0,
    ),
    NothingToJudge: Problem(
        409,
        "nothing-to-judge",
        msgid("Nothing to judge"),
        msgid("This issue was not resolved within the last {days} days."),
        particulars=lambda error, _: Particulars(
            {"days": WITHIN // timedelta(days=1)},
            members={"until": None if error.until is None else error.until.isoformat()},
        ),
    ),
    SubscriptionNotFound: Problem(
        404, "subscription-not-found", msgid("No such subscription"), msgid("You have no such subscription here.")
    ),
    WebhookNotFound: Problem(
        404, "webhook-not-found", msgid("No such webhook"), msgid("There is no such webhook here.")
    ),
    AlertNotFound: Problem(
        404, "alert-not-found", msgid("No such alert"), msgid("The city has published no such alert.")
    ),
    AlertIdTaken: Problem(
        409,
        "alert-id-taken",
        msgid("Id taken"),
        msgid("Another alert has this id, or it was withdrawn. Publish it under a new one."),
        fields=("id",),
    ),
    PauseNotFound: Problem(
        404, "pause-not-found", msgid("No such pause"), msgid("The city has declared no such pause.")
    ),
    PauseIdTaken: Problem(
        409,
        "pause-id-taken",
        msgid("Id taken"),
        msgid("Another pause has this id, or it was taken back. Declare it under a new one."),
        fields=("id",),
    ),
    TooManySubscriptions: Problem(
        409,
        "too-many-subscriptions",
        msgid("Too many subscriptions"),
        msgid("You have {most} subscriptions here, which is the most. End one first."),
        particulars=lambda _error, _: Particulars({"most": MOST}),
    ),
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
        404,
        "event-not-found",
        msgid("No such event"),
        msgid("There is no such event here."),
        fields=("event_id",),
    ),
    NotUndoable: Problem(
        409,
        "not-undoable",
        msgid("Cannot be undone"),
        msgid(
            "Only a merge, a split, a report's leave from its issue or a re-routing can be undone. "
            "A status is changed back by another change."
        ),
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
    PairNotFound: Problem(404, "match-not-found", msgid("No such match"), msgid("There is no such match here.")),
    PairSettled: Problem(
        409,
        "match-settled",
        msgid("Nothing left to decide"),
        msgid("Somebody has decided this match already, or its issues were merged or closed."),
        particulars=lambda error, _: Particulars(members={"state": error.state.value}),
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
    DayPassed: Problem(
        422,
        "day-passed",
        msgid("Day over"),
        msgid("This day is over. Work is planned for today or later."),
        fields=("planned_on",),
    ),
    TransitionNotAllowed: Problem(
        409,
        "transition-not-allowed",
        msgid("Change of status not allowed"),
        msgid("An issue that is {current} cannot become {wanted}."),
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
}
