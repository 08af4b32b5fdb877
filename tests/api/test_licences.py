"""Licences are found by the names that cities write."""

import pytest

from api.licences import licence_page


@pytest.mark.parametrize(
    ("licence", "page"),
    [
        ("ODbL 1.0", "https://opendatacommons.org/licenses/odbl/1-0/"),
        ("CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/"),
        ("CC-BY-SA-3.0", "https://creativecommons.org/licenses/by-sa/3.0/"),
        ("CC0", "https://creativecommons.org/publicdomain/zero/1.0/"),
        ("https://ville.example/licence", "https://ville.example/licence"),
        ("for the city's own use", None),
    ],
)
def test_a_licence_has_its_page(licence, page):
    assert licence_page(licence) == page
