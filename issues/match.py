"""How likely a report is about an issue that is already open, and why.

Every factor speaks for or against in log-odds, which add up; the score is the probability they come to. Each
factor's part is kept as a reason, so that every answer can be explained. Pure: no rows, no clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from geo.closeness import probability_same_place

# No service may join farther than this. It is also how wide a lock cell is, so it is fixed rather than taken from
# the packs at hand: two processes that have loaded different packs must still lock the same cells.
LARGEST_RADIUS_M: Final = 100.0

# What people see before they send reaches farther than what is joined without asking them.
_SUGGEST_RADIUS_M: Final = 50.0
_SUGGEST_WINDOW_DAYS: Final = 30

# A position without an accuracy is taken to be as good as its kind usually is.
_ASSUMED_ACCURACY_M: Final = {"gps": 15.0, "photo": 15.0, "map": 10.0, "address": 25.0}
_ASSUMED_ACCURACY_OTHERWISE_M: Final = 25.0

# A fresh issue is twice as likely to be the one as its place alone says; one at the end of its window half as likely.
_AGE_LOG_ODDS: Final = math.log(2.0)
_SAME_SERVICE_LOG_ODDS: Final = math.log(1.5)
_SIBLING_LOG_ODDS: Final = -math.log(3.0)
# A probability of 0 or 1 would have no log-odds; at 6 figures nobody sees the difference.
_CERTAIN: Final = 1e-6
_SECONDS_PER_DAY: Final = 86_400.0


class Joins(StrEnum):
    """Whether reports of a service join an issue by themselves."""

    AUTOMATIC = "automatic"
    ASK = "ask"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class MatchPolicy:
    """When a report of a service may join: within metres, within days of the last report, from a score upwards."""

    radius_m: float
    window_days: int
    join_threshold: float
    joins: Joins

    def for_suggestions(self) -> MatchPolicy:
        """The wider limits within which people are asked whether theirs is the same problem."""
        return MatchPolicy(
            radius_m=max(self.radius_m, _SUGGEST_RADIUS_M),
            window_days=max(self.window_days, _SUGGEST_WINDOW_DAYS),
            join_threshold=self.join_threshold,
            joins=self.joins,
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """An open issue near a report: what its score depends on."""

    issue_id: UUID
    service_code: str
    distance_m: float
    accuracy_m: float
    last_report_at: datetime


@dataclass(frozen=True, slots=True)
class Reason:
    """A factor's part in a score.

    Attributes:
        factor: `distance`, `age` (since the issue's last report) or `service`.
        value: The measured value; for `service` 1 where it is the same, 0.5 for a sibling.
        unit: UCUM: `m`, `d`, or `1` where it has none.
        weight: Its share of all the evidence, negative where it speaks against; absolute shares add up to 1.
    """

    factor: str
    value: float
    unit: str
    weight: float


@dataclass(frozen=True, slots=True)
class Match:
    """How likely a report is about an issue (0 to 1), and why."""

    candidate: Candidate
    score: float
    reasons: tuple[Reason, ...]


def assumed_accuracy_m(location_source: str) -> float:
    """The accuracy (metres, 68 %) of a position that came without one."""
    return _ASSUMED_ACCURACY_M.get(location_source, _ASSUMED_ACCURACY_OTHERWISE_M)


def score_candidate(
    candidate: Candidate, *, service_code: str, accuracy_m: float, policy: MatchPolicy, now: datetime
) -> Match | None:
    """Score an open issue as what a report is about.

    Args:
        candidate: The issue. One of another service is taken for a sibling; others are no candidates.
        service_code: The report's service.
        accuracy_m: The report's accuracy (radius that holds the true position with 68 %).
        policy: The limits of the report's service.
        now: Time of receipt.

    Returns:
        The match, or None where the issue lies outside the policy's radius or window.
    """
    age_d = max(0.0, (now - candidate.last_report_at).total_seconds() / _SECONDS_PER_DAY)
    if candidate.distance_m > policy.radius_m or age_d > policy.window_days:
        return None
    same_service = candidate.service_code == service_code
    evidence = (
        ("distance", round(candidate.distance_m, 1), "m", _place_log_odds(candidate, accuracy_m)),
        ("age", round(age_d, 2), "d", _age_log_odds(age_d, policy.window_days)),
        ("service", 1.0 if same_service else 0.5, "1", _SAME_SERVICE_LOG_ODDS if same_service else _SIBLING_LOG_ODDS),
    )
    total = sum(abs(log_odds) for *_, log_odds in evidence)
    return Match(
        candidate=candidate,
        score=round(_probability(sum(log_odds for *_, log_odds in evidence)), 4),
        reasons=tuple(
            Reason(factor, value, unit, round(log_odds / total, 3)) for factor, value, unit, log_odds in evidence
        ),
    )


def rank_candidates(
    candidates: Iterable[Candidate], *, service_code: str, accuracy_m: float, policy: MatchPolicy, now: datetime
) -> list[Match]:
    """Score candidates and order those within the policy's limits, best first; then the nearer, then the lower id."""
    matches = [
        match
        for candidate in candidates
        if (
            match := score_candidate(
                candidate, service_code=service_code, accuracy_m=accuracy_m, policy=policy, now=now
            )
        )
        is not None
    ]
    matches.sort(key=lambda match: (-match.score, match.candidate.distance_m, match.candidate.issue_id))
    return matches


def joinable(matches: Iterable[Match], policy: MatchPolicy) -> list[Match]:
    """Keep the matches that a report may join without anybody being asked."""
    if policy.joins is not Joins.AUTOMATIC:
        return []
    return [match for match in matches if match.score >= policy.join_threshold]


def _place_log_odds(candidate: Candidate, accuracy_m: float) -> float:
    probability = probability_same_place(candidate.distance_m, accuracy_m, candidate.accuracy_m)
    probability = min(max(probability, _CERTAIN), 1.0 - _CERTAIN)
    return math.log(probability / (1.0 - probability))


def _age_log_odds(age_d: float, window_days: int) -> float:
    share = age_d / window_days if window_days else 0.0
    return _AGE_LOG_ODDS * (1.0 - 2.0 * share)


def _probability(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-log_odds))
