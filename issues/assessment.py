"""What a replay of labelled reports shows, in figures and examples."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from issues.evaluation import (
    Agreement,
    Bin,
    PairAccuracy,
    Verdict,
    agreement,
    bins_of,
    calibration_error,
    chance_error,
    judge,
    pair_accuracy,
)
from issues.replay import Trial
from issues.weights import Weights

_EXAMPLES: Final = 5
# A suggestion is shown from here on; below, nine in ten would be wrong.
_SHOWN_FROM: Final = 0.1


@dataclass(frozen=True, slots=True)
class Assessment:
    """The figures of one replay.

    Attributes:
        scored: How many labelled reports were scored.
        same: Duplicates called from the weights' threshold for "the same" on.
        join: Those called from the threshold for joining unasked on.
        pairs: Where known parents stood among the suggestions.
        bins: Scores against shares, lowest first.
        shown: The share of reports that show a suggestion.
        right: Reports of which labels say the same.
        wrong: Reports called duplicates that are not labelled so, the surest first.
        missed: Labelled duplicates that were not called, those with a candidate first.
    """

    scored: int
    same: Agreement
    join: Agreement
    pairs: PairAccuracy
    bins: tuple[Bin, ...]
    shown: float
    right: tuple[Verdict, ...]
    wrong: tuple[Verdict, ...]
    missed: tuple[Verdict, ...]

    def rows(self) -> list[tuple[str, str]]:
        """The figures for people."""
        rows = [
            ("reports scored", str(self.scored)),
            ("labelled duplicates", str(self.same.labelled)),
            ("precision", f"{self.same.precision:.3f}"),
            ("recall", f"{self.same.recall:.3f}"),
            ("F1", f"{self.same.f1:.3f}"),
            ("precision at join", f"{self.join.precision:.3f}"),
            ("recall at join", f"{self.join.recall:.3f}"),
            ("calibration error", f"{calibration_error(self.bins):.3f} ({chance_error(self.bins):.3f} by chance)"),
            ("reports that show a suggestion", f"{self.shown:.3f}"),
        ]
        if self.pairs.linked:
            rows += [
                ("known parents", str(self.pairs.linked)),
                ("parent first", f"{self.pairs.first / self.pairs.linked:.3f}"),
                ("parent among five", f"{self.pairs.among_five / self.pairs.linked:.3f}"),
            ]
        return rows

    def as_dict(self) -> dict[str, Any]:
        """The figures for programs."""
        return {
            "scored": self.scored,
            "labelled": self.same.labelled,
            "precision": self.same.precision,
            "recall": self.same.recall,
            "f1": self.same.f1,
            "join": {"precision": self.join.precision, "recall": self.join.recall},
            "calibration": {
                "ece": calibration_error(self.bins),
                "by_chance": chance_error(self.bins),
                "bins": [{"count": part.count, "score": part.mean_score, "share": part.share} for part in self.bins],
            },
            "pairs": {
                "linked": self.pairs.linked,
                "reachable": self.pairs.reachable,
                "top1": self.pairs.first / self.pairs.linked if self.pairs.linked else None,
                "top5": self.pairs.among_five / self.pairs.linked if self.pairs.linked else None,
            },
            "suggestions_shown": self.shown,
            "wrong": examples(self.wrong),
            "missed": examples(self.missed),
        }


def assess(trials: Sequence[Trial], scored: Collection[str], weights: Weights) -> Assessment:
    """Score some of the replayed reports, and sum up.

    Args:
        trials: All that were replayed, in their order.
        scored: The ids of those to score; the others were only there to be matched with.
        weights: What to match by.
    """
    return sum_up(judge((trial for trial in trials if trial.report.id in scored), weights))


def sum_up(verdicts: Sequence[Verdict]) -> Assessment:
    """Sum up what was decided about reports."""
    by_score = sorted(verdicts, key=lambda verdict: -verdict.score)
    wrong = [verdict for verdict in by_score if verdict.is_called and not verdict.is_duplicate]
    missed = [verdict for verdict in by_score if verdict.is_duplicate and not verdict.is_called]
    return Assessment(
        scored=len(verdicts),
        same=agreement((verdict.is_called, verdict.is_duplicate) for verdict in verdicts),
        join=agreement((verdict.is_joined, verdict.is_duplicate) for verdict in verdicts),
        pairs=pair_accuracy(verdicts),
        bins=tuple(bins_of(verdicts)),
        shown=sum(verdict.score >= _SHOWN_FROM for verdict in verdicts) / max(1, len(verdicts)),
        right=tuple(verdict for verdict in by_score if verdict.is_called == verdict.is_duplicate),
        wrong=tuple(wrong),
        missed=tuple(missed),
    )


def examples(verdicts: Sequence[Verdict]) -> list[str]:
    """The first few, told in words."""
    return [_told(verdict) for verdict in verdicts[:_EXAMPLES]]


def _told(verdict: Verdict) -> str:
    report = verdict.trial.report
    if not verdict.matches:
        return f"{report.id}: nothing near"
    best = verdict.matches[0]
    reasons = ", ".join(f"{reason.factor} {reason.value:g} ({reason.weight:+.2f})" for reason in best.reasons)
    return f"{report.id}: {best.score:.2f}, {reasons}"
