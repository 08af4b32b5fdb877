"""Weights fitted anew as time passes, as a city does that learns from its own clerks every week.

What clerks call a duplicate changes with the clerk and the season, faster than things do; weights from half a year
ago then rank well and promise the wrong probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from issues.evaluation import Verdict, judge
from issues.fitting import Lesson, fit_weights
from issues.replay import LABEL_DAYS, Trial
from issues.weights import Weights

# What counts less than a hundredth is not worth the time.
_HALF_LIVES: Final = 7.0


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When weights are fitted anew.

    Attributes:
        every: After so many labelled reports.
        half_life: A report with so many labelled ones after it counts half.
        label_days: How long it takes until nearly every label is known; younger reports teach nothing yet.
    """

    every: int = 100
    half_life: float = 500.0
    label_days: float = LABEL_DAYS


def judge_as_time_passes(
    trials: Sequence[Trial], scored: Collection[str], start: Weights, rhythm: Rhythm
) -> list[Verdict]:
    """Match the labelled among some of the replayed reports, each by weights fitted only to what was known by then.

    Args:
        trials: All that were replayed, in their order.
        scored: The ids of those to score.
        start: What each fit begins from.
        rhythm: When to fit anew.
    """
    labelled = [trial for trial in trials if trial.report.duplicate is not None]
    verdicts: list[Verdict] = []
    for begin in range(0, len(labelled), rhythm.every):
        part = [trial for trial in labelled[begin : begin + rhythm.every] if trial.report.id in scored]
        if part:
            known = _known_before(labelled[:begin], part[0].report.created, rhythm)
            verdicts += judge(part, fit_weights(known, start, kinds={trial.report.kind for trial in part}))
    return verdicts


def _known_before(earlier: Sequence[Trial], now: datetime, rhythm: Rhythm) -> list[Lesson]:
    """What the earlier reports teach, the newest first among them."""
    told = now - timedelta(days=rhythm.label_days)
    telling = math.ceil(_HALF_LIVES * rhythm.half_life)
    return [
        Lesson(trial, 0.5 ** (after / rhythm.half_life))
        for after, trial in enumerate(reversed(earlier[-telling:]))
        if trial.report.created <= told
    ]
