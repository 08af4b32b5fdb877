"""Damaged photos, in short, through a running server and its worker; `make fuzz-photos` is the long one."""

import pytest

from bench.photo_fuzz import Plan, fuzz, shipped_photos
from bench.stage import lift_limits

_DAMAGED = 160
# What no reader ever gets as far as a picture of, among the shipped photos; the rest is in `good`, or made up.
_BAD = "photos/bad/"


@pytest.mark.usefixtures("cities")
async def test_whatever_is_sent_as_a_photo_is_made_safe_or_refused(app_url, owner_url, owner, tmp_path):
    await lift_limits(owner)
    plan = Plan(shipped_photos(), _DAMAGED, seed=7)

    outcome = await fuzz(app_url, owner_url, tmp_path, plan, print)

    assert outcome.faults == []
    assert {name for name in plan.photos if outcome.told[name] != "ready"} == {
        name for name in plan.photos if name.startswith(_BAD)
    }
    assert set(outcome.statuses) == {200, 201, 204, 413, 415, 422}
    assert outcome.verdicts["ready"] > len(plan.photos)
    assert outcome.pictures == 2 * outcome.verdicts["ready"]
