"""What may happen to an issue: the kinds of event, each with what it tells. There are no others."""

from enum import StrEnum
from typing import Self


class EventKind(StrEnum):
    """A kind of event, as histories, the city's feed and webhooks name it."""

    meaning: str

    def __new__(cls, name: str, meaning: str = "") -> Self:
        """Make a kind of its name on the wire and what it tells, for the API's description."""
        kind = str.__new__(cls, name)
        kind._value_ = name
        kind.meaning = meaning
        return kind

    OPENED = "report.opened", "A report, or one parted from its issue, opened this one."
    JOINED = "report.joined", "Another report of the same problem joined."
    LEFT = "report.left", "A report left for an issue of its own: not the same problem."
    CORRECTED = "report.corrected", "A report's words or place were put right."
    WITHDRAWN = "report.withdrawn", "A report was taken back."
    STATUS = "issue.status", "The status changed, `from` one `to` another."
    NOTE = "issue.note", "Somebody wrote a note; the status stayed."
    FEEDBACK = "issue.feedback", "Somebody who reported or follows it said whether it is fixed."
    REROUTED = "issue.rerouted", "Its district, department or deadline changed with its place or the city's rules."
    MERGED = "issue.merged", "It took over the reports of others."
    MERGED_INTO = "issue.merged_into", "Another took over its reports."
    SPLIT = "issue.split", "Some of its reports went to an issue of their own."
    UNDONE = "issue.undone", "A merge, a split or a leave was put back."
    TOLD_APART = "match.rejected", "Staff said that it and another are two problems."
    ORDER_PLANNED = "order.planned", "A work order was planned."
    ORDER_RESCHEDULED = "order.rescheduled", "A work order went to another day or crew."
    ORIGINAL_READ = "photo.original_read", "Somebody of the staff read the original of a photo."
