"""Weights learned from labelled reports.

A label says that a report is a duplicate, not of what. So a report's best candidate stands for it: with the weights
at hand the best ones are chosen, logistic regression fits new weights to them, and again, until the choice no longer
changes much. Two steps, because not every report has an address: first what places, ages and crowds are worth alone,
then what addresses add, with the place's own worth fitted anew beside them. Weights are drawn towards those one
starts from, so that a small set changes little; signs that make no sense (farther is likelier) are not let in.
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
from issues.evaluation import Verdict, best_threshold, threshold_of_precision
from issues.match import Candidate, place_evidence
from issues.replay import ACCURACY_M, Trial, best_matches
from issues.weights import Curve, KindWeights, Weights

_ROUNDS: Final = 4
_NEWTON_STEPS: Final = 40
# How strongly weights are drawn to where they started: so many labels' worth, each.
_PULL: Final = 2.0
_JOIN_PRECISION: Final = 0.95
# The best threshold of a set depends on how many duplicates it has, which the next set has not; F1 is flat around it.
_LOWEST_SAME: Final = 0.4
_HIGHEST_SAME: Final = 0.5
_FEWEST_REPORTS: Final = 50
_SECONDS_PER_DAY: Final = 86_400.0

_Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Problem:
    """A regression: labels, columns, what is known of each row, where to start, and what may not be negative."""

    labels: _Matrix
    columns: _Matrix
    known: _Matrix
    start: _Matrix
    not_negative: NDArray[np.bool_]


def fit_weights(trials: Sequence[Trial], start: Weights, *, kinds: Iterable[str] | None = None) -> Weights:
    """Fit weights to labelled reports.

    Args:
        trials: Replayed reports; those without a label are passed over.
        start: The weights to begin from and to stay near.
        kinds: Which tables to fit, each to the reports of its kind; left out, all that the reports are of.

    Returns:
        The start, with the tables replaced for which there are reports enough.
    """
    labelled = [trial for trial in trials if trial.report.duplicate is not None]
    wanted = {trial.report.kind for trial in labelled} if kinds is None else set(kinds)
    tables = dict(start.kinds)
    for name in sorted(wanted):
        own = [trial for trial in labelled if trial.report.kind == name]
        if len(own) >= _FEWEST_REPORTS and len({trial.report.duplicate for trial in own}) == 2:
            tables[name] = _fit_kind(own, start, name)
    return dataclasses.replace(start, kinds=tables)


def _fit_kind(trials: Sequence[Trial], start: Weights, name: str) -> KindWeights:
    weights = dataclasses.replace(start, kinds={**start.kinds, name: start.of_kind(name)})
    for _ in range(_ROUNDS):
        pairs = [(trial, matches[0].candidate) for trial in trials if (matches := best_matches(trial, weights))]
        if not pairs:
            break
        kind = _fit_addresses(pairs, _fit_places(pairs, start.of_kind(name), weights.same_service), weights)
        weights = dataclasses.replace(weights, kinds={**weights.kinds, name: kind})
    verdicts = [_verdict(trial, weights) for trial in trials]
    return dataclasses.replace(
        weights.of_kind(name),
        same=min(max(best_threshold(verdicts), _LOWEST_SAME), _HIGHEST_SAME),
        join=threshold_of_precision(verdicts, _JOIN_PRECISION),
    )


def _verdict(trial: Trial, weights: Weights) -> Verdict:
    matches = best_matches(trial, weights)
    return Verdict(trial, tuple(matches[:1]))


def _fit_places(pairs: Sequence[tuple[Trial, Candidate]], start: KindWeights, same_service: float) -> KindWeights:
    ages = np.array([_age_d(trial, candidate) for trial, candidate in pairs])
    columns = np.column_stack(
        [np.ones(len(pairs)), _places(pairs, start), _crowds(pairs), -_climbed(ages, start.age.at)]
    )
    falls = -np.diff(start.age.log_odds)
    begin = np.array([start.bias + start.age.log_odds[0], start.place, start.crowding, *falls])
    not_negative = np.array([False, True, False, *(True for _ in falls)])
    known = np.full(len(pairs), same_service)
    bias, place, crowding, *fitted_falls = _solve(_Problem(_labels(pairs), columns, known, begin, not_negative))
    levels = np.concatenate([[0.0], -np.cumsum(fitted_falls)])
    # Ages speak for or against beside the usual one, so that a fresh issue counts as a reason and not as nothing.
    usual = float(np.mean(np.interp(ages, start.age.at, levels)))
    age = Curve(start.age.at, tuple(float(level - usual) for level in levels))
    return dataclasses.replace(start, bias=float(bias + usual), place=float(place), crowding=float(crowding), age=age)


def _fit_addresses(pairs: Sequence[tuple[Trial, Candidate]], kind: KindWeights, weights: Weights) -> KindWeights:
    pairs = [pair for pair in pairs if pair[0].report.address is not None and pair[1].address is not None]
    if not pairs:
        return kind
    apart, blocks = _streets(pairs)
    same_street = np.isfinite(apart)
    at = kind.house_numbers.at
    # Climbing from the farthest number on the street to the same one.
    climbed = np.where(same_street[:, None], 1.0 - _climbed(np.where(same_street, apart, at[-1]), at), 0.0)
    columns = np.column_stack([_places(pairs, kind), np.ones(len(pairs)), same_street, climbed, blocks])
    # Where it begins and what another street says are one number here, since one of the streets always speaks.
    levels = kind.house_numbers.log_odds
    begin = np.array(
        [
            kind.place_beside_street,
            kind.other_street,
            levels[-1] - kind.other_street,
            *-np.diff(levels),
            kind.same_block,
        ]
    )
    not_negative = np.ones(len(begin), dtype=bool)
    not_negative[1] = False
    ages = np.array([kind.age.of(_age_d(trial, candidate)) for trial, candidate in pairs])
    known = kind.bias_beside_street + weights.same_service + ages + kind.crowding * _crowds(pairs)
    place, other, far, *climbs, block = _solve(_Problem(_labels(pairs), columns, known, begin, not_negative))
    fitted = other + far + np.append(np.cumsum(climbs[::-1])[::-1], 0.0)
    return dataclasses.replace(
        kind,
        place_beside_street=float(place),
        other_street=float(other),
        house_numbers=Curve(at, tuple(map(float, fitted))),
        same_block=float(block),
    )


def _solve(problem: _Problem) -> _Matrix:
    """Penalised logistic regression by Newton's method; what would become negative and may not is held at 0."""
    held = np.zeros(len(problem.start), dtype=bool)
    while True:
        solution = _newton(problem, held)
        wrong = problem.not_negative & ~held & (solution < 0.0)
        if not wrong.any():
            return solution
        held |= wrong


def _newton(problem: _Problem, held: NDArray[np.bool_]) -> _Matrix:
    free = ~held
    solution = np.where(held, 0.0, problem.start)
    columns = problem.columns[:, free]
    for _ in range(_NEWTON_STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(problem.known + problem.columns @ solution, -30.0, 30.0)))
        pull = _PULL * (solution - problem.start)[free]
        slope = columns.T @ (problem.labels - chance) - pull
        bend = (columns.T * (chance * (1.0 - chance))) @ columns + _PULL * np.eye(int(free.sum()))
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


def _labels(pairs: Sequence[tuple[Trial, Candidate]]) -> _Matrix:
    return np.array([float(bool(trial.report.duplicate)) for trial, _ in pairs])


def _places(pairs: Sequence[tuple[Trial, Candidate]], kind: KindWeights) -> _Matrix:
    return np.array(
        [
            place_evidence(candidate.distance_m, ACCURACY_M, candidate.accuracy_m, kind.extent_m)
            for _, candidate in pairs
        ]
    )


def _crowds(pairs: Sequence[tuple[Trial, Candidate]]) -> _Matrix:
    return np.array([math.log1p(len(trial.candidates) - 1) for trial, _ in pairs])


def _streets(pairs: Sequence[tuple[Trial, Candidate]]) -> tuple[_Matrix, _Matrix]:
    """How far house numbers are apart (infinite: another street), and whether they share a block."""
    apart, blocks = [], []
    for trial, candidate in pairs:
        own, other = trial.report.address, candidate.address
        if own is None or other is None:
            raise ValueError("only pairs with both addresses can be compared by them")
        steps = numbers_apart(own, other)
        apart.append(math.inf if steps is None else float(steps))
        blocks.append(float(same_block(own, other)))
    return np.array(apart), np.array(blocks)


def _age_d(trial: Trial, candidate: Candidate) -> float:
    return max(0.0, (trial.report.created - candidate.last_report_at).total_seconds() / _SECONDS_PER_DAY)
