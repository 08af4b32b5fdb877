"""From which score on reports are called duplicates, or join unasked: what labelled reports say.

Scores, labels (1 or 0) and what each report counts are columns of equal length.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

# Where labels are few, the scores themselves count as much as so many.
_BELIEF: Final = 20.0

_Column = NDArray[np.float64]


def best_threshold(scores: _Column, labels: _Column, worth: _Column) -> float:
    """The score from which calling reports duplicates gives the best F1, if scores are probabilities.

    That is half of the best F1 itself (Lipton, Elkan and Naryanaswamy 2014), which a set tells more surely than the
    place of its highest peak. 0.5 without any report.
    """
    _, called, right, _ = _from_each_on(scores, labels, worth)
    return float(np.max(2.0 * right / (called + np.sum(labels * worth)), initial=0.0)) / 2.0 if len(called) else 0.5


def threshold_of_precision(scores: _Column, labels: _Column, worth: _Column, *, precision: float) -> float:
    """The lowest score from which so large a share is right; 1 where none does.

    Labels say what was right, and where they are few, the scores themselves.
    """
    steps, called, right, believed = _from_each_on(scores, labels, worth)
    enough = right + _BELIEF * believed / called >= precision * (called + _BELIEF)
    return float(np.min(steps[enough], initial=1.0))


def _from_each_on(
    scores: _Column, labels: _Column, worth: _Column
) -> tuple[NDArray[np.float64], _Column, _Column, _Column]:
    """Each different score, highest first; and what counts from it on: all, those labelled, and the sum of scores."""
    steps, place = np.unique(-scores, return_inverse=True)

    def summed(values: _Column) -> _Column:
        return np.cumsum(np.bincount(place, weights=values, minlength=len(steps)))

    return -steps, summed(worth), summed(labels * worth), summed(scores * worth)
