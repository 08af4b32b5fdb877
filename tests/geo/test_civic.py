"""Addresses, read far enough to compare them."""

import pytest

from geo.civic import numbers_apart, read_address, same_block


@pytest.mark.parametrize(
    ("text", "street", "number"),
    [
        ("2238 W IRVING PARK RD", "W IRVING PARK", 2238),
        ("4853 S WOOD", "S WOOD", 4853),
        ("6-8 W Broadway", "W BROADWAY", 6),
        ("12A Lorraine St  Roslindale  MA", "LORRAINE", 12),
        ("1234, rue Saint-Denis, Montréal", "DENIS", 1234),
        ("1236 rue St-Denis", "DENIS", 1236),
        ("10 boul. de l'Acadie", "ACADIE", 10),
        ("5e Avenue", "5E", None),
        ("INTERSECTION of Groveland St & River St  Mattapan  MA", "GROVELAND & RIVER", None),
        ("River St & Groveland St", "GROVELAND & RIVER", None),
        ("12 Place", "PLACE", 12),
    ],
)
def test_reads_street_and_number(text, street, number):
    address = read_address(text)

    assert address is not None
    assert (address.street, address.number) == (street, number)


@pytest.mark.parametrize("text", [None, "", "   ", "123 ", "?!"])
def test_what_has_no_street_is_no_address(text):
    assert read_address(text) is None


@pytest.mark.parametrize(
    ("one", "other", "apart", "block"),
    [
        ("3408 N CLARK ST", "3416 N CLARK", 8, True),
        ("3398 N CLARK ST", "3402 N CLARK ST", 4, False),
        ("3408 N CLARK ST", "3408 S CLARK ST", None, False),
        ("A St & B St", "B St & A St", 0, False),
        ("N CLARK ST", "3408 N CLARK ST", None, False),
        ("799 E 50TH PL", "800 E 50TH ST", None, False),
        ("12, 4e Rue", "12, 4e Avenue", None, False),
        ("12, rue Saint-Denis", "12 St-Denis Street", 0, True),
        ("12, rue Saint-Denis", "16 boul. Saint-Denis", None, False),
    ],
)
def test_compares_two_addresses(one, other, apart, block):
    first, second = read_address(one), read_address(other)
    assert first is not None
    assert second is not None

    assert (numbers_apart(first, second), same_block(first, second)) == (apart, block)
