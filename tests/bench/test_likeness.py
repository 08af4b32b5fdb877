"""How alike two pictures are, where the answer is known from the formulas alone."""

import math

import numpy as np
import pytest
from PIL import Image

from bench.likeness import psnr_db, ssim


def grey(value: int) -> Image.Image:
    return Image.new("RGB", (30, 20), (value, value, value))


def noisy(amount: int) -> Image.Image:
    """Paint a slope with noise of so many grey values."""
    rng = np.random.default_rng(7)
    slope = np.linspace(60, 190, 64)[None, :, None] * np.ones((48, 1, 3))
    return Image.fromarray((slope + amount * rng.choice([-1, 1], size=(48, 64, 1))).astype(np.uint8))


def test_equal_pictures_are_as_alike_as_can_be():
    assert psnr_db(noisy(5), noisy(5)) == math.inf
    assert ssim(noisy(5), noisy(5)) == pytest.approx(1)


@pytest.mark.parametrize(("one", "other"), [(100, 101), (100, 150), (0, 255)])
def test_even_pictures_differ_by_their_brightness_alone(one, other):
    c1 = (0.01 * 255) ** 2

    assert psnr_db(grey(one), grey(other)) == pytest.approx(20 * math.log10(255 / (other - one)))
    assert ssim(grey(one), grey(other)) == pytest.approx((2 * one * other + c1) / (one**2 + other**2 + c1))


def test_more_noise_is_less_alike():
    likenesses = [(psnr_db(noisy(0), noisy(amount)), ssim(noisy(0), noisy(amount))) for amount in (2, 8, 30)]

    assert likenesses == sorted(likenesses, reverse=True)
    assert 0 < likenesses[-1][1] < 0.5 < likenesses[0][1] < 1
