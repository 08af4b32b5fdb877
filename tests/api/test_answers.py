"""Answers to a service's questions, as they come with a report."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from tests.api.served import PICTURE, a_report, fields_of, problem_of

BIN = {"service_code": "bac-de-recyclage"}


@pytest.fixture
def required(cities, monkeypatch):
    """Montréal has to be told which bin."""
    services = cities.by_jurisdiction("montreal.ca").catalogue.services
    service = services[BIN["service_code"]]
    questions = tuple(replace(question, required=True) for question in service.questions)
    monkeypatch.setitem(services, service.code, replace(service, questions=questions))


@pytest.mark.usefixtures("required")
@pytest.mark.parametrize(
    ("attributes", "field", "french"),
    [
        ({}, "attributes.bac", "Ce renseignement est requis."),
        ({"bac": "bleu"}, "attributes.bac", "recyclage, organique, ordures"),
        ({"bac": "ordures", "couleur": "bleu"}, "attributes.couleur", "Cette question n’existe pas."),
    ],
)
async def test_answers_that_do_not_fit_the_questions_are_named_and_nothing_is_stored(
    api, stored, attributes, field, french
):
    report = a_report(**BIN, attributes=attributes)

    answer = await api.post("/v1/reports", json=report, headers={"Accept-Language": "fr"})

    document = problem_of(answer, 422, "invalid-fields")
    [error] = document["errors"]
    assert error["field"] == field
    assert french in error["detail"]
    assert set((await stored()).values()) == {0}


@pytest.mark.usefixtures("required")
async def test_answers_are_refused_before_the_photos_of_their_form_are_kept(api, stored):
    answer = await api.post(
        "/v1/reports",
        data={name: str(value) for name, value in a_report(**BIN).items()},
        files=[("photos", ("a.jpg", PICTURE))],
    )

    assert fields_of(problem_of(answer, 422, "invalid-fields")) == {"attributes.bac"}
    assert set((await stored()).values()) == {0}


async def test_a_form_sends_each_thing_chosen_by_itself(api, owner):
    fields = [("service_code", "collecte-oubliee"), ("lat", "45.5231"), ("long", "-73.5817")]
    chosen = [("attributes[collecte]", "ordures"), ("attributes[collecte]", "recyclage")]

    answer = await api.post("/v1/reports", files=[(name, (None, value)) for name, value in [*fields, *chosen]])

    assert answer.status_code == 201, answer.text
    async with owner.transaction() as session:
        [kept] = await session.scalars(text("SELECT attributes FROM report_personal"))
    assert kept == {"collecte": ["ordures", "recyclage"]}
