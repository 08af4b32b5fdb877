"""What two reported positions say about being one place, whatever their accuracies.

What a phone calls accuracy is the radius that holds the true position with a probability of 68 % (the meaning
Android documents; other sources are taken the same way). With errors that are normal and equal in all
directions, the radius holding 68 % is 1.51 standard deviations. Two reports of one thing are scattered around each
other by both errors and by the size of the thing itself, while things that have nothing to do with each other lie
about evenly.

What distances are worth is learned from positions of one accuracy (`issues.weights`). Others are compared with those:
stretched by the ratio of the scatters, a distance says the same of them. But where the scatter is s times as wide, the
reports of one thing are spread over s^2 times the area, and so many more other things lie within it: Bayes' rule takes
2 ln s from the log-odds.
"""

from __future__ import annotations

import math

_SHARE_WITHIN_ACCURACY = 0.68

# P(error < r) = 1 - exp(-r^2 / 2 sigma^2) for two equal normal errors (Rayleigh), solved for r / sigma.
_SIGMAS_PER_ACCURACY = math.sqrt(-2.0 * math.log(1.0 - _SHARE_WITHIN_ACCURACY))

# No accuracy is believed to be better than this; phones between houses promise too much.
_FLOOR_M = 5.0


def scatter_m(accuracy_a_m: float, accuracy_b_m: float, *, extent_m: float) -> float:
    """How far apart two reports of one thing lie in one direction: one standard deviation, in metres.

    Args:
        accuracy_a_m: Radius holding the first true position with a probability of 68 %.
        accuracy_b_m: The same for the second.
        extent_m: How far around a thing people stand when they report it (one standard deviation).

    Raises:
        ValueError: a length that is negative or not finite.
    """
    _require_lengths(accuracy_a_m, accuracy_b_m, extent_m)
    return math.sqrt(_variance(accuracy_a_m) + _variance(accuracy_b_m) + extent_m**2)


def compare_at_accuracy(
    distance_m: float, accuracy_a_m: float, accuracy_b_m: float, *, extent_m: float, accuracy_m: float
) -> tuple[float, float]:
    """The distance (metres) that would say the same between two positions of one accuracy, and the log-odds to add.

    Those are never positive: wider scatter takes from what positions say, and a narrower one than that of the
    positions which were learned from adds nothing, for nobody has seen that it does.

    Args:
        distance_m: Geodesic metres between the two positions.
        accuracy_a_m: Radius holding the first true position with a probability of 68 %.
        accuracy_b_m: The same for the second.
        extent_m: How far around a thing people stand when they report it (one standard deviation).
        accuracy_m: The accuracy of the positions to compare with.

    Raises:
        ValueError: a length that is negative or not finite.
    """
    _require_lengths(distance_m)
    wider = scatter_m(accuracy_a_m, accuracy_b_m, extent_m=extent_m) / scatter_m(
        accuracy_m, accuracy_m, extent_m=extent_m
    )
    return distance_m / wider, min(0.0, -2.0 * math.log(wider))


def _variance(accuracy_m: float) -> float:
    return (max(accuracy_m, _FLOOR_M) / _SIGMAS_PER_ACCURACY) ** 2


def _require_lengths(*lengths_m: float) -> None:
    for length_m in lengths_m:
        if not 0.0 <= length_m < math.inf:
            raise ValueError(f"a length must be finite and not negative, not {length_m!r}")
