"""The words of notices, as they stand on a locked screen."""

import pytest

from issues.languages import LOCALES, load_languages
from issues.lifecycle import NoticeKind
from issues.notices import ASSIGNED, NoticeTexts, OwnWords

TEXTS = NoticeTexts(load_languages([LOCALES]))
PARAMS = {
    "issue_id": "01936f3e-7b1a-7c3e-9f00-3a2b1c4d5e6f",
    "report_id": "01936f3e-7b1a-7c3e-9f00-3a2b1c4d5e60",
    "number": "2026-000124",
    "status": "acknowledged",
    "jurisdiction_id": "montreal.ca",
    "locale": "fr-CA",
    "service_fr": "Nid-de-poule",
    "service_en": "Pothole",
}

ALERT = {
    "title_fr": "Faites bouillir",
    "title_en": "Boil water",
    "text_fr": "Une minute.",
    "text_en": "One minute.",
    "locale": "fr-CA",
}


@pytest.mark.parametrize(
    ("locale", "title", "body"),
    [
        (
            "fr-CA",
            "Nid-de-poule\u00a0: signalement pris en compte",
            "La Ville a pris connaissance du signalement 2026-000124 et en assure le suivi.",
        ),
        ("en", "Pothole: report acknowledged", "The city has read report 2026-000124 and will follow it up."),
    ],
)
def test_a_notice_is_in_the_language_of_the_device(locale, title, body):
    assert TEXTS.render("acknowledged", PARAMS, locale) == (title, body)


def test_a_crew_reads_for_which_day_its_work_is():
    title, body = TEXTS.render(ASSIGNED, {**PARAMS, "day": "2026-11-24"}, "fr-CA")

    assert title == "Nid-de-poule\u00a0: travail pour votre équipe"
    assert body == "Prévu le 2026-11-24, pour le signalement 2026-000124."


def test_a_device_in_a_language_that_is_not_spoken_hears_the_citys():
    assert TEXTS.render("resolved", PARAMS, "de-AT") == TEXTS.render("resolved", PARAMS, "fr")


def test_a_private_service_is_not_named():
    unnamed = {key: value for key, value in PARAMS.items() if not key.startswith("service_")}

    assert TEXTS.render("note", unnamed, "fr")[0] == "Suivi\u00a0: message de la Ville"


def test_a_service_without_a_name_in_the_language_keeps_the_other_one():
    french_only = {key: value for key, value in PARAMS.items() if key != "service_en"}

    assert TEXTS.render("resolved", french_only, "en")[0] == "Nid-de-poule: problem fixed"


@pytest.mark.parametrize(
    ("locale", "invited"),
    [("fr", "Ouvrez-le pour en connaître la raison."), ("en", "Open it to read why.")],
)
def test_people_are_sent_to_read_why_only_where_the_city_has_written_why(locale, invited):
    without, explained = (
        TEXTS.render("declined", PARAMS, locale),
        TEXTS.render("declined", {**PARAMS, "note": "public"}, locale),
    )

    assert explained == (without[0], f"{without[1]} {invited}")


@pytest.mark.parametrize("kind", [*(kind for kind in NoticeKind if kind is not NoticeKind.ALERT), ASSIGNED])
@pytest.mark.parametrize("locale", ["fr", "en"])
def test_every_kind_fits_a_locked_screen_and_holds_no_id(kind, locale):
    title, body = TEXTS.render(kind, {**PARAMS, "note": "public"}, locale)

    assert len(title) <= 65
    assert len(body) <= 120
    assert "2026-000124" in body
    assert PARAMS["issue_id"] not in title + body


@pytest.mark.parametrize(
    ("locale", "said"), [("en-CA", ("Boil water", "One minute.")), ("de", ("Faites bouillir", "Une minute."))]
)
def test_an_alert_is_in_the_words_of_whoever_published_it(locale, said):
    assert TEXTS.render("alert", ALERT, locale) == said


def test_an_alert_in_a_digest_is_its_title():
    digest = {"items": [{**ALERT, "kind": "alert"}, {**PARAMS, "kind": "resolved"}], "count": 2, "locale": "en"}

    assert TEXTS.render("digest", digest, "en")[1].splitlines()[0] == "Boil water"


def test_a_digest_has_a_line_for_each_of_the_first_and_counts_the_rest():
    items = [{**PARAMS, "kind": kind} for kind in ("resolved", "scheduled", "note", "opened", "declined")]
    digest = {"items": items, "count": 7, "locale": None, "jurisdiction_id": "montreal.ca"}

    title, body = TEXTS.render("digest", digest, "fr-CA")

    assert title == "7 nouvelles de la Ville"
    assert body.splitlines()[0] == "Nid-de-poule\u00a0: problème réglé (2026-000124)"
    assert (len(body.splitlines()), body.splitlines()[-1]) == (5, "et 3 de plus")


def test_a_city_says_it_in_its_own_words_where_it_has_some():
    own: dict[str, OwnWords] = {
        "montreal.ca": {"resolved": {"title": {"fr": "C’est réparé: {service}", "en": "Done"}, "body": None}}
    }
    texts = NoticeTexts(TEXTS.languages, own)

    assert texts.render("resolved", PARAMS, "fr")[0] == "C’est réparé: Nid-de-poule"
    assert texts.render("resolved", PARAMS, "fr")[1] == TEXTS.render("resolved", PARAMS, "fr")[1]
    elsewhere = PARAMS | {"jurisdiction_id": "laval.ca"}
    assert texts.render("resolved", elsewhere, "fr") == TEXTS.render("resolved", PARAMS, "fr")


def test_every_kind_has_words_of_its_own():
    assert len({TEXTS.render(kind, PARAMS, "fr") for kind in NoticeKind}) == len(NoticeKind)
