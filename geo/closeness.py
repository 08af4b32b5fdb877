"""How likely it is that two reported positions are one place.

What a phone calls accuracy is the radius that holds the true position with a probability of 68 % (the meaning
Android documents; other sources are taken the same way). With errors that are normal and equal in all
directions, the radius holding 68 % is 1.51 standard deviations. Two reports of one thing are then scattered
around each other by both errors and by the size of the thing itself, while things that have nothing to do with
each other lie about evenly: Bayes' rule weighs the one against the other.
"""

from __future__ import annotations

import math

_SHARE_WITHIN_ACCURACY = 0.68

# P(error < r) = 1 - exp(-r^2 / 2 sigma^2) for two equal normal errors (Rayleigh), solved for r / sigma.
_SIGMAS_PER_ACCURACY = math.sqrt(-2.0 * math.log(1.0 - _SHARE_WITHIN_ACCURACY))


def probability_same_place(
    distance_m: float,
    accuracy_a_m: float,
    accuracy_b_m: float,
    *,
    extent_m: float = 4.0,
    separation_m: float = 60.0,
    floor_m: float = 5.0,
    prior: float = 0.5,
) -> float:
    """The probability that two reported positions are about one place.

    It falls with distance (never rises), does not care which position is first, and depends on accuracy as one
    would hope: precise positions say more, both when they agree and when they do not.

    Args:
        distance_m: Geodesic metres between the two positions.
        accuracy_a_m: Radius holding the first true position with a probability of 68 %.
        accuracy_b_m: The same for the second.
        extent_m: How far around a thing people stand when they report it (one standard deviation).
        separation_m: A different thing of the kind would lie anywhere within this distance, evenly.
        floor_m: No accuracy is believed to be better than this; phones between houses promise too much.
        prior: Probability before the distance is known.

    Returns:
        Between 0 and 1.

    Raises:
        ValueError: a length that is negative or not finite, or a prior outside (0, 1).
    """
    if not 0.0 < prior < 1.0:
        raise ValueError(f"prior {prior!r} must lie between 0 and 1")
    evidence = log_odds_same_place(
        distance_m, accuracy_a_m, accuracy_b_m, extent_m=extent_m, separation_m=separation_m, floor_m=floor_m
    )
    return _logistic(math.log(prior / (1.0 - prior)) + evidence)


def log_odds_same_place(
    distance_m: float,
    accuracy_a_m: float,
    accuracy_b_m: float,
    *,
    extent_m: float = 4.0,
    separation_m: float = 60.0,
    floor_m: float = 5.0,
) -> float:
    """What two positions add to the log-odds that they are one place, for sums with other evidence.

    Arguments and errors are those of `probability_same_place`. Infinite where neither error nor extent leaves doubt.
    """
    _require_lengths(distance_m, accuracy_a_m, accuracy_b_m, extent_m, floor_m)
    if not 0.0 < separation_m < math.inf:
        raise ValueError(f"separation_m {separation_m!r} must be positive")
    variance = _variance(accuracy_a_m, floor_m) + _variance(accuracy_b_m, floor_m) + extent_m**2
    if variance == 0.0:
        return math.inf if distance_m == 0.0 else -math.inf
    # Density of the distance d if same: d / s^2 exp(-d^2 / 2 s^2); if different: 2 d / separation_m^2. The d
    # cancels. Beyond separation_m the second is kept as it is, so that the answer goes on falling smoothly.
    return 2.0 * math.log(separation_m) - math.log(2.0 * variance) - distance_m**2 / (2.0 * variance)


def _variance(accuracy_m: float, floor_m: float) -> float:
    return (max(accuracy_m, floor_m) / _SIGMAS_PER_ACCURACY) ** 2


def _require_lengths(*lengths_m: float) -> None:
    for length_m in lengths_m:
        if not 0.0 <= length_m < math.inf:
            raise ValueError(f"a length must be finite and not negative, not {length_m!r}")


def _logistic(log_odds: float) -> float:
    if log_odds < 0.0:
        odds = math.exp(log_odds)
        return odds / (1.0 + odds)
    return 1.0 / (1.0 + math.exp(-log_odds))
