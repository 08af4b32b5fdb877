"""When a problem will be dealt with: by when the city wants to, or how long similar ones took, as it chooses."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from api.cities import NamedCity
from api.models.issues import issue_facts
from db.base import new_id
from geo.points import LonLat
from issues.deadlines import Expected
from issues.issue import IssueView
from issues.languages import load_languages
from issues.lifecycle import Status
from issues.usual_times import UsualTime, UsualTimes
from tests.issues.packs.test_shipped_packs import CITIES

NOON = datetime(2026, 11, 23, 17, tzinfo=UTC)
DAY_S = 86_400.0


def issue(**changes):
    plain = IssueView(
        city_id=1, id=new_id(), number="2026-000001", status=Status.RECEIVED, service_code="nid-de-poule",
        at=LonLat(-73.58, 45.52), accuracy_m=5.0, address=None, layer="arrondissements", district_code="verdun",
        districts=(), department_code="travaux-publics", crew_code=None, near_boundary=False, private=False,
        report_count=1, opened_at=NOON, last_report_at=NOON, updated_at=NOON, expected_at=NOON, merged_into=None,
    )  # fmt: skip
    return replace(plain, **changes)


@pytest.fixture
def told(cities):
    """What is told of an issue by a city that shows a deadline, history, or both."""
    book = cities.by_jurisdiction("montreal.ca")
    languages = load_languages([CITIES.parent / "api" / "locales"])
    verdun = (book.id, "nid-de-poule", "arrondissements:verdun")
    city_wide = (book.id, "nid-de-poule", "")
    times = UsualTimes(
        NOON, {verdun: UsualTime(3.2 * DAY_S, 5.9 * DAY_S, 40), city_wide: UsualTime(3_600.0, 7_200.0, 900)}
    )

    def tell(expected, *, language="fr", **changes):
        settings = replace(book.settings, expected=expected)
        facts = issue_facts(
            issue(**changes), NamedCity(replace(book, settings=settings), language, {}, languages, times)
        )
        usual = facts["usual_time"]
        return facts["expected_datetime"], usual and usual.text

    return tell


FROM_TO = "Des cas semblables ont pris de 3 à 6 jours."


async def test_the_city_chooses_what_is_told(told):
    assert told(Expected.DEADLINE) == (NOON, None)
    assert told(Expected.HISTORY) == (None, FROM_TO)
    assert told(Expected.BOTH) == (NOON, FROM_TO)
    assert told(Expected.BOTH, language="en") == (NOON, "Similar ones took 3 to 6 days.")


async def test_where_a_district_has_too_few_the_city_counts(told):
    assert told(Expected.HISTORY, district_code="anjou") == (None, "Des cas semblables ont pris une journée ou moins.")
    assert told(Expected.HISTORY, service_code="lampadaire") == (None, None)


async def test_what_is_dealt_with_took_what_it_took(told):
    assert told(Expected.BOTH, status=Status.RESOLVED) == (NOON, None)
