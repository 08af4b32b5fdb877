"""The drill's judge: it must see every kind of loss, or its silence means nothing."""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from bench.crash_check import Evidence, Kill, Push, Receipt, StoredReport, find_faults

REPORT, OTHER_REPORT, ISSUE, PHOTO, EVENT = (UUID(int=number) for number in range(1, 6))
PHONE = "phone-1"
SENT = Push(PHONE, EVENT, str(EVENT))
TWICE = [SENT, SENT]
WHOLE = Evidence(
    receipts=[Receipt(REPORT, "2026-000001", ISSUE, [PHOTO]), Receipt(OTHER_REPORT, "2026-000002", ISSUE, [])],
    stored={
        REPORT: StoredReport("2026-000001", ISSUE, {PHOTO}, events=1),
        OTHER_REPORT: StoredReport("2026-000002", ISSUE, set(), events=1),
    },
    report_counts={ISSUE: 2},
    owed={(PHONE, EVENT)},
    pushes=[SENT],
    kills=[Kill("work 1", 0.5, in_flight=set())],
)


def test_finds_nothing_where_all_holds():
    assert find_faults(WHOLE) == []


def with_report(**changes: Any) -> Evidence:
    return replace(WHOLE, stored={**WHOLE.stored, REPORT: replace(WHOLE.stored[REPORT], **changes)})


@pytest.mark.parametrize(
    ("damaged", "fault"),
    [
        (replace(WHOLE, stored={OTHER_REPORT: WHOLE.stored[OTHER_REPORT]}, report_counts={ISSUE: 1}), "is lost"),
        (with_report(number="2026-000009"), "is now 2026-000009"),
        (with_report(events=2), "arrived 2 times"),
        (with_report(ready_photos=set()), "photo"),
        (replace(WHOLE, receipts=WHOLE.receipts[:1]), "sent by nobody"),
        (replace(WHOLE, report_counts={ISSUE: 3}), "counts 3 reports and has 2"),
        (replace(WHOLE, report_counts={ISSUE: 2, uuid4(): 1}), "counts 1 reports and has 0"),
        (replace(WHOLE, pushes=[]), "never heard"),
        (replace(WHOLE, owed=frozenset()), "unasked"),
        (replace(WHOLE, pushes=[Push(PHONE, EVENT, "another")]), "collapse key"),
        (replace(WHOLE, pushes=TWICE), "2 times; 0 sends of it were interrupted"),
    ],
)
def test_finds_each_kind_of_damage(damaged, fault):
    [found] = find_faults(damaged)

    assert fault in found


def test_minds_a_second_send_of_another_push_than_the_one_interrupted():
    another = replace(WHOLE, kills=[Kill("work 1", 0.5, in_flight={("phone-2", EVENT)})], pushes=TWICE)

    assert len(find_faults(another)) == 1


def test_allows_as_many_second_sends_as_kills_interrupted():
    interrupted = replace(WHOLE, kills=[Kill("work 1", 0.5, in_flight={(PHONE, EVENT)})], pushes=TWICE)

    assert find_faults(interrupted) == []
    assert find_faults(replace(interrupted, pushes=[*TWICE, SENT])) != []
