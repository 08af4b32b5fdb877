"""What is wrong with a city pack: everything at once, each with its file and place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


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
    """

    severity: Severity
    file: str
    where: str
    what: str


@dataclass(slots=True)
class Findings:
    """Problems as they are found."""

    problems: list[Problem] = field(default_factory=list)

    def error(self, file: str, where: str, what: str) -> None:
        """Add what keeps the pack from being loaded."""
        self.problems.append(Problem(Severity.ERROR, file, where, what))

    def warn(self, file: str, where: str, what: str) -> None:
        """Add what somebody should look at."""
        self.problems.append(Problem(Severity.WARNING, file, where, what))

    def note(self, file: str, where: str, what: str) -> None:
        """Add what was put right on the way."""
        self.problems.append(Problem(Severity.NOTE, file, where, what))

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
        return {problem.file for problem in self.problems if problem.severity is Severity.ERROR}

    @property
    def fatal(self) -> bool:
        """Whether any of them keeps the pack from being loaded."""
        return any(problem.severity is Severity.ERROR for problem in self.problems)
