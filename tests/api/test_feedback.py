"""What residents say of a repair, by app and by a tap in a letter; and the addresses that letters go to."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from api.serving import Serving
from db.base import new_id
from issues.taps import Act, Tap
from tests.api.served import a_report, problem_of

MONTREAL = {"jurisdiction_id": "montreal.ca"}


@pytest.fixture
async def resolved(register, hire):
    """A resident's phone, and the issue they reported, which the city says is fixed; and the event that says so."""
    phone = await register()
    issue = (await phone.api.post("/v1/reports", json=a_report())).json()["issue"]
    agent = await hire()
    change = (await agent.post(f"/v1/issues/{issue['id']}/status", json={"status": "resolved"})).json()
    return phone, issue["id"], change["event_id"]


async def say(phone, issue_id, **said):
    return await phone.api.post(f"/v1/issues/{issue_id}/feedback", params=MONTREAL, json=said)


async def kinds_told(owner):
    async with owner.transaction() as session:
        return list(await session.scalars(text("SELECT kind FROM notice ORDER BY created_at")))


async def test_who_says_that_it_is_not_fixed_opens_it_again_once(resolved, hire, owner):
    phone, issue_id, event_id = resolved

    first = (await say(phone, issue_id, fixed=False)).json()
    again = (await say(phone, issue_id, fixed=False, satisfaction=2)).json()

    assert (first["status"], first["reopened"]) == ("acknowledged", True)
    assert (again["status"], again["reopened"]) == ("acknowledged", False)
    assert await kinds_told(owner) == ["resolved", "reopened"]
    [count] = (await (await hire()).get(f"/v1/issues/{issue_id}/feedback")).json()["items"]
    assert count == {
        "event_id": event_id, "at": count["at"], "fixed": 0, "not_fixed": 1, "satisfaction": 2.0,
    }  # fmt: skip


async def test_who_says_that_it_is_fixed_changes_nothing_and_may_think_again(resolved, owner):
    phone, issue_id, _ = resolved

    assert (await say(phone, issue_id, fixed=True, satisfaction=5)).json()["status"] == "resolved"
    assert (await say(phone, issue_id, fixed=False)).json()["reopened"]
    assert await kinds_told(owner) == ["resolved", "reopened"]


async def test_a_stranger_judges_nothing(api, register, resolved):
    _, issue_id, _ = resolved

    refused = problem_of(await say(await register(), issue_id, fixed=False), 403, "not-allowed")
    assert refused["detail"].startswith("Seules les personnes qui ont signalé ce problème ou qui le suivent")
    path = f"/v1/issues/{issue_id}/feedback"
    problem_of(await api.post(path, params=MONTREAL, json={"fixed": False}), 401, "sign-in-needed")
    problem_of(await api.get(path, params=MONTREAL), 401, "sign-in-needed")


async def test_who_only_follows_judges_nothing_of_what_has_become_private(register, resolved, owner):
    reporter, issue_id, _ = resolved
    follower = await register()
    await follower.api.put(f"/v1/issues/{issue_id}/follow", params=MONTREAL)
    before = await say(follower, issue_id, fixed=True)
    async with owner.transaction() as session:
        await session.execute(text("UPDATE issue SET private = true"))

    problem_of(await say(follower, issue_id, fixed=False), 403, "not-allowed")
    assert (before.status_code, (await say(reporter, issue_id, fixed=False)).json()["reopened"]) == (200, True)


async def test_who_reported_judges_also_once_another_issue_has_taken_the_report_over(api, resolved, hire):
    phone, issue_id, _ = resolved
    survivor = (await api.post("/v1/reports", json=a_report(lat=45.54))).json()["issue"]["id"]
    merging = {"issue_ids": [issue_id], "confirm": True}
    assert (await (await hire()).post(f"/v1/issues/{survivor}/merge", json=merging)).status_code == 200

    assert (await say(phone, issue_id, fixed=True)).status_code == 200


async def test_who_says_that_it_is_not_fixed_opens_the_issue_again_that_has_taken_their_report_over(
    api, resolved, hire, owner
):
    phone, issue_id, _ = resolved
    agent = await hire()
    middle, survivor = [
        (await api.post("/v1/reports", json=a_report(lat=lat))).json()["issue"]["id"] for lat in (45.54, 45.55)
    ]
    for into, merged in ((middle, issue_id), (survivor, middle)):
        merging = {"issue_ids": [merged], "confirm": True}
        assert (await agent.post(f"/v1/issues/{into}/merge", json=merging)).status_code == 200

    still_open = (await say(phone, issue_id, fixed=False)).json()
    await agent.post(f"/v1/issues/{survivor}/status", json={"status": "resolved"})
    first, again = [(await say(phone, issue_id, fixed=False)).json() for _ in range(2)]

    assert [(said["status"], said["reopened"]) for said in (still_open, first, again)] == [
        ("received", False), ("acknowledged", True), ("acknowledged", False),
    ]  # fmt: skip
    assert (await agent.get(f"/v1/issues/{survivor}")).json()["status"] == "acknowledged"
    assert (await kinds_told(owner))[-2:] == ["resolved", "reopened"]


async def test_after_a_fortnight_or_before_it_is_resolved_there_is_nothing_to_judge(register, resolved, owner):
    phone, issue_id, event_id = resolved
    async with owner.transaction() as session:
        await session.execute(
            text("UPDATE event SET at = at - INTERVAL '14 days' WHERE id = :id"), {"id": UUID(event_id)}
        )
    problem_of(await say(phone, issue_id, fixed=False), 409, "nothing-to-judge")

    other = (await phone.api.post("/v1/reports", json=a_report(lat=45.53))).json()["issue"]["id"]
    assert problem_of(await say(phone, other, fixed=False), 409, "nothing-to-judge")["until"] is None


def tap_of(app, act, *, subject, person_id, city="montreal.ca", days=14):
    serving: Serving = app.state.serving
    city_id = serving.cities.current.by_jurisdiction(city).id
    return "/t/" + serving.taps.sign(Tap(act, city_id, subject, person_id, datetime.now(UTC) + timedelta(days=days)))


async def person_of(owner, device_id):
    async with owner.transaction() as session:
        return (await session.scalars(text("SELECT person_id FROM device WHERE id = :id"), {"id": device_id})).one()


async def test_one_tap_in_a_letter_opens_the_issue_again_and_reading_it_does_not(api, app, resolved, owner):
    phone, _, event_id = resolved
    person_id = await person_of(owner, phone.id)
    path = tap_of(app, Act.SAY_NOT_FIXED, subject=UUID(event_id), person_id=person_id)

    shown = await api.get(path, headers={"Accept-Language": "en"})
    before = await kinds_told(owner)
    tapped = await api.post(path, headers={"Accept-Language": "fr"})
    content = await api.post(path, data={"satisfaction": "3"})

    assert ("The city will open the issue again" in shown.text, before) == (True, ["resolved"])
    assert (">Confirm</button>" in shown.text, ">Yes</button>" in shown.text) == (True, False)
    assert "Merci" in tapped.text
    assert (tapped.text.count("<button"), content.text.count("<button")) == (5, 0)
    assert await kinds_told(owner) == ["resolved", "reopened"]
    async with owner.transaction() as session:
        said = await session.execute(text("SELECT fixed, satisfaction FROM feedback"))
        assert said.all() == [(False, 3)]


async def test_a_tap_that_has_ended_or_is_somebody_elses_does_nothing(api, app, resolved, owner):
    phone, _, event_id = resolved
    person_id = await person_of(owner, phone.id)
    ended = tap_of(app, Act.SAY_NOT_FIXED, subject=UUID(event_id), person_id=person_id, days=-1)
    strangers = tap_of(app, Act.SAY_NOT_FIXED, subject=UUID(event_id), person_id=new_id())

    answers = [await api.get(ended), await api.post(ended), await api.post(strangers), await api.get("/t/made-up")]

    assert [answer.status_code for answer in answers] == [410] * 4
    assert await kinds_told(owner) == ["resolved"]


async def test_a_letter_leads_to_a_page_that_says_how_its_issue_stands(api, app, hire):
    filed = (await api.post("/v1/reports", json=a_report())).json()
    issue, agent = f"/v1/issues/{filed['issue']['id']}", await hire()
    told = {"status": "declined", "note": "Trop <petit>", "public": True}
    await agent.post(f"{issue}/status", json=told)
    await agent.post(f"{issue}/status", json={"status": "declined", "note": "Appeler M. Roy"})
    path = tap_of(app, Act.READ_ISSUE, subject=UUID(filed["issue"]["id"]), person_id=new_id())

    shown, posted = await api.get(path), await api.post(path)
    await agent.patch(f"/v1/reports/{filed['report']['id']}", json={"withdrawn": True})
    gone = await api.get(path)

    assert (shown.status_code, shown.text) == (200, posted.text)
    assert f"<h1>Nid-de-poule {filed['issue']['number']}</h1>" in shown.text
    assert "<p>État de la requête\u00a0: non retenue</p>" in shown.text
    assert "Trop &lt;petit&gt;" in shown.text
    assert "Roy" not in shown.text
    assert (gone.status_code, "Plus aucun signalement" in gone.text) == (410, True)
    assert (await api.get(tap_of(app, Act.READ_ISSUE, subject=new_id(), person_id=new_id()))).status_code == 410


async def test_a_letter_leads_to_what_is_said_of_the_issue_that_took_its_own_over(api, app, hire):
    agent = await hire()
    one, other = [(await api.post("/v1/reports", json=a_report(lat=lat))).json()["issue"] for lat in (45.53, 45.531)]
    for issue, note in ((other, "On viendra"), (one, "On est venu")):
        said = {"status": "acknowledged", "note": note, "public": True}
        await agent.post(f"/v1/issues/{issue['id']}/status", json=said)
    merging = {"issue_ids": [other["id"]], "confirm": True}
    assert (await agent.post(f"/v1/issues/{one['id']}/merge", json=merging)).status_code == 200

    shown = await api.get(tap_of(app, Act.READ_ISSUE, subject=UUID(other["id"]), person_id=new_id()))

    assert 0 < shown.text.find("On viendra") < shown.text.find("On est venu")


@pytest.fixture
def with_email(monkeypatch):
    """Settings of a server that sends e-mail; asked for before the application."""
    monkeypatch.setenv("JALON_SMTP_URL", "smtp://127.0.0.1:1025")
    monkeypatch.setenv("JALON_EMAIL_FROM", "Ville <avis@essai.example>")
    monkeypatch.setenv("JALON_PUBLIC_URL", "https://jalon.example")


async def test_an_address_counts_once_its_owner_has_tapped_and_is_forgotten_by_one_click(
    with_email, api, app, register, owner
):
    phone = await register()
    named = await phone.api.put("/v1/me/email", params=MONTREAL, json={"address": "anna@example.org"})
    async with owner.transaction() as session:
        address_id = (await session.scalars(text("SELECT id FROM email_address"))).one()
        assert (await session.scalars(text("SELECT device_id FROM delivery"))).all() == [address_id]
    person_id = await person_of(owner, phone.id)
    tap = tap_of(app, Act.VERIFY_EMAIL, subject=address_id, person_id=person_id)
    opened = [await api.get(tap), await phone.api.get("/v1/me/email", params=MONTREAL)]
    assert (named.json()["verified"], opened[1].json()["verified"]) == (False, False)

    await api.post(tap)
    assert (await phone.api.get("/v1/me/email", params=MONTREAL)).json()["verified"]

    stop = tap_of(app, Act.STOP_EMAIL, subject=address_id, person_id=person_id)
    one_click = {"List-Unsubscribe": "One-Click"}
    assert (await api.post(stop, data=one_click)).status_code == 200
    problem_of(await phone.api.get("/v1/me/email", params=MONTREAL), 404, "email-not-found")
    assert (await api.post(tap)).status_code == 410


async def test_without_a_mail_server_no_address_is_taken(register):
    answer = await (await register()).api.put("/v1/me/email", params=MONTREAL, json={"address": "a@example.org"})

    problem_of(answer, 409, "email-not-offered")


@pytest.mark.parametrize("address", ["anna", "anna@example", "a b@example.org", "a@example.org\nBcc: b@example.org"])
async def test_what_is_no_address_is_refused(register, address):
    answer = await (await register()).api.put("/v1/me/email", params=MONTREAL, json={"address": address})

    problem_of(answer, 422, "invalid-fields")
