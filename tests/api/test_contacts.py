"""How a report's sender can be reached: who is shown it, and where it never appears."""

from tests.api.served import a_report, a_secret, problem_of

CONTACT = {"email": "camille@example.org", "phone": "514 555-0100", "name": "Camille Tremblay"}


async def test_staff_of_the_city_are_shown_how_to_reach_the_sender(api, hire):
    report = a_report(contact=CONTACT)
    await api.post("/v1/reports", json=report)
    path = f"/v1/reports/{report['id']}"

    answer = await (await hire()).get(path)

    assert answer.json()["report"]["contact"] == CONTACT
    problem_of(await (await hire(jurisdiction_id="laval.ca")).get(path), 404, "report-not-found")


async def test_senders_are_shown_their_own(api, register):
    device, secret = await register(), a_secret()
    by_device, by_secret = a_report(contact=CONTACT), a_report(contact={"phone": "450 555-0100"}, tracking=secret)
    await device.api.post("/v1/reports", json=by_device)
    await api.post("/v1/reports", json=by_secret)

    own = await device.api.get(f"/v1/reports/{by_device['id']}")
    tracked = await api.as_(secret).get(f"/v1/reports/{by_secret['id']}")

    assert own.json()["report"]["contact"] == CONTACT
    assert tracked.json()["report"]["contact"] == {"email": None, "phone": "450 555-0100", "name": None}


async def test_it_appears_nowhere_else(register, hire, capsys):
    device, agent, report = await register(), await hire(), a_report(contact=CONTACT)

    told = await device.api.post("/v1/reports", json=report)
    refused = await device.api.post("/v1/reports", json={**report, "description": "Autre chose"})
    issue = f"/v1/issues/{told.json()['issue']['id']}"
    read = [await agent.get(path) for path in (issue, f"{issue}/events", "/v1/issues")]
    said = "".join(answer.text for answer in (told, refused, *read)) + capsys.readouterr().out

    assert "receipt" in refused.json()
    assert '"event": "request"' in said
    for word in ("camille@example.org", "555-0100", "Tremblay"):
        assert word not in said
