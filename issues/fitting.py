"""Weights learned from labelled reports.

A label says that a report is a duplicate, not of what. So a report's best candidate stands for it: with the weights
at hand the best ones are chosen, logistic regression fits new weights to them, and again, until the choice no longer
changes much. Two steps, because not every report has an address: first what addresses, ages and crowds are worth,
then what distances say where there are no addresses. Weights are drawn towards those one starts from, so that a small
set changes little; signs that make no sense (farther is likelier) are not let in.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geo.civic import numbers_apart, same_block
from issues.match import Match, crowd_of
from issues.replay import Trial, best_matches
from issues.thresholds import best_threshold, threshold_of_precision
from issues.weights import Curve, KindWeights, Weights

_ROUNDS: Final = 4
_NEWTON_STEPS: Final = 40
# How strongly weights are drawn to where they started: so many labels' worth, each.
_PULL: Final = 2.0
# How many duplicates within reach the threshold one starts from is worth.
_THRESHOLD_PULL: Final = 30.0
_JOIN_PRECISION: Final = 0.95
_FEWEST_REPORTS: Final = 50
_SECONDS_PER_DAY: Final = 86_400.0

_Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lesson:
    """A replayed report with a label, and how much it counts: 1, or less where many of a set would drown the others."""

    trial: Trial
    worth: float


@dataclass(frozen=True, slots=True)
class _Term:
    """A column of a regression: its values, where its weight starts, and whether that may be negative."""

    column: _Matrix
    start: float
    signed: bool = False


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Reports with their best candidates, as columns of what was measured."""

    labels: _Matrix
    worth: _Matrix
    siblings: _Matrix
    distances_m: _Matrix
    ages_d: _Matrix
    crowds: _Matrix
    repeated: _Matrix
    apart: _Matrix
    blocks: _Matrix
    addressed: NDArray[np.bool_]

    def only_addressed(self) -> _Pairs:
        """Those where both addresses are known."""
        columns = (getattr(self, field.name)[self.addressed] for field in dataclasses.fields(self))
        return _Pairs(*columns)


def lessons_of(sets: Iterable[Sequence[Trial]], *, most: float = math.inf) -> list[Lesson]:
    """Take the labelled reports of several sets.

    Args:
        sets: Replayed reports.
        most: How many reports with candidates a set's reports of one kind are worth together, at most.
    """
    lessons = []
    for trials in sets:
        labelled = [trial for trial in trials if trial.report.duplicate is not None]
        for kind in {trial.report.kind for trial in labelled}:
            own = [trial for trial in labelled if trial.report.kind == kind]
            telling = sum(bool(trial.candidates) for trial in own)
            lessons += [Lesson(trial, min(1.0, most / max(1, telling))) for trial in own]
    return lessons


def fit_weights(lessons: Sequence[Lesson], start: Weights, *, kinds: Iterable[str] | None = None) -> Weights:
    """Fit weights to labelled reports.

    Args:
        lessons: What to learn from.
        start: The weights to begin from and to stay near.
        kinds: Which tables to fit, each to the reports of its kind; left out, all that the reports are of.

    Returns:
        The start, with the tables replaced for which there are reports enough.
    """
    wanted = {lesson.trial.report.kind for lesson in lessons} if kinds is None else set(kinds)
    tables = dict(start.kinds)
    for name in sorted(wanted):
        own = [lesson for lesson in lessons if lesson.trial.report.kind == name]
        if len(own) >= _FEWEST_REPORTS and len({lesson.trial.report.duplicate for lesson in own}) == 2:
            tables[name] = _fit_kind(own, start, name)
    return dataclasses.replace(start, kinds=tables)


def _fit_kind(lessons: Sequence[Lesson], start: Weights, name: str) -> KindWeights:
    first = start.of_kind(name)
    weights = dataclasses.replace(start, kinds={**start.kinds, name: first})
    for _ in range(_ROUNDS):
        best = [(lesson, matches[0]) for lesson in lessons if (matches := best_matches(lesson.trial, weights))]
        if not best:
            break
        pairs = _measured(best)
        kind = _fit_addresses(pairs.only_addressed(), weights, weights.of_kind(name), first)
        kind = _fit_places(pairs, weights, kind, first)
        weights = dataclasses.replace(weights, kinds={**weights.kinds, name: kind})
    return _with_thresholds(lessons, weights, name, first.same)


def _with_thresholds(lessons: Sequence[Lesson], weights: Weights, name: str, start: float) -> KindWeights:
    """The table, with thresholds set by reports that had a candidate.

    How many earlier ones a file lacks at its beginning says nothing about later ones. The threshold for "the same" is
    drawn towards the start where few duplicates were within reach.
    """
    rows = [
        (matches[0].score, bool(lesson.trial.report.duplicate), lesson.worth)
        for lesson in lessons
        if (matches := best_matches(lesson.trial, weights))
    ]
    scores, labels, worth = np.array(rows, dtype=float).reshape(-1, 3).T
    reached = float(np.sum(labels * worth))
    same = (reached * best_threshold(scores, labels, worth) + _THRESHOLD_PULL * start) / (reached + _THRESHOLD_PULL)
    join = threshold_of_precision(scores, labels, worth, precision=_JOIN_PRECISION)
    return dataclasses.replace(weights.of_kind(name), same=same, join=join)


def _fit_addresses(pairs: _Pairs, weights: Weights, kind: KindWeights, start: KindWeights) -> KindWeights:
    """What ages, crowds and addresses are worth beside each other, with what distances say as it stands."""
    if not len(pairs.labels):
        return kind
    says = np.interp(pairs.distances_m, kind.distance.at, kind.distance.log_odds)
    same_street = np.isfinite(pairs.apart)
    at = start.house_numbers.at
    levels = start.house_numbers.log_odds
    apart = np.where(same_street, pairs.apart, at[-1])
    fresh = _falling(pairs.ages_d, start.age)
    begin = start.bias + start.age.log_odds[0] + start.other_street
    other, crowding, repeated, gap, far, block, *falls = _solve(
        pairs,
        weights.same_service + kind.beside_street * says,
        [
            # Where it begins and what another street says are one number here, since one of the streets always speaks.
            _Term(np.ones(len(pairs.labels)), begin, signed=True),
            _Term(pairs.crowds, start.crowding, signed=True),
            _Term(pairs.repeated, start.repeated),
            _Term(-pairs.siblings, weights.same_service - start.sibling),
            _Term(same_street.astype(float), levels[-1] - start.other_street),
            _Term(pairs.blocks, start.same_block),
            *fresh,
            # Climbing from the farthest number on the street to the same one.
            *(
                _Term(1.0 - climbed, rise)
                for climbed, rise in zip(_climbed(apart, at).T, -np.diff(levels), strict=True)
            ),
        ],
    )
    age, old = _centred(start.age.at, falls[: len(fresh)], pairs.ages_d)
    other += old - kind.bias
    fitted = other + far + np.append(np.cumsum(falls[len(fresh) :][::-1])[::-1], 0.0)
    return dataclasses.replace(
        kind,
        age=age,
        sibling=weights.same_service - gap,
        crowding=crowding,
        repeated=repeated,
        other_street=other,
        house_numbers=Curve(at, tuple(map(float, fitted))),
        same_block=block,
    )


def _fit_places(pairs: _Pairs, weights: Weights, kind: KindWeights, start: KindWeights) -> KindWeights:
    """What distances are worth where there are no addresses, beside ages and crowds as they stand."""
    near = _falling(pairs.distances_m, start.distance)
    known = (
        np.where(pairs.siblings > 0.0, kind.sibling, weights.same_service)
        + np.interp(pairs.ages_d, kind.age.at, kind.age.log_odds)
        + kind.crowding * pairs.crowds
        + kind.repeated * pairs.repeated
    )
    begin = start.bias + start.distance.log_odds[0]
    bias, *falls = _solve(pairs, known, [_Term(np.ones(len(pairs.labels)), begin, signed=True), *near])
    distance, far = _centred(start.distance.at, falls, pairs.distances_m)
    bias += far
    # What addresses say begins at the bias as well.
    moved = kind.bias - bias
    return dataclasses.replace(
        kind,
        bias=bias,
        distance=distance,
        other_street=kind.other_street + moved,
        house_numbers=Curve(kind.house_numbers.at, tuple(level + moved for level in kind.house_numbers.log_odds)),
    )


def _measured(best: Sequence[tuple[Lesson, Match]]) -> _Pairs:
    rows = []
    for lesson, match in best:
        report, candidate = lesson.trial.report, match.candidate
        own, other = report.address, candidate.address
        both = own is not None and other is not None
        steps = numbers_apart(own, other) if own is not None and other is not None else None
        rows.append(
            (
                bool(report.duplicate),
                lesson.worth,
                candidate.service_code != report.service,
                candidate.distance_m,
                max(0.0, (report.created - candidate.last_report_at).total_seconds() / _SECONDS_PER_DAY),
                crowd_of(len(lesson.trial.candidates) - 1),
                candidate.reports > 1,
                math.inf if steps is None else steps,
                own is not None and other is not None and same_block(own, other),
                both,
            )
        )
    labels, worth, siblings, distances_m, ages_d, crowds, repeated, apart, blocks, addressed = np.array(rows, float).T
    return _Pairs(labels, worth, siblings, distances_m, ages_d, crowds, repeated, apart, blocks, addressed > 0.0)


def _falling(values: _Matrix, curve: Curve) -> list[_Term]:
    """A term for each fall of a curve from point to point."""
    return [
        _Term(-climbed, fall)
        for climbed, fall in zip(_climbed(values, curve.at).T, -np.diff(curve.log_odds), strict=True)
    ]


def _centred(at: Sequence[float], falls: Sequence[float], values: _Matrix) -> tuple[Curve, float]:
    """The curve of those falls beside its usual level, and that level: so near and fresh speak for, far against."""
    levels = np.concatenate([[0.0], -np.cumsum(falls)])
    usual = float(np.mean(np.interp(values, at, levels)))
    return Curve(tuple(at), tuple(float(level - usual) for level in levels)), usual


def _solve(pairs: _Pairs, known: _Matrix, terms: Sequence[_Term]) -> list[float]:
    """Penalised logistic regression by Newton's method; what would become negative and may not is held at 0."""
    columns = np.column_stack([term.column for term in terms])
    start = np.array([term.start for term in terms])
    signed = np.array([term.signed for term in terms])
    held = np.zeros(len(terms), dtype=bool)
    while True:
        solution = _newton(columns, pairs, known, start, free=~held)
        wrong = ~signed & ~held & (solution < 0.0)
        if not wrong.any():
            return [float(value) for value in solution]
        held |= wrong


def _newton(columns: _Matrix, pairs: _Pairs, known: _Matrix, start: _Matrix, *, free: NDArray[np.bool_]) -> _Matrix:
    solution = np.where(free, start, 0.0)
    used = columns[:, free]
    for _ in range(_NEWTON_STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(known + columns @ solution, -30.0, 30.0)))
        pull = _PULL * (solution - start)[free]
        slope = used.T @ (pairs.worth * (pairs.labels - chance)) - pull
        bend = (used.T * (pairs.worth * chance * (1.0 - chance))) @ used + _PULL * np.eye(int(free.sum()))
        step = np.linalg.solve(bend, slope)
        # Far from the solution a whole step may overshoot.
        solution[free] += step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if float(np.abs(step).max()) < 1e-6:
            break
    return solution


def _climbed(values: _Matrix, at: Sequence[float]) -> _Matrix:
    """For each value the share of each stretch between neighbouring points that lies below it."""
    lower, upper = np.array(at[:-1]), np.array(at[1:])
    climbed: _Matrix = np.clip((values[:, None] - lower) / (upper - lower), 0.0, 1.0)
    return climbed
