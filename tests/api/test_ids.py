"""Ids that callers make: which are taken, and which are nobody's own."""

from uuid import NAMESPACE_URL, UUID, uuid1, uuid4, uuid5

import pytest

from db.base import new_id
from tests.api.served import PICTURE, a_report, a_secret, fields_of, problem_of

NOBODYS = {
    "nil": str(UUID(int=0)),
    "of a machine and a time": str(uuid1()),
    "of a name": str(uuid5(NAMESPACE_URL, "x")),
}
ORDER = {"issue_ids": [str(new_id())], "crew": "voirie-1", "planned_on": "2030-11-25"}
DEVICE = {"platform": "android", "push": None}


# How each call sends an id of its own: the caller and the id, to the call.
CALLS = {
    "report": lambda caller, id_: caller.post("/v1/reports", json=a_report(id=id_)),
    "key of a report": lambda caller, id_: caller.post(
        "/v1/reports", json=a_report(id=None), headers={"Idempotency-Key": id_}
    ),
    "device": lambda caller, id_: caller.as_(a_secret()).put(f"/v1/devices/{id_}", json=DEVICE),
    "photo": lambda caller, id_: caller.put(f"/v1/photos/{id_}", content=PICTURE),
    "status": lambda caller, id_: caller.post(
        f"/v1/issues/{new_id()}/status", json={"id": id_, "status": "acknowledged"}
    ),
    "work order": lambda caller, id_: caller.post("/v1/work-orders", json={**ORDER, "id": id_}),
    "change of an order": lambda caller, id_: caller.patch(
        f"/v1/work-orders/{new_id()}", json={"id": id_, "version": 1}
    ),
}


@pytest.mark.parametrize("id_", NOBODYS.values(), ids=NOBODYS.keys())
@pytest.mark.parametrize(
    ("what", "field"),
    [
        ("report", "id"),
        ("key of a report", "Idempotency-Key"),
        ("device", "device_id"),
        ("photo", "photo_id"),
        ("status", "id"),
        ("work order", "id"),
        ("change of an order", "id"),
    ],
)
async def test_an_id_that_others_may_make_too_is_refused(hire, stored, what, field, id_):
    agent = await hire()

    answer = await CALLS[what](agent, id_)

    assert fields_of(problem_of(answer, 422, "invalid-fields")) == {field}
    assert set((await stored()).values()) == {0}


@pytest.mark.parametrize("what", ["report", "key of a report", "device", "photo"])
@pytest.mark.parametrize("make", [new_id, uuid4], ids=["version 7", "version 4"])
async def test_an_id_of_its_makers_own_is_taken(hire, what, make):
    answer = await CALLS[what](await hire(), str(make()))

    assert answer.status_code == 201, answer.text


async def test_a_photo_may_be_named_by_the_id_that_a_form_gave_it_but_not_by_none(api):
    of_a_form = await api.post("/v1/reports", json=a_report(photo_ids=[str(uuid5(new_id(), "photo"))]))
    of_nothing = await api.post("/v1/reports", json=a_report(photo_ids=[str(UUID(int=0))]))

    assert of_a_form.status_code == 201, of_a_form.text
    assert fields_of(problem_of(of_nothing, 422, "invalid-fields")) == {"photo_ids[0]"}
