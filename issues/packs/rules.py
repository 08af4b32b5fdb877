"""The form of `routes.yml`: rules of who is responsible, with all that they may ask for."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from issues.packs.schema import Code, Names, Sheet, Word
from issues.packs.times import DayOfYear, Minute, as_list
from issues.routing import Day, Hours, Season

RULES = "routes.yml"

Words = Annotated[list[Word], BeforeValidator(as_list), Field(min_length=1)]
Owners = Annotated[list[Code], BeforeValidator(as_list), Field(min_length=1)]
Reach = Annotated[float, Field(gt=0, le=200)]


class RoadCondition(Sheet):
    """Near a road whose owner is one of these, and no road of another owner nearer."""

    owner: Owners
    within_m: Reach = 20.0


class AssetCondition(Sheet):
    """Near an asset of a kind; with owners, only if the nearest of that kind has one of them."""

    kind: Code
    owner: Owners | None = None
    within_m: Reach = 20.0


class HoursCondition(Sheet):
    """At these times of day on these days; to the next morning where it ends before it begins."""

    days: Annotated[list[Day], BeforeValidator(as_list)] = Field(default_factory=list)
    begins: Minute = Field(default=0, alias="from")
    ends: Minute = Field(default=0, alias="to")

    @property
    def hours(self) -> Hours:
        """As rules look at it."""
        return Hours(frozenset(self.days), self.begins, self.ends)


class SeasonCondition(Sheet):
    """From one day of the year to another, both included."""

    begins: DayOfYear = Field(alias="from")
    ends: DayOfYear = Field(alias="to")

    @property
    def season(self) -> Season:
        """As rules look at it."""
        return Season(self.begins, self.ends)


class RuleSheet(Sheet):
    """Whose work these services are where and when all conditions hold; what is left out may be anything."""

    names: Names | None = None
    services: Words = Field(default_factory=lambda: ["*"])
    districts: Words = Field(default_factory=lambda: ["*"])
    road: RoadCondition | None = None
    asset: AssetCondition | None = None
    hours: HoursCondition | None = None
    season: SeasonCondition | None = None
    department: Code
    crew: Code | None = None


class RulesSheet(Sheet):
    """`routes.yml`."""

    rules: list[RuleSheet] = Field(min_length=1)
