"""How much two pictures look alike, in the two measures that everybody knows."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_PEAK = 255.0
# Constants, window and weights as in the article below; its authors' program uses the same.
_C1, _C2 = (0.01 * _PEAK) ** 2, (0.03 * _PEAK) ** 2
_SIGMA, _RADIUS = 1.5, 5


def psnr_db(one: Image.Image, other: Image.Image) -> float:
    """Peak signal-to-noise ratio of two RGB pictures of one size in decibels; infinite where they are equal."""
    error = np.mean((_pixels(one) - _pixels(other)) ** 2)
    return math.inf if error == 0 else 10 * math.log10(_PEAK**2 / error)


def ssim(one: Image.Image, other: Image.Image) -> float:
    """Mean structural similarity of two pictures' brightness, 1 where they are equal.

    Source: Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image Quality Assessment: From Error Visibility to
    Structural Similarity", IEEE Transactions on Image Processing 13 (4), 2004, equations 13 to 17: Gaussian windows
    of 11 x 11 pixels, only those that lie in the picture as a whole.
    """
    x, y = _pixels(one.convert("L")), _pixels(other.convert("L"))
    mean_x, mean_y = _weighted(x), _weighted(y)
    variance_x = _weighted(x * x) - mean_x**2
    variance_y = _weighted(y * y) - mean_y**2
    covariance = _weighted(x * y) - mean_x * mean_y
    similar = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    similar /= (mean_x**2 + mean_y**2 + _C1) * (variance_x + variance_y + _C2)
    return float(np.mean(similar))


def _pixels(picture: Image.Image) -> NDArray[np.float64]:
    return np.asarray(picture, dtype=np.float64)


def _weighted(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average each pixel's window, down the columns and then along the rows."""
    window = np.exp(-(np.arange(-_RADIUS, _RADIUS + 1) ** 2) / (2 * _SIGMA**2))
    window /= window.sum()
    for axis in (0, 1):
        length = values.shape[axis] - 2 * _RADIUS
        parts = (weight * values.take(range(at, at + length), axis) for at, weight in enumerate(window))
        values = np.sum(list(parts), axis=0) if length > 0 else values
    return values
