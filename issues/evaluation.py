"""How well matches agree with labels: shares that were right and found, how far probabilities can be believed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from issues.match import Match
from issues.replay import Trial, best_matches, number_of
from issues.weights import Weights

_BINS: Final = 10


@dataclass(frozen=True, slots=True)
class Verdict:
    """A replayed report, its matches, best first, and the thresholds of the weights that found them."""

    trial: Trial
    matches: tuple[Match, ...]
    same: float
    join: float

    @property
    def score(self) -> float:
        """The best match's, 0 without one."""
        return self.matches[0].score if self.matches else 0.0

    @property
    def is_called(self) -> bool:
        """Whether it is taken for a duplicate."""
        return bool(self.matches) and self.score >= self.same

    @property
    def is_joined(self) -> bool:
        """Whether it would join unasked."""
        return bool(self.matches) and self.matches[0].proven >= self.join

    @property
    def is_duplicate(self) -> bool:
        """What the label says."""
        return bool(self.trial.report.duplicate)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Reports called duplicates, compared with their labels."""

    right: int
    called: int
    labelled: int

    @property
    def precision(self) -> float:
        """The share of the called that are labelled; 0 where none is called."""
        return self.right / self.called if self.called else 0.0

    @property
    def recall(self) -> float:
        """The share of the labelled that are called; 0 where none is labelled."""
        return self.right / self.labelled if self.labelled else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        both = self.called + self.labelled
        return 2.0 * self.right / both if both else 0.0


@dataclass(frozen=True, slots=True)
class Bin:
    """Scores that lie together: their mean, and the share of them that were duplicates."""

    count: int
    mean_score: float
    share: float


@dataclass(frozen=True, slots=True)
class PairAccuracy:
    """Duplicates whose parent is known: in how many it came first, or among the first five.

    Attributes:
        linked: Those with a parent among the replayed reports.
        reachable: Those whose parent was a candidate: earlier, near, of the service and open.
    """

    linked: int
    reachable: int
    first: int
    among_five: int


def judge(trials: Iterable[Trial], weights: Weights) -> list[Verdict]:
    """Match every labelled report as the server would."""
    return [_verdict(trial, weights) for trial in trials if trial.report.duplicate is not None]


def agreement(answers: Iterable[tuple[bool, bool]]) -> Agreement:
    """Compare with the labels what was called a duplicate: pairs of what was said and what the label says."""
    answers = list(answers)
    return Agreement(
        right=sum(says and is_one for says, is_one in answers),
        called=sum(says for says, _ in answers),
        labelled=sum(is_one for _, is_one in answers),
    )


def bins_of(verdicts: Iterable[Verdict], count: int = _BINS) -> list[Bin]:
    """Put reports that had a candidate into bins of equal size by their scores, lowest first.

    Reports without any candidate are told nothing, so no probability is on trial there.
    """
    scored = sorted((verdict.score, verdict.is_duplicate) for verdict in verdicts if verdict.matches)
    edges = [len(scored) * n // count for n in range(count + 1)]
    parts = [scored[a:b] for a, b in pairwise(edges) if b > a]
    return [
        Bin(len(part), sum(score for score, _ in part) / len(part), sum(is_one for _, is_one in part) / len(part))
        for part in parts
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """The expected calibration error: how far scores and shares lie apart, on average over the reports."""
    total = sum(part.count for part in bins)
    return sum(part.count * abs(part.mean_score - part.share) for part in bins) / total if total else 0.0


def chance_error(bins: Sequence[Bin]) -> float:
    """The calibration error to be expected of scores that are exactly right, for shares of few reports vary.

    What a normal distribution with the variance of so many draws lies from its mean, on average.
    """
    total = sum(part.count for part in bins)
    strays = sum(math.sqrt(2.0 / math.pi * part.count * part.mean_score * (1.0 - part.mean_score)) for part in bins)
    return strays / total if total else 0.0


def pair_accuracy(verdicts: Iterable[Verdict]) -> PairAccuracy:
    """Look where known parents stand among the matches."""
    linked = reachable = first = among_five = 0
    for verdict in verdicts:
        parent = verdict.trial.parent
        if parent is None:
            continue
        ranked = [number_of(match.candidate) for match in verdict.matches]
        linked += 1
        reachable += parent in ranked
        first += parent in ranked[:1]
        among_five += parent in ranked[:5]
    return PairAccuracy(linked, reachable, first, among_five)


def _verdict(trial: Trial, weights: Weights) -> Verdict:
    kind = weights.of_kind(trial.report.kind)
    return Verdict(trial, tuple(best_matches(trial, weights)), kind.same, kind.join)
