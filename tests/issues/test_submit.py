"""Filing reports: what joins, what opens, what is stored, and what a repeat gets."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from db.base import new_id
from db.tenancy import enter_city
from geo.points import LonLat
from issues.catalogue import ServiceNotOffered
from issues.city import load_cities
from issues.neighbours import read_candidates
from issues.pairs import PairState
from issues.questions import AnswersRefused
from issues.reports import Contact
from issues.review import list_pairs
from issues.submit import IdAlreadyUsed, submit_report
from tests.issues.towns import AILLEURS, ESSAI, NOON, east_of, file, open_town, set_status, submission

HERE = ESSAI.middle


async def rows(owner, sql, **values):
    async with owner.transaction() as session:
        return (await session.execute(text(sql), values)).mappings().all()


async def reload(database, city):
    async with database.transaction() as session:
        return (await load_cities(session)).books[city.id]


async def ask(owner, database, city, *questions):
    """Have the city ask questions about potholes; answers with the city as it is known then."""
    stored = [
        {"code": code, "names": {"fr": code, "en": code}, "kind": kind, "required": required, "values": []}
        for code, kind, required in questions
    ]
    async with owner.transaction() as session:
        await session.execute(
            text("UPDATE service SET attributes = cast(:asked AS jsonb) WHERE code = 'nid-de-poule'"),
            {"asked": json.dumps(stored)},
        )
    return await reload(database, city)


async def test_a_first_report_opens_an_issue_with_everything_worked_out(database, city):
    receipt = await file(database, city, submission(HERE))

    issue = receipt.issue
    assert receipt.created
    assert receipt.match is None
    assert (receipt.report.number, issue.number) == ("2026-000001", "2026-000001")
    assert (issue.status, issue.report_count, issue.service_code) == ("received", 1, "nid-de-poule")
    assert (issue.layer, issue.district_code) == ("arrondissements", "est")
    assert issue.districts == ("arrondissements:est", "quartiers:centre")
    assert (issue.department_code, issue.crew_code) == ("voirie-est", "equipe-est")
    assert issue.address == "1234, rue Saint-Denis"
    # Five working days from a Monday, of which the Tuesday is a holiday: the next Tuesday, to its end in Québec.
    assert issue.expected_at == datetime(2026, 12, 2, 4, 59, 59, tzinfo=UTC)


async def test_the_answer_is_what_is_stored(owner, database, city):
    city = await ask(owner, database, city, ("taille", "text", False), ("profondeur", "number", False))
    sent = submission(
        HERE,
        photo_ids=(new_id(), new_id()),
        attributes={"taille": "grand", "profondeur": "12"},
        captured_at=NOON - timedelta(minutes=3),
        contact=Contact("Ana", "ana@example.org", "514 555-0100"),
        address_string="devant l'arrêt",
    )
    opened = await file(database, city, sent)
    joined = await file(database, city, submission(east_of(HERE, 6.0)))

    again = await file(database, city, sent)

    assert again == replace(opened, created=False, issue=joined.issue)
    assert again.report.attributes == {"taille": "grand", "profondeur": 12.0}
    assert (again.issue.id, again.issue.report_count) == (opened.issue.id, 2)


@pytest.mark.parametrize(
    ("metres_east", "joined"), [(0, True), (6, True), (15, True), (24, False), (26, False), (400, False)]
)
async def test_joins_only_an_issue_that_is_near(database, city, metres_east, joined):
    first = await file(database, city, submission(HERE))

    second = await file(database, city, submission(east_of(HERE, metres_east)))

    assert (second.issue.id == first.issue.id) is joined
    assert (second.match is not None) is joined


async def test_a_joined_report_keeps_its_own_number_and_explains_itself(database, city):
    first = await file(database, city, submission(HERE))

    second = await file(database, city, submission(east_of(HERE, 6.0)), now=NOON + timedelta(days=1))

    assert (second.report.number, second.issue.number) == ("2026-000002", first.report.number)
    assert second.issue.report_count == 2
    assert second.issue.last_report_at == NOON + timedelta(days=1)
    assert second.match.score > 0.9
    assert [(reason.factor, reason.value) for reason in second.match.reasons] == [
        ("distance", 6.0),
        ("age", 1.0),
        ("service", 1.0),
        ("words", 1.0),
    ]


@pytest.mark.parametrize(
    ("source", "address", "factor", "joined"),
    [
        ("address", "1236, rue Saint-Denis", "house_numbers", True),
        ("address", "1236, avenue Laval", "other_street", False),
        # What was worked out from the position is no second witness.
        ("gps", "1236, rue Saint-Denis", None, False),
    ],
)
async def test_addresses_count_where_people_told_the_place_by_them(
    database, city, queue_of, source, address, factor, joined
):
    told = {"location_source": source, "accuracy_m": 8.0}
    first = await file(database, city, submission(HERE, **told, address_string="1234, rue Saint-Denis"))

    second = await file(database, city, submission(east_of(HERE, 24.0), **told, address_string=address))

    assert (second.issue.id == first.issue.id) is joined
    weighed = second.match.reasons if joined else await queue_of(second)
    assert {"house_numbers", "other_street"} & {reason.factor for reason in weighed} == ({factor} if factor else set())


@pytest.fixture
def queue_of(database, city):
    """The reasons of the pair that a report is in."""

    async def queue_of(receipt):
        async with database.transaction(city.id) as session:
            page = await list_pairs(session, city.id, PairState.PENDING, limit=50)
        [pair] = [pair for pair in page.items if receipt.issue.id in {issue.id for issue in pair.issues}]
        return pair.reasons

    return queue_of


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        ("nid-de-poule", "chaussee", True),  # siblings, whichever of the two says so
        ("chaussee", "nid-de-poule", True),
        ("nid-de-poule", "trottoir", False),
        ("graffiti", "graffiti", False),  # asks
        ("bruit", "bruit", False),  # private
    ],
)
async def test_which_services_meet(database, city, first, second, joined):
    one = await file(database, city, submission(HERE, service_code=first))

    two = await file(database, city, submission(HERE, service_code=second))

    assert (one.issue.id == two.issue.id) is joined
    assert (two.issue.private, one.issue.private) == (second == "bruit", first == "bruit")


@pytest.mark.parametrize(("days", "joined"), [(60, True), (61, False)])
async def test_joins_within_the_window_since_the_last_report(database, city, days, joined):
    first = await file(database, city, submission(HERE))

    second = await file(database, city, submission(HERE), now=NOON + timedelta(days=days))

    assert (second.issue.id == first.issue.id) is joined


@pytest.mark.parametrize("status", ["resolved", "closed", "declined", "transferred"])
async def test_a_report_of_what_was_dealt_with_opens_a_new_issue(owner, database, city, status):
    first = await file(database, city, submission(HERE))
    await set_status(owner, first.issue.id, status)

    second = await file(database, city, submission(HERE))

    assert second.issue.id != first.issue.id


async def test_the_best_of_several_issues_is_joined(database, city):
    far = await file(database, city, submission(HERE))
    near = await file(database, city, submission(east_of(HERE, 40.0)))

    third = await file(database, city, submission(east_of(HERE, 27.0), accuracy_m=20.0))

    assert third.issue.id == near.issue.id != far.issue.id


async def test_an_issue_closed_between_reading_and_joining_is_not_joined(owner, database, city, monkeypatch):
    best = await file(database, city, submission(HERE))
    next_best = await file(database, city, submission(east_of(HERE, 30.0)))

    async def close_behind_its_back(cursor):
        candidates = await read_candidates(cursor)
        await set_status(owner, best.issue.id, "resolved")
        return candidates

    monkeypatch.setattr("issues.submit.read_candidates", close_behind_its_back)
    receipt = await file(database, city, submission(east_of(HERE, 14.0), accuracy_m=20.0))

    assert receipt.issue.id == next_best.issue.id
    untouched = await rows(owner, "SELECT report_count FROM issue WHERE id = :id", id=best.issue.id)
    assert untouched[0]["report_count"] == 1


async def test_each_report_leaves_one_event_that_holds_ids_only(owner, database, city):
    first = await file(database, city, submission(HERE, description="Madame Tremblay, 3e étage"))
    second = await file(database, city, submission(HERE, sender="tracking:0123", person_id=None))

    events = await rows(owner, "SELECT * FROM event ORDER BY seq")

    assert [(event["kind"], event["issue_id"], event["public"]) for event in events] == [
        ("report.opened", first.issue.id, True),
        ("report.joined", first.issue.id, True),
    ]
    assert [event["data"] for event in events] == [
        {"report_id": str(first.report.id)},
        {"report_id": str(second.report.id)},
    ]
    assert events[0]["actor"].startswith("device:")
    assert events[1]["actor"] == "anonymous"


async def test_photos_are_named_in_order_and_claimed_by_the_first_report_of_their_sender(owner, database, city):
    mine, shared = new_id(), new_id()
    sender = f"device:{new_id()}"
    first = await file(database, city, submission(HERE, sender=sender, photo_ids=(shared, mine)))
    await file(database, city, submission(HERE, sender=sender, photo_ids=(mine,)))
    stranger = await file(database, city, submission(HERE, photo_ids=(shared,)))
    anonymous = await file(database, city, submission(HERE, sender="anonymous", photo_ids=(shared,)))

    named = await rows(
        owner, "SELECT photo_id FROM report_photo WHERE report_id = :id ORDER BY position", id=first.report.id
    )
    claims = await rows(owner, "SELECT photo_id, sender, city_id, target_id FROM photo_claim")

    assert [row["photo_id"] for row in named] == [shared, mine]
    assert {(row["photo_id"], row["sender"], row["city_id"], row["target_id"]) for row in claims} == {
        (mine, sender, city.id, first.report.id),
        (shared, sender, city.id, first.report.id),
        (shared, f"device:{stranger.report.person_id}", city.id, stranger.report.id),
        (shared, f"report:{anonymous.report.id}", city.id, anonymous.report.id),
    }


async def test_photos_are_claimed_in_the_order_of_their_ids_so_that_no_two_reports_wait_in_a_circle(
    owner, database, city
):
    photos = [uuid4() for _ in range(8)]

    await file(database, city, submission(HERE, photo_ids=tuple(sorted(photos, reverse=True))))

    claimed = await rows(owner, "SELECT photo_id FROM photo_claim ORDER BY ctid")
    assert [row["photo_id"] for row in claimed] == sorted(photos)


async def test_a_photo_named_twice_by_a_report_is_claimed_once(owner, database, city):
    photo = new_id()

    await file(database, city, submission(HERE, photo_ids=(photo, photo)))

    assert len(await rows(owner, "SELECT 1 FROM report_photo")) == 2
    assert len(await rows(owner, "SELECT 1 FROM photo_claim")) == 1


async def test_what_a_person_wrote_stands_only_in_the_personal_table(owner, database, city):
    words = "Madame Tremblay"
    await file(database, city, submission(HERE, description=words, contact=Contact(words, words, words)))

    for table in ("issue", "report", "event", "report_home"):
        found = await rows(owner, f"SELECT 1 FROM {table} t WHERE t::text LIKE '%Tremblay%'")
        assert (table, found) == (table, [])
    assert len(await rows(owner, "SELECT 1 FROM report_personal t WHERE t::text LIKE '%Tremblay%'")) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"description": "autre chose"},
        {"service_code": "trottoir"},
        {"at": east_of(HERE, 1.0)},
        {"photo_ids": (new_id(),)},
    ],
)
async def test_the_same_id_with_other_content_is_refused_with_the_receipt_to_its_sender(database, city, changes):
    sent = submission(HERE)
    first = await file(database, city, sent)

    with pytest.raises(IdAlreadyUsed) as refused:
        await file(database, city, replace(sent, **changes))

    assert refused.value.report_id == sent.id
    assert refused.value.receipt == replace(first, created=False)


async def test_the_same_id_of_another_sender_is_refused_without_details(database, city):
    sent = submission(HERE)
    await file(database, city, sent)

    with pytest.raises(IdAlreadyUsed) as refused:
        await file(database, city, replace(sent, sender=f"device:{new_id()}", tracking_hash=b"x" * 32))

    assert refused.value.receipt is None


@pytest.mark.parametrize("registered_first", [False, True])
async def test_who_knows_the_tracking_secret_is_the_same_sender(database, city, registered_first):
    registered = submission(HERE)
    unknown = replace(registered, sender=f"tracking:{registered.tracking_hash.hex()}", person_id=None)
    sent, sent_again = (registered, unknown) if registered_first else (unknown, registered)
    first = await file(database, city, sent)

    again = await file(database, city, sent_again)

    assert again == replace(first, created=False)
    with pytest.raises(IdAlreadyUsed) as refused:
        await file(database, city, replace(sent_again, description="autre chose"))
    assert refused.value.receipt == again


async def test_an_anonymous_repeat_needs_the_whole_content(database, city):
    sent = submission(HERE, sender="anonymous", person_id=None)
    first = await file(database, city, sent)

    assert (await file(database, city, sent)).report == first.report
    with pytest.raises(IdAlreadyUsed) as refused:
        await file(database, city, replace(sent, description="?"))
    assert refused.value.receipt is None


async def test_what_is_not_content_may_differ_in_a_repeat(database, city):
    sent = submission(HERE, position_sent=False)
    first = await file(database, city, sent)

    later = replace(sent, at=east_of(HERE, 3.0), accuracy_m=None, tracking_hash=b"x" * 32, channel="web")
    again = await file(database, city, later, now=NOON + timedelta(hours=1))

    assert (again.created, again.report) == (False, first.report)


async def test_a_repeat_is_answered_though_the_service_is_no_longer_offered(owner, database, city):
    sent = submission(HERE)
    first = await file(database, city, sent)
    async with owner.transaction() as session:
        await session.execute(text("UPDATE service SET offered = false"))
    today = await reload(database, city)

    assert (await file(database, today, sent)).report == first.report
    with pytest.raises(ServiceNotOffered):
        await file(database, today, submission(HERE))


async def test_answers_that_do_not_fit_the_questions_are_refused_and_nothing_stored(owner, database, city):
    asking = await ask(owner, database, city, ("profondeur", "number", True))

    for attributes in ({}, {"profondeur": "beaucoup"}, {"profondeur": 3, "couleur": "gris"}):
        with pytest.raises(AnswersRefused):
            await file(database, asking, submission(HERE, attributes=attributes))

    for table in ("report_home", "issue", "report", "event"):
        assert await rows(owner, f"SELECT 1 FROM {table}") == []


async def test_a_repeat_is_answered_though_other_questions_are_asked_today(owner, database, city):
    sent = submission(HERE)
    first = await file(database, city, sent)
    today = await ask(owner, database, city, ("profondeur", "number", True))

    assert (await file(database, today, sent)).report == first.report
    with pytest.raises(AnswersRefused):
        await file(database, today, submission(HERE))


async def test_a_repeat_finds_its_report_in_the_city_that_has_it(owner, database, city):
    sent = submission(HERE)
    first = await file(database, city, sent)
    neighbour = await open_town(owner, database, replace(AILLEURS, west=ESSAI.west))  # as if borders had moved

    again = await file(database, neighbour, sent)

    assert (again.report, again.created) == (first.report, False)


@pytest.mark.parametrize("service", ["licorne", "neige", "piste"])
async def test_a_service_that_is_not_offered_here_is_refused_and_nothing_stored(owner, database, city, service):
    with pytest.raises(ServiceNotOffered) as refused:
        await file(database, city, submission(HERE, service_code=service))

    assert refused.value.service_code == service
    for table in ("report_home", "issue", "report", "event"):
        assert await rows(owner, f"SELECT 1 FROM {table}") == []


async def test_a_service_may_be_offered_in_one_borough_only(database, city):
    in_the_west = LonLat(ESSAI.west + 0.01, HERE.lat)

    receipt = await file(database, city, submission(in_the_west, service_code="piste"))

    assert (receipt.issue.district_code, receipt.issue.department_code, receipt.issue.crew_code) == (
        "ouest",
        "parcs",
        None,
    )


@pytest.mark.parametrize(("metres_from_border", "near"), [(5, True), (9, False)])
async def test_says_when_the_accuracy_reaches_the_next_borough(database, city, metres_from_border, near):
    border = LonLat(ESSAI.west + ESSAI.side / 2, HERE.lat)

    receipt = await file(database, city, submission(east_of(border, metres_from_border), accuracy_m=8.0))

    assert (receipt.near_boundary, receipt.issue.near_boundary, receipt.report.near_boundary) == (near, near, near)
    assert receipt.issue.district_code == "est"


async def test_the_year_of_a_number_is_the_citys_own(database, city):
    new_year_in_utc = datetime(2027, 1, 1, 3, 0, tzinfo=UTC)  # still New Year's Eve in Québec

    receipt = await file(database, city, submission(HERE), now=new_year_in_utc)

    assert receipt.report.number == "2026-000001"


async def test_numbers_grow_beyond_six_digits(owner, database, city):
    async with owner.transaction() as session:
        await session.execute(text(f"SELECT setval('report_number_{city.id}', 999999)"))

    receipt = await file(database, city, submission(HERE))

    assert receipt.report.number == "2026-1000000"


async def test_a_rollback_leaves_nothing_behind(owner, database, city):
    sent = submission(HERE)

    async def fail_after_filing():
        async with database.transaction() as session:
            await submit_report(session, sent, city=city, now=NOON)
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await fail_after_filing()

    for table in ("report_home", "issue", "report", "report_personal", "event", "photo_claim"):
        assert await rows(owner, f"SELECT 1 FROM {table}") == []
    assert (await file(database, city, sent)).created


async def test_another_city_sees_nothing_of_it_with_every_city_predicate_removed(owner, database, city):
    await file(database, city, submission(HERE, photo_ids=(new_id(),)))
    elsewhere = await open_town(owner, database, AILLEURS)

    tables = ("issue", "issue_map", "report", "report_personal", "report_photo", "event")
    async with database.transaction() as session:
        await enter_city(session, elsewhere.id)
        for table in tables:
            assert (table, await session.scalar(text(f"SELECT count(*) FROM {table}"))) == (table, 0)
    async with database.transaction(city_id=city.id) as session:
        for table in tables:
            assert (table, await session.scalar(text(f"SELECT count(*) FROM {table}"))) == (table, 1)


async def test_the_same_place_and_service_in_two_cities_never_meet(owner, database, city):
    await file(database, city, submission(HERE))
    overlapping = await open_town(owner, database, replace(AILLEURS, west=ESSAI.west))

    receipt = await file(database, overlapping, submission(HERE))

    assert (receipt.match, receipt.report.number) == (None, "2026-000001")
