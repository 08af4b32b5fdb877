"""What is wrong is refused with the right status and a problem that names the field; nothing is stored of it.

Each refusal comes in the caller's language: French unless another is asked for.
"""

import json

import pytest

from db.base import new_id
from tests.api.served import NOWHERE, PLATEAU, WESTMOUNT, a_report, fields_of, problem_of

NEAR_LAVAL = {"lat": 45.6200, "long": -73.8600}


def raw(**changes: str) -> str:
    """A report as JSON text, with values as they are written."""
    report = {name: json.dumps(value) for name, value in a_report().items()} | changes
    return "{" + ", ".join(f'"{name}": {value}' for name, value in report.items()) + "}"


BAD_REPORTS = {
    "no position": (raw(lat="null", long="null"), 422, "position-needed", {"lat", "long"}),
    "half a position": (raw(long="null"), 422, "invalid-fields", {"long"}),
    "a latitude beyond the pole": (raw(lat="90.5"), 422, "invalid-fields", {"lat"}),
    "a longitude round the earth": (raw(long="286.4"), 422, "invalid-fields", {"long"}),
    "not a number": (raw(lat="NaN"), 422, "invalid-fields", {"lat"}),
    "infinite": (raw(long="-Infinity"), 422, "invalid-fields", {"long"}),
    "too large for a number": (raw(lat="1e309"), 422, "invalid-fields", {"lat"}),
    "an accuracy that is no number": (raw(accuracy_m="NaN"), 422, "invalid-fields", {"accuracy_m"}),
    "a number in an answer that is none": (raw(attributes='{"a": NaN}'), 422, "invalid-fields", {"attributes.a"}),
    "a number as a text": (raw(lat='"45.5"'), 422, "invalid-fields", {"lat"}),
    "true as a number": (raw(lat="true"), 422, "invalid-fields", {"lat"}),
    "outside every city": (raw(lat="46.5", long="-72.0"), 422, "outside-service-area", {"lat", "long"}),
    "latitude and longitude swapped": (
        raw(lat="-73.5817", long="45.5231"),
        422,
        "outside-service-area",
        {"lat", "long"},
    ),
    "an unknown service": (raw(service_code='"dragons"'), 422, "service-not-offered", {"service_code"}),
    "no service": (raw(service_code="null"), 422, "invalid-fields", {"service_code"}),
    "an unknown field": (raw(lattitude="45.5"), 422, "invalid-fields", {"lattitude"}),
    "an unknown field inside": (raw(contact='{"mail": "a@b.ca"}'), 422, "invalid-fields", {"contact.mail"}),
    "5 MB of description": (raw(description=f'"{"a" * 5_000_000}"'), 413, "body-too-large", {"description"}),
    "5001 letters of description": (raw(description=f'"{"a" * 5001}"'), 422, "invalid-fields", {"description"}),
    "a NUL": (raw(description='"a\\u0000b"'), 422, "invalid-fields", {"description"}),
    "a control character": (raw(address_string='"a\\u001b[31mb"'), 422, "invalid-fields", {"address_string"}),
    "a control character in a name": (raw(attributes='{"a\\u0007": "b"}'), 422, "invalid-fields", None),
    "text that hides its direction": (raw(description='"abc\\u202edef"'), 422, "invalid-fields", {"description"}),
    "half a character": (raw(description='"\\ud800"'), 400, "malformed-body", {"body"}),
    "malformed JSON": (raw()[:-1], 400, "malformed-body", {"body"}),
    "nothing": ("", 400, "malformed-body", {"body"}),
    "a list": ("[]", 422, "invalid-fields", {"body"}),
    "a deep nest": ("[" * 60_000, 400, "malformed-body", {"body"}),
    "bytes that are no text": (b'{"description": "\xff"}', 400, "malformed-body", {"body"}),
    "an id that is none": (raw(id='"1"'), 422, "invalid-fields", {"id"}),
    "seven photos": (
        raw(photo_ids=json.dumps([str(new_id()) for _ in range(7)])),
        422,
        "invalid-fields",
        {"photo_ids"},
    ),
    "a time without its offset": (raw(captured_at='"2026-11-22T08:15:30"'), 422, "invalid-fields", {"captured_at"}),
    "a time that no database holds": (
        raw(captured_at='"9999-12-31T23:59:59-12:00"'),
        422,
        "invalid-fields",
        {"captured_at"},
    ),
    "an unknown channel": (raw(channel='"pigeon"'), 422, "invalid-fields", {"channel"}),
    "a tracking secret that could be guessed": (raw(tracking='"abc"'), 422, "invalid-fields", {"tracking"}),
    "an e-mail that is none": (raw(contact='{"email": "camille"}'), 422, "invalid-fields", {"contact.email"}),
}


@pytest.mark.parametrize("case", BAD_REPORTS)
async def test_a_bad_report_is_refused_and_leaves_nothing(api, stored, case):
    body, status, slug, fields = BAD_REPORTS[case]

    answer = await api.post("/v1/reports", content=body, headers={"Content-Type": "application/json"})

    document = problem_of(answer, status, slug)
    assert fields is None or fields_of(document) == fields
    assert answer.headers["content-language"] == "fr"
    assert sum((await stored()).values()) == 0
    assert (await api.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    ("language", "detail"), [("fr", "La valeur doit être un nombre fini."), ("en", "This has to be a finite number.")]
)
async def test_a_refusal_is_in_the_callers_language(api, language, detail):
    answer = await api.post(
        "/v1/reports",
        content=raw(lat="NaN"),
        headers={"Content-Type": "application/json", "Accept-Language": language},
    )

    assert problem_of(answer, 422, "invalid-fields")["errors"] == [{"field": "lat", "detail": detail}]


async def test_a_devices_language_is_known_also_where_the_body_cannot_be_read(register):
    device = await register(locale="en-CA")

    answer = await device.api.post("/v1/reports", content="{", headers={"Content-Type": "application/json"})

    assert problem_of(answer, 400, "malformed-body")["title"] == "Unreadable body"


async def test_swapped_positions_are_recognised(api):
    swapped = a_report(lat=PLATEAU["long"], long=PLATEAU["lat"])

    document = problem_of(await api.post("/v1/reports", json=swapped), 422, "outside-service-area")

    assert "inversées" in document["detail"]


@pytest.mark.parametrize(
    ("place", "neighbour", "nearest"),
    [(NOWHERE, None, None), (WESTMOUNT, "Westmount", "Montréal"), (NEAR_LAVAL, None, "Laval")],
)
async def test_who_is_outside_is_told_who_is_there_and_who_is_near(api, stored, place, neighbour, nearest):
    document = problem_of(await api.post("/v1/reports", json=a_report(**place)), 422, "outside-service-area")

    assert (document["neighbour"] or {}).get("name") == neighbour
    assert (document["nearest"] or {}).get("name") == nearest
    assert all(name in document["detail"] for name in (neighbour, nearest) if name)
    assert (await stored())["report_home"] == 0


async def test_a_body_of_another_kind_is_not_taken_for_json(api):
    answer = await api.post(
        "/v1/reports", content="lat=1", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )

    assert fields_of(problem_of(answer, 415, "media-type-not-supported")) == {"Content-Type"}


# Tokens, transitions, ids, cursors.


async def test_a_token_of_another_city_acts_nowhere_else(api, hire, stored):
    issue = (await api.post("/v1/reports", json=a_report())).json()["issue"]
    stranger = await hire(jurisdiction_id="laval.ca")
    before = await stored()

    answer = await stranger.post(
        f"/v1/issues/{issue['id']}/status", params={"jurisdiction_id": "montreal.ca"}, json={"status": "acknowledged"}
    )

    assert fields_of(problem_of(answer, 403, "token-of-another-city")) == {"jurisdiction_id"}
    hidden = await stranger.post(f"/v1/issues/{issue['id']}/status", json={"status": "acknowledged"})
    problem_of(hidden, 404, "issue-not-found")
    assert await stored() == before


@pytest.mark.parametrize("header", ["Bearer nobody", "Bearer", "Basic YTpi", "nobody", "Bearer é"])
async def test_an_unknown_secret_is_never_taken_for_none(api, stored, header):
    answer = await api.post("/v1/reports", json=a_report(), headers={"Authorization": header.encode("latin-1")})

    assert fields_of(problem_of(answer, 401, "secret-unknown")) == {"Authorization"}
    assert (await stored())["report_home"] == 0


async def test_a_forbidden_transition_changes_nothing(api, hire, stored):
    issue = (await api.post("/v1/reports", json=a_report())).json()["issue"]
    agent, before = await hire(), await stored()

    answer = await agent.post(f"/v1/issues/{issue['id']}/status", json={"status": "closed"})

    assert fields_of(problem_of(answer, 409, "transition-not-allowed")) == {"status"}
    assert await stored() == before


async def test_the_same_id_with_other_content_changes_nothing(register, stored):
    device, report = await register(), a_report()
    await device.api.post("/v1/reports", json=report)
    before = await stored()

    answer = await device.api.post("/v1/reports", json={**report, "lat": report["lat"] + 0.01})

    assert fields_of(problem_of(answer, 409, "id-already-used")) == {"id"}
    assert await stored() == before


@pytest.mark.parametrize(
    ("path", "params", "field"),
    [
        ("/v1/issues", {"limit": "0"}, "limit"),
        ("/v1/issues", {"limit": "1001"}, "limit"),
        ("/v1/issues", {"limit": "9" * 5000}, "limit"),
        ("/v1/issues", {"bbox": "1,2,3"}, "bbox"),
        ("/v1/issues", {"bbox": "nan,nan,nan,nan"}, "bbox"),
        ("/v1/issues", {"bbox": "-73,46,-72,45"}, "bbox"),
        ("/v1/issues", {"status": "sleeping"}, "status[0]"),
        ("/v1/issues", {"service_code": "a\x00b"}, "service_code[0]"),
        ("/v1/issues", {"district": "a:\x00"}, "district[0]"),
        ("/v1/issues", {"updated_after": "yesterday"}, "updated_after"),
        ("/v1/issues", {"updated_after": "2026-11-22T08:15:30"}, "updated_after"),
        ("/v1/issues", {"jurisdiction_id": "a\x00b"}, "jurisdiction_id"),
        ("/v1/issues/near", {**PLATEAU, "lat": "nan", "service_code": "nid-de-poule"}, "lat"),
        ("/v1/issues/near", {**PLATEAU, "service_code": "dragons"}, "service_code"),
        ("/v1/issues/1", {}, "issue_id"),
        ("/v1/where", {"lat": "1e309", "long": "0"}, "lat"),
        ("/v1/where", {"lat": "45.5"}, "long"),
        ("/v1/where", {**PLATEAU, "accuracy_m": "-1"}, "accuracy_m"),
    ],
)
async def test_a_made_up_parameter_is_named(api, path, params, field):
    answer = await api.get(path, params={"jurisdiction_id": "montreal.ca", **params})

    assert answer.status_code == 422, answer.text
    assert fields_of(problem_of(answer, 422, answer.json()["type"].removeprefix("/problems/"))) == {field}


@pytest.mark.parametrize("cursor", ["abc", "WyJpc3N1ZXMiLCJ4Il0", "é\x00"])
async def test_a_made_up_cursor_is_named_on_every_list(api, hire, cursor):
    issue = (await api.post("/v1/reports", json=a_report())).json()["issue"]
    agent = await hire()

    for path in ("/v1/issues", f"/v1/issues/{issue['id']}/events", "/v1/work-orders"):
        answer = await agent.get(path, params={"jurisdiction_id": "montreal.ca", "cursor": cursor})
        assert fields_of(problem_of(answer, 422, "invalid-cursor")) == {"cursor"}


async def test_a_problems_type_leads_to_what_it_means(api):
    document = problem_of(await api.get("/v1/nothing"), 404, "not-found")

    explained = (await api.get(document["type"])).json()

    assert (explained["type"], explained["title"]) == (document["type"], document["title"])
    problem_of(await api.get("/problems/unheard-of"), 404, "not-found")


async def test_addresses_and_methods_that_are_none_are_problems_too(api):
    problem_of(await api.get("/v1/nothing"), 404, "not-found")
    answer = await api.delete("/v1/reports")
    problem_of(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"
    problem_of(await api.get(f"/v1/photos/{new_id()}/huge"), 422, "invalid-fields")


@pytest.mark.parametrize(
    ("body", "status", "slug", "fields"),
    [
        ('{"status": "acknowledged"', 400, "malformed-body", {"body"}),
        ('{"status": "acknowledged", "pubic": true}', 422, "invalid-fields", {"pubic"}),
        ('{"status": "acknowledged", "public": "yes"}', 422, "invalid-fields", {"public"}),
        ('{"status": "acknowledged", "note": "\\u0000"}', 422, "invalid-fields", {"note"}),
        ('{"status": "acknowledged", "note": "\\ud800"}', 422, "invalid-fields", {"note"}),
        ('{"status": null}', 422, "invalid-fields", {"status"}),
        ("[" * 60_000, 400, "malformed-body", {"body"}),
        ('{"note": "' + "a" * 70_000 + '"}', 413, "body-too-large", {"body"}),
    ],
)
async def test_a_bad_command_is_refused(api, hire, stored, *, body, status, slug, fields):
    issue = (await api.post("/v1/reports", json=a_report())).json()["issue"]
    agent, before = await hire(), await stored()

    answer = await agent.post(
        f"/v1/issues/{issue['id']}/status", content=body, headers={"Content-Type": "application/json"}
    )

    assert fields_of(problem_of(answer, status, slug)) == fields
    assert await stored() == before
