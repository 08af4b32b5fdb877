"""The form of `services.yml`, as the person who fills it in sees it: what can be reported, and how it is judged."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from issues.deadlines import Deadline, Priority
from issues.match import LARGEST_RADIUS_M, SUGGEST_RADIUS_M, SUGGEST_THRESHOLD, SUGGEST_WINDOW_DAYS, Joins
from issues.packs.schema import Code, Names, Sheet, Word
from issues.questions import QuestionKind


class Counts(StrEnum):
    """When the clock of a deadline runs."""

    WORKING = "working"
    ALWAYS = "always"


class Kind(StrEnum):
    """What kind of thing a service is about, which decides what its reports are judged by."""

    POINT = "point"
    STRETCH = "stretch"
    PREMISES = "premises"
    ANY = "any"


class DeadlineSheet(Sheet):
    """How long the city gives itself: days or hours, of work or whatever the day."""

    days: Annotated[int, Field(ge=0, le=3650)] | None = None
    hours: Annotated[float, Field(gt=0, le=8760)] | None = None
    counts: Counts = Counts.WORKING

    @model_validator(mode="after")
    def _has_one_unit(self) -> Self:
        if (self.days is None) == (self.hours is None):
            raise ValueError("a deadline has either days or hours")
        return self

    @property
    def deadline(self) -> Deadline:
        """As it is counted."""
        always = self.counts is Counts.ALWAYS
        if self.hours is not None:
            return Deadline(self.hours, in_hours=True, always=always)
        return Deadline(self.days or 0, always=always)


Metres = Annotated[float, Field(gt=0, le=LARGEST_RADIUS_M)]
Days = Annotated[int, Field(gt=0, le=3650)]
Score = Annotated[float, Field(gt=0, le=1)]


class MatchPolicy(Sheet):
    """When a report joins an open issue of its service, and when people are asked whether it is the same problem.

    `join` and `suggest` are scores. Where people are asked, the search reaches `suggest_radius_m` and
    `suggest_window_days`, or as far as joining does if that is more.
    """

    kind: Kind = Kind.ANY
    joins: Joins = Joins.AUTOMATIC
    radius_m: Metres = 25.0
    window_days: Days = 30
    join: Score = 0.6
    suggest: Score = SUGGEST_THRESHOLD
    suggest_radius_m: Metres = SUGGEST_RADIUS_M
    suggest_window_days: Days = SUGGEST_WINDOW_DAYS


class AttributeValue(Sheet):
    """One of the answers to choose from."""

    code: Code
    names: Names


class Attribute(Sheet):
    """A question that goes with a service."""

    code: Code
    names: Names
    kind: QuestionKind
    required: bool = False
    values: list[AttributeValue] = Field(default_factory=list)

    @model_validator(mode="after")
    def _offers_a_choice(self) -> Self:
        chooses = self.kind in {QuestionKind.SINGLE, QuestionKind.MULTIPLE}
        if chooses != bool(self.values):
            raise ValueError("values go with the kinds single and multiple, and only with them")
        return self


class ServiceSheet(Sheet):
    """A kind of problem that residents can report."""

    code: Code
    names: Names
    keywords: list[Word] = Field(default_factory=list)
    siblings: list[Code] = Field(default_factory=list)
    private: bool = False
    safety: bool = False
    match: MatchPolicy | None = None
    priority: Priority = Priority.NORMAL
    deadline_days: Annotated[int, Field(ge=0, le=3650)] | None = None  # working days
    deadline: DeadlineSheet | None = None
    attributes: list[Attribute] = Field(default_factory=list)


class ServiceGroup(Sheet):
    """Services that are shown together."""

    code: Code
    names: Names
    services: list[ServiceSheet] = Field(min_length=1)


class ServiceDefaults(Sheet):
    """What a service has that does not say otherwise."""

    match: MatchPolicy = MatchPolicy()
    deadline_days: Annotated[int, Field(ge=0, le=3650)] = 10
    deadlines: dict[Priority, DeadlineSheet] = Field(default_factory=dict)  # of those that say no more than a priority


class ServicesSheet(Sheet):
    """`services.yml`."""

    defaults: ServiceDefaults = ServiceDefaults()
    groups: list[ServiceGroup] = Field(min_length=1)

    def match_of(self, service: ServiceSheet) -> MatchPolicy:
        """A service's policy: what it says itself, and the defaults for the rest."""
        if service.match is None:
            return self.defaults.match
        own = {name: getattr(service.match, name) for name in service.match.model_fields_set}
        return self.defaults.match.model_copy(update=own)

    def deadline_of(self, service: ServiceSheet) -> Deadline:
        """A service's deadline: its own, else that of its priority, else the default."""
        if service.deadline is not None:
            return service.deadline.deadline
        if service.deadline_days is not None:
            return Deadline(service.deadline_days)
        if service.priority in self.defaults.deadlines:
            return self.defaults.deadlines[service.priority].deadline
        return Deadline(self.defaults.deadline_days)
