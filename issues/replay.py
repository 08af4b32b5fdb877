"""Reports of the past filed once more in their order, each seeing only what was there before it and still open."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from geo.civic import numbers_apart
from geo.points import LonLat, distance_m
from issues.labelled import LabelledReport
from issues.match import LEARNED_ACCURACY_M, Candidate, Joins, Match, MatchPolicy, Wording, rank_candidates
from issues.weights import ANY_KIND, Weights

# Clerks call potholes of one block one; farther, and for other things, people are not asked either.
RADIUS_M: Final = {"stretch": 200.0}
RADIUS_OTHERWISE_M: Final = 100.0
WINDOW_DAYS: Final = 60
LABEL_DAYS: Final = 1.0
# What comes so soon from the very place of an open issue joins it, whatever weights are being tried.
_SURELY_ONE_DAYS: Final = 1.0
_SURELY_ONE_M: Final = 10.0
# Cells are a little wider than the radius, for a degree is not worth the same metres everywhere.
_CELL_PER_RADIUS: Final = 1.02
_METRES_PER_DEGREE: Final = 111_320.0
_Family = tuple[str, str]
_Cell = tuple[_Family, int, int]


@dataclass(frozen=True, slots=True)
class Trial:
    """A report and the issues, still open, that it may be about; a candidate's id tells its opener's place among all.

    `parent` is the place of the report it is a duplicate of, or of the opener of the candidate which has that one;
    None where that is not known or not among the replayed.
    """

    report: LabelledReport
    candidates: tuple[Candidate, ...]
    parent: int | None


def replay(
    reports: Sequence[LabelledReport],
    *,
    radius_m: float | None = None,
    window_days: float = WINDOW_DAYS,
    label_days: float = LABEL_DAYS,
    together: bool = True,
) -> list[Trial]:
    """Show each report what was near it when it came.

    Earlier reports stand for issues of their own, whatever the labels say: they are what is to be guessed. But what
    came from one place within a day is one issue, as on a server: five calls about a lamp are no crowd of lamps. And
    an issue that by then had been called a duplicate, or had got one, has several reports.

    Args:
        reports: In the order of time.
        radius_m: How far around a report to look, among those of its service and its siblings; as its kind has it,
            if left out.
        window_days: How far back.
        label_days: After how long a label is known.
        together: Whether what came from one place within a day is one issue.
    """
    numbers = {report.id: number for number, report in enumerate(reports)}
    told: defaultdict[int, list[datetime]] = defaultdict(list)
    openers: list[int] = []
    trials = []
    for me, (report, near) in enumerate(_with_neighbours(reports, radius_m, timedelta(days=window_days))):
        issues: defaultdict[int, list[tuple[int, float]]] = defaultdict(list)
        for number, metres in sorted(near):
            issues[openers[number]].append((number, metres))
        candidates = [_issue(members, reports, told, report.created) for members in issues.values()]
        openers.append(_surely_about(report, candidates, openers) if together else me)
        parent = numbers.get(report.parent or "")
        if report.duplicate:
            # Without a parent's name, what it is a duplicate of is most likely the nearest.
            nearest = min(near, key=lambda pair: (pair[1], -pair[0]), default=(me, 0.0))[0]
            for number in {me, nearest if parent is None else parent}:
                told[number].append(report.created + timedelta(days=label_days))
        trials.append(Trial(report, tuple(candidates), _opener_of(parent, issues.values())))
    return trials


def best_matches(trial: Trial, weights: Weights) -> list[Match]:
    """Rank a report's candidates as the server would."""
    report = trial.report
    return rank_candidates(
        trial.candidates,
        service_code=report.service,
        accuracy_m=LEARNED_ACCURACY_M,
        policy=_policy(report.kind),
        now=report.created,
        wording=Wording(report.address, report.words),
        weights=weights,
    )


def number_of(candidate: Candidate) -> int:
    """Which of the replayed reports a candidate is, by its place among them."""
    return candidate.issue_id.int


def _policy(kind: str) -> MatchPolicy:
    # Replay has chosen the candidates; the limits here only repeat its widest.
    return MatchPolicy(math.inf, 100_000, 0.0, Joins.AUTOMATIC, kind)


def _issue(
    members: Sequence[tuple[int, float]],
    reports: Sequence[LabelledReport],
    told: Mapping[int, Sequence[datetime]],
    now: datetime,
) -> Candidate:
    """The issue of reports that lie so far away, the oldest first."""
    number, metres = members[0]
    opener = reports[number]
    more = sum(when <= now for member, _ in members for when in told.get(member, ()))
    return Candidate(
        issue_id=UUID(int=number),
        service_code=opener.service,
        distance_m=metres,
        accuracy_m=LEARNED_ACCURACY_M,
        last_report_at=reports[members[-1][0]].created,
        address=opener.address,
        words=opener.words,
        reports=len(members) + more,
    )


def _surely_about(report: LabelledReport, candidates: Iterable[Candidate], openers: Sequence[int]) -> int:
    """The opener of the issue that a report surely is about; its own place, which comes next, if there is none."""
    since = report.created - timedelta(days=_SURELY_ONE_DAYS)
    sure = [
        (candidate.distance_m, -number_of(candidate))
        for candidate in candidates
        if candidate.service_code == report.service
        and candidate.last_report_at >= since
        and _at_one_place(report, candidate)
    ]
    return openers[-min(sure)[1]] if sure else len(openers)


def _at_one_place(report: LabelledReport, candidate: Candidate) -> bool:
    if candidate.distance_m > _SURELY_ONE_M:
        return False
    if report.address is None or candidate.address is None:
        return True
    return numbers_apart(report.address, candidate.address) == 0


def _opener_of(parent: int | None, issues: Iterable[Sequence[tuple[int, float]]]) -> int | None:
    return next((members[0][0] for members in issues if any(number == parent for number, _ in members)), parent)


def _with_neighbours(
    reports: Iterable[LabelledReport], radius_m: float | None, window: timedelta
) -> Iterator[tuple[LabelledReport, list[tuple[int, float]]]]:
    """Each report with its neighbours: their numbers and how far they are."""
    seen: list[LabelledReport] = []
    cells: defaultdict[_Cell, list[int]] = defaultdict(list)
    for number, report in enumerate(reports):
        reach_m = RADIUS_M.get(report.kind, RADIUS_OTHERWISE_M) if radius_m is None else radius_m
        width_m = _CELL_PER_RADIUS * reach_m
        near = []
        for cell in _around(_family(report), report.at, width_m):
            if cell not in cells:
                continue
            # What is closed or too old for this one is so for all later ones.
            cells[cell] = [other for other in cells[cell] if _is_open(seen[other], report, window)]
            near += [(other, distance_m(seen[other].at, report.at)) for other in cells[cell]]
        yield report, [(other, metres) for other, metres in near if metres <= reach_m]
        seen.append(report)
        cells[_cell(_family(report), report.at, width_m)].append(number)


def _is_open(earlier: LabelledReport, report: LabelledReport, window: timedelta) -> bool:
    if report.created - earlier.created > window:
        return False
    return earlier.closed is None or earlier.closed > report.created


def _family(report: LabelledReport) -> _Family:
    """Reports that share it are compared: what one family calls by other names is a sibling if of the same kind."""
    return (report.service if report.kind == ANY_KIND else report.family), report.kind


def _cell(family: _Family, at: LonLat, width_m: float) -> _Cell:
    row = math.floor(at.lat * _METRES_PER_DEGREE / width_m)
    # A row has one width of columns, or neighbours in it would not meet.
    narrowing = math.cos(math.radians(row * width_m / _METRES_PER_DEGREE))
    return family, row, math.floor(at.lon * _METRES_PER_DEGREE * narrowing / width_m)


def _around(family: _Family, at: LonLat, width_m: float) -> Iterator[_Cell]:
    step = width_m / _METRES_PER_DEGREE
    for north in (-1, 0, 1):
        _, row, column = _cell(family, LonLat(at.lon, at.lat + north * step), width_m)
        yield from ((family, row, column + east) for east in (-1, 0, 1))
