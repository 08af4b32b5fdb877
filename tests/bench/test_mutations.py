"""Damage is drawn from its seed alone, and goes where readers look."""

from random import Random

import pytest

from bench.mutations import lengths, mutate
from tests.media.hidden import PLACES

KINDS = {
    "jpeg": ("jpeg several pictures", 2),
    "png": ("png texts", 4),
    "webp": ("webp XMP", 4),
    "heic": ("heic XMP", 4),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_lengths_of_all_parts_are_found(kind):
    place, width = KINDS[kind]
    photo = PLACES[place](1)

    found = lengths(photo)

    assert len(found) > 3
    assert {length.width for length in found} == {width}
    told = [int.from_bytes(photo[each.at : each.at + width], "big" if each.big else "little") for each in found]
    assert all(0 <= length <= len(photo) for length in told)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_does_the_same_damage(kind):
    photo = PLACES[KINDS[kind][0]](1)

    damaged = [mutate(photo, Random(seed)) for seed in range(100)]

    assert damaged == [mutate(photo, Random(seed)) for seed in range(100)]
    assert len(set(damaged)) > 95


def test_nothing_is_left_of_a_photo_without_a_failure():
    rng = Random(1)
    for photo in (b"", b"\xff", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"\0\0\0\0ftyp"):
        for _ in range(200):
            assert isinstance(mutate(photo, rng), bytes)
