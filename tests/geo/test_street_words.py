"""Names of streets, as people type them and as the city writes them, read as the same words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.street_words import StreetWords, edits, likeness, read_street, street_readings

READ = [
    ("Rue Saint-Denis", "st denis", "rue", None),
    ("r. St-Denis", "st denis", "rue", None),
    ("Saint Denis Street", "st denis", "rue", None),
    ("St. Denis St.", "st denis", "rue", None),
    ("boul. Ste-Thérèse E.", "st therese", "boulevard", "est"),
    ("BOULEVARD DE LA CONCORDE OUEST", "concorde", "boulevard", "ouest"),
    ("Concorde Blvd W", "concorde", "boulevard", "ouest"),
    ("E Rachel St", "rachel", "rue", "est"),
    ("Rachel East Street", "rachel", "rue", "est"),
    ("av. de l'Épée", "epee", "avenue", None),
    ("ch. de la Côte-des-Neiges", "cote neiges", "chemin", None),
    ("Côte-des-Neiges Rd", "cote neiges", "chemin", None),
    ("Rue du Sacré-Cœur", "sacre coeur", "rue", None),
    ("10e Avenue", "10", "avenue", None),
    ("10th Ave", "10", "avenue", None),
    ("Première Avenue", "1", "avenue", None),
    ("Avenue 24e", "24", "avenue", None),
    ("Place de la 16 Rue", "16 rue", "place", None),
    ("Park Avenue", "park", "avenue", None),
    # A street may be called nothing but a kind, a heading or an article.
    ("Rue", "rue", None, None),
    ("Avenue Est", "est", "avenue", None),
    ("Rue de la", "de la", "rue", None),
]


@pytest.mark.parametrize(("name", "words", "kind", "heading"), READ)
def test_a_name_is_taken_apart(name, words, kind, heading):
    assert read_street(name) == StreetWords(words, kind, heading)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Boulevrd Saint-Denis", StreetWords("st denis", "boulevard", None, guessed=True)),
        ("Re Rachel Esst", StreetWords("rachel", "rue", "est", guessed=True)),
        ("4e Ru", StreetWords("4", "rue", None, guessed=True)),
        ("Rue eds Prés", StreetWords("pres", "rue", None, guessed=True)),
    ],
)
def test_a_misspelt_kind_heading_or_article_is_a_second_reading(typed, meant):
    assert list(street_readings(typed))[1:] == [meant]


@pytest.mark.parametrize("name", ["Rue Saint-Denis", "Avenue du Parc", "Mont-Royal"])
def test_a_name_without_a_mistake_has_one_reading(name):
    assert list(street_readings(name)) == [read_street(name)]


@pytest.mark.parametrize("name", ["", " ", "-", "'"])
def test_what_has_no_word_has_no_reading(name):
    assert list(street_readings(name)) == []


def test_likeness_falls_with_each_difference():
    street = read_street("Rue Rachel Est")
    typed = ["rue Rachel E", "Rachel", "avenue Rachel Est", "rue Rchl Est", "avenue Rachel Ouest", "rue Berri Est"]
    likenesses = [likeness(read_street(each), street) for each in typed]

    assert likenesses == sorted(likenesses, reverse=True)
    assert likenesses[0] == 1.0
    assert likenesses[-1] < 0.5
    assert len(set(likenesses)) == len(typed)


@pytest.mark.parametrize(
    ("one", "other", "number"),
    [
        *[("", "", 0), ("", "ab", 2), ("rachel", "rachel", 0), ("rachel", "rachle", 1), ("rachel", "rache", 1)],
        *[("rachel", "rachell", 1), ("rachel", "rochel", 1), ("berri", "bercy", 2), ("ca", "abc", 3)],
    ],
)
def test_edits_are_letters_added_dropped_changed_or_swapped(one, other, number):
    assert edits(one, other) == edits(other, one) == number


@given(st.text(max_size=60))
def test_whatever_is_typed_can_be_read(text):
    for reading in street_readings(text):
        assert reading.words
        assert 0.0 <= likeness(reading, read_street("Rue Saint-Denis")) <= 1.0
