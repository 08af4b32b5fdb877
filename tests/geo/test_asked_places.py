"""Questions for a place, taken apart into number, street, crossing and town."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.asked_places import AskedPlace, leading_number, part_town, read_place

TOWNS = ["montreal", "mont royal", "laval", "westmount"]

READ = {
    "4475 rue Saint-Denis": AskedPlace("rue Saint-Denis", 4475),
    "4475, rue Saint-Denis, Montréal QC": AskedPlace("rue Saint-Denis", 4475, town="Montréal QC"),
    "4475 rue Saint-Denis H2J 2L3": AskedPlace("rue Saint-Denis", 4475),
    "4475A rue Saint-Denis app. 3": AskedPlace("rue Saint-Denis", 4475),
    "4475 rue Saint-Denis #12": AskedPlace("rue Saint-Denis", 4475),
    "5-1234 rue Garnier": AskedPlace("rue Garnier", 1234),
    "1234-5 rue Garnier": AskedPlace("rue Garnier", 1234),
    "1234-1238 rue Garnier": AskedPlace("rue Garnier", 1234),
    "12 1/2 rue Garnier": AskedPlace("rue Garnier", 12),
    "3024 10e Avenue": AskedPlace("10e Avenue", 3024),
    "10e Avenue": AskedPlace("10e Avenue"),
    "16 Rue": AskedPlace("16 Rue"),
    "16 Rue et 10e av.": AskedPlace("16 Rue", crossing="10e av"),
    "4211 av. de l'Esplanade": AskedPlace("av. de l'Esplanade", 4211),
    "123 16 Rue": AskedPlace("16 Rue", 123),
    "Rachel et Berri": AskedPlace("Rachel", crossing="Berri"),
    "Rachel / Berri": AskedPlace("Rachel", crossing="Berri"),
    "Rachel & Berri": AskedPlace("Rachel", crossing="Berri"),
    "Rachel and Berri": AskedPlace("Rachel", crossing="Berri"),
    "Rachel, coin Berri": AskedPlace("Rachel", crossing="Berri"),
    "coin Rachel et Berri": AskedPlace("Rachel", crossing="Berri"),
    "corner of Rachel and Berri": AskedPlace("Rachel", crossing="Berri"),
    "à l'angle de la rue Rachel et de la rue Berri": AskedPlace("rue Rachel", crossing="rue Berri"),
    "Rachel et Berri, Montréal": AskedPlace("Rachel", crossing="Berri", town="Montréal"),
    "100 Rachel coin Berri": AskedPlace("Rachel", 100),
    "rue Pierre-et-Marie-Curie": AskedPlace("rue Pierre-et-Marie-Curie"),
}


@pytest.mark.parametrize(("text", "asked"), READ.items())
def test_a_question_is_taken_apart(text, asked):
    assert read_place(text) == asked


@pytest.mark.parametrize("text", ["", "  ", ",", "H2J 2L3", "&", "rue", "rue de la"])
def test_without_a_street_there_is_no_question(text):
    assert read_place(text) is None


@pytest.mark.parametrize(
    ("text", "street", "town"),
    [
        ("100 rue Garnier, Laval", "rue Garnier", "laval"),
        ("100 rue Garnier, Mont-Royal (Québec)", "rue Garnier", "mont royal"),
        ("100 rue Garnier Laval", "rue garnier", "laval"),
        ("100 boulevard Laval", "boulevard Laval", None),
        ("100 avenue du Mont-Royal", "avenue du Mont-Royal", None),
        ("100 boulevard Laval, Laval", "boulevard Laval", "laval"),
        ("100 rue Garnier, Rosemont", "rue Garnier", None),
        ("100 rue Garnier, Lavaltrie", "rue Garnier", None),
    ],
)
def test_a_town_is_told_from_a_street(text, street, town):
    whole = read_place(text)
    assert whole is not None

    asked, found = part_town(whole, TOWNS)

    assert (asked.street, found) == (street, town)


def test_the_town_behind_a_crossing_is_not_part_of_it():
    whole = read_place("Rachel et Berri Montréal")
    assert whole is not None

    assert part_town(whole, TOWNS) == (AskedPlace("Rachel", crossing="berri"), "montreal")


@pytest.mark.parametrize(
    ("text", "number"), [("1053A", 1053), ("7", 7), ("A7", None), ("", None), ("12345678", 123456)]
)
def test_a_civic_number_begins_with_its_digits(text, number):
    assert leading_number(text) == number


@given(st.text(max_size=80))
def test_whatever_is_typed_can_be_taken_apart(text):
    asked = read_place(text)

    assert asked is None or (asked.street.strip() and (asked.number is None or 0 <= asked.number < 1_000_000))
