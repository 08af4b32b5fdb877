"""Filing reports over HTTP, and reading them back."""

import asyncio

import pytest
from httpx import Response
from sqlalchemy import text

from db.base import new_id
from issues.actors import Role
from tests.api.served import (
    LAVAL,
    PICTURE,
    Api,
    a_report,
    a_secret,
    fields_of,
    located_picture,
    make_safe,
    problem_of,
)


async def file_form(api: Api, photos: list[bytes], **changes: object) -> Response:
    fields = {name: str(value) for name, value in a_report(**changes).items()}
    return await api.post("/v1/reports", data=fields, files=[("photos", ("a.jpg", photo)) for photo in photos])


async def test_a_report_opens_an_issue_and_says_where_and_who(api):
    report = a_report()

    answer = await api.post("/v1/reports", json=report)

    assert answer.status_code == 201
    receipt = answer.json()
    assert receipt["report"]["id"] == report["id"]
    assert receipt["report"]["jurisdiction_id"] == "montreal.ca"
    assert receipt["issue"]["status"] == "received"
    assert receipt["issue"]["district"]["name"] == "Le Plateau-Mont-Royal"
    assert receipt["issue"]["number"] == receipt["report"]["number"]
    assert receipt["issue"]["department"]["name"]
    assert receipt["issue"]["expected_datetime"] > receipt["report"]["requested_datetime"]
    assert receipt["match"] is None


async def test_a_second_report_of_the_same_hole_joins_and_says_why(api):
    first = (await api.post("/v1/reports", json=a_report())).json()

    answer = await api.post("/v1/reports", json=a_report(lat=45.52312))

    assert answer.status_code == 201
    second = answer.json()
    assert second["issue"]["id"] == first["issue"]["id"]
    assert second["issue"]["report_count"] == 2
    assert second["report"]["number"] != first["report"]["number"]
    assert second["match"]["joined"] is True
    assert [(reason["factor"], reason["text"]) for reason in second["match"]["reasons"]] == [
        ("distance", "À 2\u00a0m"),
        ("age", "Signalé pour la dernière fois il y a moins d’un jour"),
        ("service", "Le même type de problème"),
        ("words", "Description semblable"),
    ]


async def test_a_report_in_another_city_is_that_citys(api):
    answer = await api.post("/v1/reports", json=a_report(**LAVAL))

    assert answer.json()["report"]["jurisdiction_id"] == "laval.ca"


async def test_the_same_report_again_gets_the_same_answer(api):
    report = a_report()
    first = await api.post("/v1/reports", json=report)

    again = await api.post("/v1/reports", json=report)

    assert (first.status_code, again.status_code) == (201, 200)
    told = first.json()
    assert told["report"].pop("tracking")
    assert again.json() == told


async def test_copies_that_come_at_once_are_one_report(register, stored):
    device, report = await register(), a_report()

    answers = await asyncio.gather(*(device.api.post("/v1/reports", json=report) for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 201]
    assert len({answer.json()["report"]["number"] for answer in answers}) == 1
    assert (await stored())["report"] == 1


async def test_the_same_id_with_other_content_shows_its_sender_what_is_stored(register):
    device = await register()
    report = a_report()
    first = await device.api.post("/v1/reports", json=report)

    answer = await device.api.post("/v1/reports", json={**report, "description": "Autre chose"})

    document = problem_of(answer, 409, "id-already-used")
    assert fields_of(document) == {"id"}
    assert document["receipt"]["report"]["number"] == first.json()["report"]["number"]


async def test_the_same_id_shows_somebody_else_nothing(register):
    report = a_report()
    await (await register()).api.post("/v1/reports", json=report)

    answer = await (await register()).api.post("/v1/reports", json=report)

    assert "receipt" not in problem_of(answer, 409, "id-already-used")


@pytest.mark.parametrize("key", ["01936f3e-7b1a-7c3e-9f00-3a2b1c4d5e6f", "ma-clef-42"])
async def test_an_idempotency_key_is_the_id_where_the_body_has_none(register, key):
    device = await register()
    headers = {"Idempotency-Key": key}
    first = await device.api.post("/v1/reports", json=a_report(id=None), headers=headers)

    again = await device.api.post("/v1/reports", json=a_report(id=None), headers=headers)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["report"]["id"] == again.json()["report"]["id"]


async def test_one_key_of_two_senders_is_two_reports(register):
    headers = {"Idempotency-Key": "ma-clef-42"}
    first = await (await register()).api.post("/v1/reports", json=a_report(id=None), headers=headers)

    second = await (await register()).api.post("/v1/reports", json=a_report(id=None), headers=headers)

    assert second.status_code == 201
    assert first.json()["report"]["id"] != second.json()["report"]["id"]


async def test_a_phones_own_tracking_secret_is_never_repeated(api):
    answer = await api.post("/v1/reports", json=a_report(tracking=a_secret()))

    assert "tracking" not in answer.json()["report"]


async def test_names_are_in_the_language_asked_for_and_a_devices_choice_comes_first(api, register):
    headers = {"Accept-Language": "en"}
    english = await api.post("/v1/reports", json=a_report(), headers=headers)
    french = await (await register(locale="fr-CA")).api.post("/v1/reports", json=a_report(), headers=headers)

    assert english.json()["issue"]["service_name"] == "Pothole"
    assert french.json()["issue"]["service_name"] == "Nid-de-poule"


# Reading back.


async def test_its_device_reads_a_report_back(register):
    device = await register()
    report = a_report()
    await device.api.post("/v1/reports", json=report)

    answer = await device.api.get(f"/v1/reports/{report['id']}")

    assert answer.status_code == 200
    assert answer.json()["report"]["description"] == report["description"]
    assert answer.json()["issue"]["status"] == "received"


async def test_the_tracking_secret_made_by_the_server_reads_the_report(api):
    told = (await api.post("/v1/reports", json=a_report())).json()["report"]

    answer = await api.as_(told["tracking"]).get(f"/v1/reports/{told['id']}")

    assert answer.status_code == 200
    assert "tracking" not in answer.json()["report"]


async def test_the_phones_tracking_secret_reads_its_report_and_no_other(api):
    secret = a_secret()
    own = (await api.post("/v1/reports", json=a_report(tracking=secret))).json()["report"]["id"]
    other = (await api.post("/v1/reports", json=a_report())).json()["report"]["id"]

    assert (await api.as_(secret).get(f"/v1/reports/{own}")).status_code == 200
    problem_of(await api.as_(secret).get(f"/v1/reports/{other}"), 401, "secret-unknown")


@pytest.mark.parametrize("with_secret", [False, True], ids=["device", "tracking secret"])
async def test_its_author_reads_what_the_city_wrote_also_about_something_private(api, register, hire, with_secret):
    device, agent = await register(), await hire()
    filed = (
        await (api if with_secret else device.api).post("/v1/reports", json=a_report(service_code="bac-de-recyclage"))
    ).json()
    status = f"/v1/issues/{filed['issue']['id']}/status"
    await agent.post(status, json={"status": "acknowledged", "note": "Valve 12"})
    told = await agent.post(status, json={"status": "declined", "note": "Terrain privé.", "public": True})
    author = api.as_(filed["report"]["tracking"]) if with_secret else device.api

    answer = await author.get(f"/v1/reports/{filed['report']['id']}")

    [note] = answer.json()["notes"]
    assert (note["event_id"], note["status"], note["text"]) == (told.json()["event_id"], "declined", "Terrain privé.")


async def test_what_was_written_to_others_before_a_merge_is_not_shown(register, hire):
    agent, ours, theirs = await hire(), await register(), await register()
    filed = [
        (await device.api.post("/v1/reports", json=a_report(service_code="bac-de-recyclage"))).json()
        for device in (ours, theirs)
    ]
    survivor, other = (f"/v1/issues/{each['issue']['id']}" for each in filed)
    for path, note in ((survivor, "Bonjour Anna."), (other, "Bonjour Zoé.")):
        await agent.post(f"{path}/status", json={"status": "acknowledged", "note": note, "public": True})
    body = {"issue_ids": [filed[1]["issue"]["id"]], "confirm": True}
    merged = await agent.post(f"{survivor}/merge", json=body)
    await agent.post(f"{survivor}/status", json={"status": "acknowledged", "note": "Bonjour à tous.", "public": True})

    read = [
        [note["text"] for note in (await device.api.get(f"/v1/reports/{each['report']['id']}")).json()["notes"]]
        for device, each in zip((ours, theirs), filed, strict=True)
    ]

    assert merged.status_code == 200
    assert read == [["Bonjour Anna.", "Bonjour à tous."], ["Bonjour à tous."]]


@pytest.mark.parametrize(("asked", "language"), [("en-CA", "en"), ("fr", "fr"), ("de", "fr")])
async def test_an_answer_says_its_language_and_what_decided_it(api, asked, language):
    filed = await api.post("/v1/reports", json=a_report(), headers={"Accept-Language": asked})
    refused = await api.post("/v1/reports", json={}, headers={"Accept-Language": asked})
    plain = await api.get("/healthz", headers={"Accept-Language": asked})

    for answer in (filed, refused):
        assert answer.headers.get_list("content-language") == [language]
        assert answer.headers["vary"] == "Authorization, Accept-Language, Origin"
    assert "content-language" not in plain.headers


async def test_staff_of_the_city_read_a_report_and_those_of_another_do_not(api, hire):
    path = f"/v1/reports/{(await api.post('/v1/reports', json=a_report())).json()['report']['id']}"

    assert (await (await hire()).get(path)).status_code == 200
    problem_of(await (await hire(jurisdiction_id="laval.ca")).get(path), 404, "report-not-found")


async def test_only_those_who_work_for_a_city_bring_reports_from_elsewhere(register, hire):
    """They are judged by the day they claim."""
    imported = a_report(channel="import", captured_at="2025-01-15T12:00:00Z")

    refused = await (await register()).api.post("/v1/reports", json=imported)
    taken = await (await hire("agent")).post("/v1/reports", json=imported)

    assert fields_of(problem_of(refused, 422, "invalid-fields")) == {"channel"}
    assert taken.status_code == 201


async def test_another_device_and_nobody_do_not_read_a_report(api, register):
    path = f"/v1/reports/{(await api.post('/v1/reports', json=a_report())).json()['report']['id']}"

    problem_of(await (await register()).api.get(path), 404, "report-not-found")
    problem_of(await api.get(path), 401, "sign-in-needed")


# Photos with and before reports.


async def test_a_form_files_a_report_with_its_photos(app, api):
    answer = await file_form(api, [PICTURE])

    assert answer.status_code == 201, answer.text
    told = answer.json()["report"]
    read = (await api.as_(told["tracking"]).get(f"/v1/reports/{told['id']}")).json()
    [photo_id] = read["report"]["photo_ids"]
    await make_safe(app, photo_id)
    state = await api.as_(told["tracking"]).get(f"/v1/photos/{photo_id}")
    assert state.json()["state"] == "ready"


async def test_the_same_form_again_is_the_same_report(register, stored):
    device, report_id = await register(), str(new_id())
    first = await file_form(device.api, [PICTURE], id=report_id)
    before = await stored()

    again = await file_form(device.api, [PICTURE], id=report_id)

    assert (first.status_code, again.status_code) == (201, 200)
    assert await stored() == before


async def test_a_form_takes_contact_and_answers_flat(api, owner):
    fields = {
        "service_code": "nid-de-poule",
        "lat": "45.5231",
        "long": "-73.5817",
        "contact[email]": "camille@example.org",
        "attributes[taille]": "grand",
        "description": "",
    }

    answer = await api.post("/v1/reports", files=[(name, (None, value)) for name, value in fields.items()])

    assert answer.status_code == 201, answer.text
    async with owner.transaction() as session:
        [row] = (await session.execute(text("SELECT email, attributes, description FROM report_personal"))).all()
    assert tuple(row) == ("camille@example.org", {"taille": "grand"}, None)


async def test_a_report_without_a_position_waits_for_its_photo_and_then_lies_where_that_was_taken(
    app, register, stored
):
    device, photo_id = await register(), str(new_id())
    report = a_report(lat=None, long=None, photo_ids=[photo_id])
    first = await device.api.post("/v1/reports", json=report)
    assert problem_of(first, 409, "photo-not-ready")["errors"][0]["field"] == "photo_ids[0]"
    await device.api.put(f"/v1/photos/{photo_id}", content=located_picture())
    early = await device.api.post("/v1/reports", json=report)
    assert int(early.headers["retry-after"]) > 0
    problem_of(early, 409, "photo-not-ready")
    assert (await stored())["report_home"] == 0
    await make_safe(app, photo_id)

    answer = await device.api.post("/v1/reports", json=report)

    assert answer.status_code == 201, answer.text
    assert answer.json()["issue"]["lat"] == pytest.approx(45.5231, abs=1e-4)
    again = await device.api.post("/v1/reports", json=report)
    assert again.status_code == 200


async def test_a_photo_taken_outside_every_city_is_named_for_it(app, register):
    device, photo_id = await register(), str(new_id())
    await device.api.put(f"/v1/photos/{photo_id}", content=located_picture(46.5, -72.0))
    await make_safe(app, photo_id)

    answer = await device.api.post("/v1/reports", json=a_report(lat=None, long=None, photo_ids=[photo_id]))

    assert fields_of(problem_of(answer, 422, "outside-service-area")) == {"photo_ids[0]"}


async def test_somebody_elses_photo_tells_no_position(app, register):
    photo_id = str(new_id())
    await (await register()).api.put(f"/v1/photos/{photo_id}", content=located_picture())
    await make_safe(app, photo_id)

    answer = await (await register()).api.post("/v1/reports", json=a_report(lat=None, long=None, photo_ids=[photo_id]))

    problem_of(answer, 409, "photo-not-ready")


async def test_a_form_without_a_position_is_placed_by_its_photo_at_the_next_attempt(app, register, owner):
    device, report_id = await register(), str(new_id())
    first = await file_form(device.api, [located_picture()], id=report_id, lat=None, long=None)
    assert problem_of(first, 409, "photo-not-ready")["errors"][0]["field"] == "photos[0]"
    async with owner.transaction() as session:
        photo_id = await session.scalar(text("SELECT id::text FROM photo"))
    await make_safe(app, photo_id)

    answer = await file_form(device.api, [located_picture()], id=report_id, lat=None, long=None)

    assert answer.status_code == 201, answer.text


async def test_a_photo_named_before_it_arrives_belongs_to_the_report_when_it_comes(app, api, register, hire):
    device, photo_id = await register(), str(new_id())
    await device.api.post("/v1/reports", json=a_report(photo_ids=[photo_id]))
    await device.api.put(f"/v1/photos/{photo_id}", content=PICTURE)
    await make_safe(app, photo_id)

    assert (await (await hire()).get(f"/v1/photos/{photo_id}")).status_code == 200


async def test_staff_take_a_report_down_for_somebody_in_their_own_city_only(hire, stored):
    agent = await hire(role=Role.AGENT)

    assert (await agent.post("/v1/reports", json=a_report(channel="phone"))).status_code == 201
    before = await stored()
    answer = await agent.post("/v1/reports", json=a_report(**LAVAL))
    assert fields_of(problem_of(answer, 403, "token-of-another-city")) == {"lat", "long"}
    assert await stored() == before
