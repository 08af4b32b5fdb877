"""What belongs together and comes in any order, hours apart."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from db.base import new_id
from tests.api.served import PICTURE, a_report, a_secret, make_safe


@pytest.fixture
def hours_pass(owner):
    """Have everything that was received lie hours back."""

    async def hours_pass() -> None:
        async with owner.transaction() as session:
            for table in ("report", "photo"):
                await session.execute(
                    text(f"UPDATE {table} SET received_at = :then"), {"then": datetime.now(UTC) - timedelta(hours=9)}
                )

    return hours_pass


@pytest.mark.parametrize("photo_first", [True, False])
async def test_a_photo_and_its_report_find_each_other_whichever_comes_first_and_whenever(
    app, register, hire, hours_pass, photo_first
):
    device, photo_id = await register(), str(new_id())
    report = a_report(photo_ids=[photo_id])
    sendings = [
        lambda: device.api.put(f"/v1/photos/{photo_id}", content=PICTURE),
        lambda: device.api.post("/v1/reports", json=report),
    ]

    for send in sendings if photo_first else reversed(sendings):
        assert (await send()).status_code == 201
        await hours_pass()

    await make_safe(app, photo_id)
    assert (await device.api.get(f"/v1/reports/{report['id']}")).json()["report"]["photo_ids"] == [photo_id]
    # The staff of its city see it, hence it is known to be the report's.
    assert (await (await hire()).get(f"/v1/photos/{photo_id}/small")).status_code == 200


async def test_a_report_sent_again_hours_later_is_the_same_report(register, hours_pass, stored):
    device, report = await register(), a_report()
    first = await device.api.post("/v1/reports", json=report)
    await hours_pass()

    again = await device.api.post("/v1/reports", json=report)

    assert again.status_code == 200
    assert again.json()["report"]["number"] == first.json()["report"]["number"]
    assert (await stored())["report"] == 1


async def test_a_report_is_told_by_its_own_secret_after_its_phone_was_lost(api, register, hours_pass):
    secret, device = a_secret(), await register()
    report = a_report(tracking=secret)
    await device.api.post("/v1/reports", json=report)
    await hours_pass()
    await device.api.delete(f"/v1/devices/{device.id}")

    answer = await api.as_(secret).patch(f"/v1/reports/{report['id']}", json={"withdrawn": True})

    assert answer.status_code == 200, answer.text
    assert answer.json()["report"]["withdrawn_datetime"]


async def test_a_photo_that_comes_after_its_report_was_taken_back_is_not_shown(app, api, register):
    device, photo_id = await register(), str(new_id())
    report = a_report(photo_ids=[photo_id])
    await device.api.post("/v1/reports", json=report)
    await device.api.patch(f"/v1/reports/{report['id']}", json={"withdrawn": True})
    await device.api.put(f"/v1/photos/{photo_id}", content=PICTURE)
    await make_safe(app, photo_id)

    assert (await api.get(f"/v1/photos/{photo_id}/small")).status_code == 404
    assert (await device.api.get(f"/v1/photos/{photo_id}/small")).status_code == 200
