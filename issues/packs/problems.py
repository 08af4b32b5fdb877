"""What is wrong with a city pack: everything at once, each with its file and place."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

import shapely
from shapely.geometry.base import BaseGeometry

from geo.axes import on_earth

# Of mistakes that differ in their figures only, a file of a hundred thousand rows has a hundred thousand.
_ALIKE_AT_MOST = 50
_FIGURES = re.compile(r"\d[\d.]*|'[^']*'")


class Severity(StrEnum):
    """How bad a problem is."""

    ERROR = "error"  # the pack cannot be loaded
    WARNING = "warning"  # it can, but somebody should look
    NOTE = "note"  # put right on the way


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        severity: How bad it is.
        file: Name of the file in the pack.
        where: Line, entry or feature; empty for the file as a whole.
        what: What is wrong, in words.
        shape: Where it is on the ground, in WGS 84 degrees; None where it is nowhere.
    """

    severity: Severity
    file: str
    where: str
    what: str
    shape: BaseGeometry | None = field(default=None, compare=False, repr=False)

    @property
    def at(self) -> tuple[float, float] | None:
        """A longitude and latitude in it; None where it is nowhere on earth."""
        if self.shape is None or self.shape.is_empty or not on_earth(self.shape):
            return None
        point = shapely.point_on_surface(shapely.make_valid(self.shape))
        return round(point.x, 6), round(point.y, 6)


@dataclass(slots=True)
class Findings:
    """Problems as they are found; of many that are alike, the first 50 and how many more there are."""

    _found: list[Problem] = field(default_factory=list)
    _alike: dict[tuple[Severity, str, str], list[str]] = field(default_factory=lambda: defaultdict(list))

    def error(self, file: str, where: str, what: str, shape: BaseGeometry | None = None) -> None:
        """Add what keeps the pack from being loaded."""
        self._add(Problem(Severity.ERROR, file, where, what, shape))

    def warn(self, file: str, where: str, what: str, shape: BaseGeometry | None = None) -> None:
        """Add what somebody should look at."""
        self._add(Problem(Severity.WARNING, file, where, what, shape))

    def note(self, file: str, where: str, what: str, shape: BaseGeometry | None = None) -> None:
        """Add what was put right on the way."""
        self._add(Problem(Severity.NOTE, file, where, what, shape))

    def _add(self, problem: Problem) -> None:
        alike = self._alike[problem.severity, problem.file, _FIGURES.sub("0", problem.what)]
        alike.append(problem.what)
        if len(alike) <= _ALIKE_AT_MOST:
            self._found.append(problem)

    @property
    def problems(self) -> list[Problem]:
        """All of them, in the order they were found; behind them, of how many more of a kind there is no word."""
        more = [
            Problem(severity, file, "", f"and {len(alike) - _ALIKE_AT_MOST} more such as: {alike[-1]}")
            for (severity, file, _), alike in self._alike.items()
            if len(alike) > _ALIKE_AT_MOST
        ]
        return [*self._found, *more]

    def error_if_repeated(self, file: str, what: str, codes: Iterable[tuple[str, str]]) -> None:
        """Add an error for each code that comes a second time; `codes` are pairs of where and code."""
        first: dict[str, str] = {}
        for where, code in codes:
            if code in first:
                self.error(file, where, f"{what} {code} is there already ({first[code]})")
            first.setdefault(code, where)

    @property
    def files_with_errors(self) -> set[str]:
        """The files in which something keeps the pack from being loaded."""
        return {problem.file for problem in self._found if problem.severity is Severity.ERROR}

    @property
    def fatal(self) -> bool:
        """Whether any of them keeps the pack from being loaded."""
        return any(problem.severity is Severity.ERROR for problem in self._found)
