"""The same report sent again: by the same sender, by another, and after the city has changed."""

from tests.api.served import a_report, a_secret, problem_of


async def test_a_report_received_before_is_answered_though_no_city_has_its_place_any_more(api, monkeypatch):
    report = a_report(tracking=a_secret())
    first = await api.post("/v1/reports", json=report)
    monkeypatch.setattr("issues.city.Cities.at", lambda _cities, _at: None)

    again = await api.post("/v1/reports", json=report)
    other = await api.post("/v1/reports", json=a_report())

    assert (again.status_code, again.json()) == (200, first.json())
    problem_of(other, 422, "outside-service-area")


async def test_a_phone_that_registered_since_gets_the_answer_to_its_report(api, register):
    report = a_report(tracking=a_secret())
    first = await api.post("/v1/reports", json=report)

    again = await (await register()).api.post("/v1/reports", json=report)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()


async def test_a_stranger_without_a_secret_is_shown_nothing_of_another_strangers_report(api):
    report = a_report()
    await api.post("/v1/reports", json=report)

    answer = await api.post("/v1/reports", json={**report, "description": "Autre chose"})

    assert "receipt" not in problem_of(answer, 409, "id-already-used")
