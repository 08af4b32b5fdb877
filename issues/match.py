"""How likely a report is about an issue that is already open, and why.

Every factor speaks for or against in log-odds, which add up; the score is the probability they come to. What each
is worth was learned from labelled reports where there were any (`issues.weights`). Each factor's part is kept as a
reason, so that every answer can be explained. Pure: no rows, no clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from geo.civic import CivicAddress, numbers_apart, same_block
from geo.closeness import compare_at_accuracy
from issues.weights import ANY_KIND, KindWeights, Weights, built_in_weights
from issues.words import likeness

# No service may join farther than this. It is also how wide a lock cell is, so it is fixed rather than taken from
# the packs at hand: two processes that have loaded different packs must still lock the same cells.
LARGEST_RADIUS_M: Final = 100.0

# What people are asked about reaches farther than what is joined without asking them, and is less certain.
SUGGEST_THRESHOLD: Final = 0.3
SUGGEST_RADIUS_M: Final = 75.0
SUGGEST_WINDOW_DAYS: Final = 45
MOST_SUGGESTED: Final = 5

# How close the service of an issue is to that of a report; the catalogue has the table.
SAME: Final = 1.0
SIBLING: Final = 0.5
OTHER: Final = 0.2

# A position without an accuracy is taken to be as good as its kind usually is.
_ASSUMED_ACCURACY_M: Final = {"gps": 15.0, "photo": 15.0, "map": 10.0, "address": 25.0}
_ASSUMED_ACCURACY_OTHERWISE_M: Final = 25.0

# The geocoded addresses that the weights were learned from are about so good.
LEARNED_ACCURACY_M: Final = 10.0
_LARGEST_CROWD: Final = 3
_SECONDS_PER_DAY: Final = 86_400.0
_64_BITS: Final = (1 << 64) - 1


class Joins(StrEnum):
    """Whether reports of a service join an issue by themselves."""

    AUTOMATIC = "automatic"
    ASK = "ask"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class MatchPolicy:
    """When a report of a service may join: within metres, within days of the last report, from a score upwards.

    Attributes:
        kind: The table of weights that its reports are judged by.
        suggest_threshold: From this score upwards people are asked; `suggest_radius_m` and `suggest_window_days` are
            how far and how long back issues are looked for then, where that is more than for joining.
    """

    radius_m: float
    window_days: int
    join_threshold: float
    joins: Joins
    kind: str = ANY_KIND
    suggest_threshold: float = SUGGEST_THRESHOLD
    suggest_radius_m: float = SUGGEST_RADIUS_M
    suggest_window_days: int = SUGGEST_WINDOW_DAYS

    def for_suggestions(self) -> MatchPolicy:
        """The wider limits within which people are asked whether theirs is the same problem."""
        return replace(
            self,
            radius_m=max(self.radius_m, self.suggest_radius_m),
            window_days=max(self.window_days, self.suggest_window_days),
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """An open issue near a report: what its score depends on.

    Attributes:
        came_back: It is no longer open, but was until a short while ago; never joined unasked.
        address: Where it is, if that is known.
        words: What was written about it.
        closeness: Of its service to the report's, 0 to 1; None to tell by the codes: the same, or a sibling.
        photos: Difference hashes of its pictures, 64 bits each.
        reports: How many are in it.
    """

    issue_id: UUID
    service_code: str
    distance_m: float
    accuracy_m: float
    last_report_at: datetime
    came_back: bool = False
    address: CivicAddress | None = None
    words: str = ""
    closeness: float | None = None
    photos: tuple[int, ...] = ()
    reports: int = 1


@dataclass(frozen=True, slots=True)
class Wording:
    """What a report says and shows of its place and problem beside its position; any may be missing."""

    address: CivicAddress | None = None
    words: str = ""
    photos: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Reason:
    """A factor's part in a score.

    Attributes:
        factor: `distance`, `age` (since the issue's last report) and `service`; where there is something to say,
            `house_numbers` (how far apart on one street), `other_street`, `same_block`, `crowding` (other open ones
            near), `reports` (how many it has, where more than one), `words` (likeness, 0 to 1), `photos` (in how many
            of 64 bits the most alike differ) and `came_back`.
        value: The measured value; for `service` 1 where it is the same, 0.5 for a sibling, less for others.
        unit: UCUM: `m`, `d`, or `1` where it has none.
        weight: Its share of all the evidence, negative where it speaks against; absolute shares add up to 1.
    """

    factor: str
    value: float
    unit: str
    weight: float


@dataclass(frozen=True, slots=True)
class Match:
    """How likely a report is about an issue (0 to 1), and why.

    `proven` is the score without what only judgement, no labelled evidence, says in favour (words, photos, and
    what a poor accuracy excuses): joining goes by it.
    """

    candidate: Candidate
    score: float
    reasons: tuple[Reason, ...]
    proven: float


def assumed_accuracy_m(location_source: str) -> float:
    """The accuracy (metres, 68 %) of a position that came without one."""
    return _ASSUMED_ACCURACY_M.get(location_source, _ASSUMED_ACCURACY_OTHERWISE_M)


def score_candidate(
    candidate: Candidate,
    *,
    service_code: str,
    accuracy_m: float,
    policy: MatchPolicy,
    now: datetime,
    wording: Wording = Wording(),
    others_near: int = 0,
    weights: Weights | None = None,
) -> Match | None:
    """Score an open issue as what a report is about.

    Args:
        candidate: The issue.
        service_code: The report's service.
        accuracy_m: The report's accuracy (radius that holds the true position with 68 %).
        policy: The limits of the report's service.
        now: Time of receipt.
        wording: Address and words of the report.
        others_near: How many other candidates there are.
        weights: What factors are worth; the built-in ones if left out.

    Returns:
        The match, or None where the issue lies outside the policy's radius or window.
    """
    age_d = max(0.0, (now - candidate.last_report_at).total_seconds() / _SECONDS_PER_DAY)
    if candidate.distance_m > policy.radius_m or age_d > policy.window_days:
        return None
    weights = weights or built_in_weights()
    kind = weights.of_kind(policy.kind)
    closeness = _closeness(candidate, service_code)
    place, by_accuracy = _place_evidence(candidate, accuracy_m, kind, wording)
    learned = [
        ("distance", round(candidate.distance_m, 1), "m", place),
        ("age", round(age_d, 2), "d", kind.age.of(age_d)),
        ("service", closeness, "1", _service_log_odds(closeness, weights, kind)),
        *_street_evidence(candidate.address, wording.address, kind),
    ]
    if others_near:
        learned.append(("crowding", float(others_near), "1", kind.crowding * crowd_of(others_near)))
    if candidate.reports > 1:
        learned.append(("reports", float(candidate.reports), "1", kind.repeated))
    judged = _judged_evidence(candidate, wording, weights)
    unproven = max(0.0, by_accuracy) + sum(max(0.0, log_odds) for *_, log_odds in judged)
    return _match(candidate, kind.bias, (*learned, *judged), unproven)


def crowd_of(others_near: int) -> float:
    """How crowded it is around a report, as weights count it: larger crowds than labels were seen for say no more."""
    return math.log1p(min(others_near, _LARGEST_CROWD))


def rank_candidates(
    candidates: Iterable[Candidate],
    *,
    service_code: str,
    accuracy_m: float,
    policy: MatchPolicy,
    now: datetime,
    wording: Wording = Wording(),
    weights: Weights | None = None,
) -> list[Match]:
    """Score candidates and order those within the policy's limits, best first; then the nearer, then the lower id."""
    near = [candidate for candidate in candidates if candidate.distance_m <= policy.radius_m]
    matches = [
        match
        for candidate in near
        if (
            match := score_candidate(
                candidate,
                service_code=service_code,
                accuracy_m=accuracy_m,
                policy=policy,
                now=now,
                wording=wording,
                others_near=len(near) - 1,
                weights=weights,
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
    return [match for match in matches if match.proven >= policy.join_threshold and not match.candidate.came_back]


def suggestible(matches: Iterable[Match], policy: MatchPolicy) -> list[Match]:
    """Keep the best of the ranked matches that people are to be asked about."""
    if policy.joins is Joins.NEVER:
        return []
    return [match for match in matches if match.score >= policy.suggest_threshold][:MOST_SUGGESTED]


_Evidence = tuple[str, float, str, float]


def _match(candidate: Candidate, bias: float, evidence: Sequence[_Evidence], unproven: float) -> Match:
    score = bias + sum(log_odds for *_, log_odds in evidence)
    total = sum(abs(log_odds) for *_, log_odds in evidence) or 1.0
    return Match(
        candidate=candidate,
        score=round(_probability(score), 4),
        reasons=tuple(
            Reason(factor, value, unit, round(log_odds / total, 3)) for factor, value, unit, log_odds in evidence
        ),
        proven=round(_probability(score - unproven), 4),
    )


def _closeness(candidate: Candidate, service_code: str) -> float:
    if candidate.closeness is not None:
        return candidate.closeness
    return SAME if candidate.service_code == service_code else SIBLING


def _service_log_odds(closeness: float, weights: Weights, kind: KindWeights) -> float:
    """On the straight line through what the same service and a sibling are worth."""
    share = (closeness - SIBLING) / (SAME - SIBLING)
    return kind.sibling + share * (weights.same_service - kind.sibling)


def _place_evidence(
    candidate: Candidate, accuracy_m: float, kind: KindWeights, wording: Wording
) -> tuple[float, float]:
    """What the positions say, and how much of that comes from accuracies other than the learned one."""
    metres, lost = compare_at_accuracy(
        candidate.distance_m, accuracy_m, candidate.accuracy_m, extent_m=kind.extent_m, accuracy_m=LEARNED_ACCURACY_M
    )
    both_known = candidate.address is not None and wording.address is not None
    share = kind.beside_street if both_known else 1.0
    says = share * (kind.distance.of(metres) + lost)
    return says, says - share * kind.distance.of(candidate.distance_m)


def _street_evidence(one: CivicAddress | None, other: CivicAddress | None, kind: KindWeights) -> Iterable[_Evidence]:
    if one is None or other is None:
        return
    apart = numbers_apart(one, other)
    if apart is not None:
        yield "house_numbers", float(apart), "1", kind.house_numbers.of(apart)
        if same_block(one, other):
            yield "same_block", 1.0, "1", kind.same_block
    else:
        yield "other_street", 1.0, "1", kind.other_street


def _judged_evidence(candidate: Candidate, wording: Wording, weights: Weights) -> list[_Evidence]:
    judged = []
    if candidate.words and wording.words:
        alike = likeness(candidate.words, wording.words)
        judged.append(("words", round(alike, 2), "1", weights.words.of(alike)))
    if candidate.photos and wording.photos:
        apart = min(_bits_apart(one, other) for one in candidate.photos for other in wording.photos)
        judged.append(("photos", float(apart), "1", weights.photos.of(apart)))
    if candidate.came_back:
        judged.append(("came_back", 1.0, "1", weights.came_back))
    return judged


def _bits_apart(one: int, other: int) -> int:
    # PostgreSQL has no unsigned numbers, so a hash may come back negative.
    return ((one ^ other) & _64_BITS).bit_count()


def _probability(log_odds: float) -> float:
    if log_odds < 0.0:
        odds = math.exp(log_odds)
        return odds / (1.0 + odds)
    return 1.0 / (1.0 + math.exp(-log_odds))
