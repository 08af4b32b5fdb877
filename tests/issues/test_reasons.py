"""What people are told of a score."""

import pytest

from issues.languages import LOCALES, load_languages
from issues.match import Reason
from issues.reasons import sentence_of

LANGUAGES = load_languages([LOCALES])


@pytest.mark.parametrize(
    ("days", "french"),
    [
        (0.12, "Signalés à moins d’un jour d’intervalle"),
        (1.0, "Signalés à un jour d’intervalle"),
        (16.8, "Signalés à 17 jours d’intervalle"),
    ],
)
def test_of_two_issues_that_are_there_it_is_said_how_far_apart_they_came(days, french):
    sentence, values = sentence_of(Reason("age", days, "d", 0.1), of_pair=True)

    assert LANGUAGES.translate("fr", sentence, **values) == french


@pytest.mark.parametrize(
    ("factor", "value", "english", "french"),
    [
        ("distance", 4.4, "4 m away", "À 4\u00a0m"),
        ("age", 0.99, "Last reported within a day", "Signalé pour la dernière fois il y a moins d’un jour"),
        ("age", 1.0, "Last reported a day ago", "Signalé pour la dernière fois il y a un jour"),
        ("age", 1.6, "Last reported 2 days ago", "Signalé pour la dernière fois il y a 2 jours"),
        ("service", 1.0, "The same kind of problem", "Le même type de problème"),
        (
            "service",
            0.5,
            "A kind of problem that is often taken for this one",
            "Un type de problème que l’on confond souvent avec celui-ci",
        ),
        ("service", 0.2, "Another kind of problem", "Un autre type de problème"),
        ("house_numbers", 0.0, "At the same address or crossing", "À la même adresse ou à la même intersection"),
        (
            "house_numbers",
            4.0,
            "On the same street, house numbers 4 apart",
            "Même rue, numéros civiques à 4 d’écart",
        ),
        ("other_street", 1.0, "On another street", "Dans une autre rue"),
        ("same_block", 1.0, "In the same block", "Dans le même tronçon de rue"),
        ("crowding", 1.0, "Another one like it is near", "Un autre problème semblable se trouve à proximité"),
        ("crowding", 3.0, "3 others like it are near", "3 autres problèmes semblables se trouvent à proximité"),
        ("reports", 3.0, "Reported 3 times already", "Déjà signalé 3 fois"),
        ("words", 0.5, "Described in like words", "Description semblable"),
        ("words", 0.49, "Described in other words", "Description différente"),
        ("photos", 12.0, "The photos look alike", "Les photos se ressemblent"),
        ("photos", 13.0, "The photos look different", "Les photos ne se ressemblent pas"),
        (
            "came_back",
            1.0,
            "It was fixed a short while ago, and may have come back",
            "Réglé il y a peu, et peut-être revenu",
        ),
        (
            "wish",
            1.0,
            "Its sender said that it is the same problem",
            "La personne qui signale a dit que c’est le même problème",
        ),
        # Of a version that weighed what this one does not.
        ("weather", 0.3, "Something else: weather", "Autre chose\u00a0: weather"),
    ],
)
def test_each_reason_says_in_both_languages_what_was_measured(factor, value, english, french):
    sentence, values = sentence_of(Reason(factor, value, "1", 0.1))

    assert LANGUAGES.translate("en", sentence, **values) == english
    assert LANGUAGES.translate("fr", sentence, **values) == french
