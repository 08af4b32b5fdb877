"""Staff at the command line: hired, listed, and let go."""

import json

import psycopg
import pytest

from db.credentials import hash_secret
from db.dumps import libpq_url


def test_staff_are_known_by_a_token_that_is_shown_once(jalon, city, owner_url):
    added = json.loads(jalon("staff", "add", "Ana", "--role", "agent", "--json").out)

    with psycopg.connect(libpq_url(owner_url)) as connection:
        subject = connection.execute("SELECT subject FROM credential WHERE hash = %s", [hash_secret(added["token"])])
        assert [str(row[0]) for row in subject] == [added["id"]]
    assert added["token"] not in jalon("staff", "list", "--json").out
    assert jalon("staff", "list").out == f"{added['id']}\tAna\tagent\t-\t-\n"


def test_without_json_the_answer_is_the_token_alone(jalon, city):
    added = jalon("staff", "add", "Ana", "--role", "agent", "--city", city)

    assert len(added.out.split()) == 1
    assert added.out.strip() not in added.err


def test_staff_who_left_are_listed_and_no_longer_known(jalon, city, owner_url):
    added = json.loads(jalon("staff", "add", "Ana", "--role", "admin", "--json").out)

    assert jalon("staff", "revoke", added["id"]).code == 0

    with psycopg.connect(libpq_url(owner_url)) as connection:
        assert connection.execute("SELECT count(*) FROM credential").fetchone() == (0,)
    assert jalon("staff", "list").out.startswith(f"{added['id']}\tAna\tadmin\t-\t20")
    assert "works for this city" in jalon("staff", "revoke", added["id"]).err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["add", "Ana", "--role", "crew"], "needs --crew"),
        (["add", "Ana", "--role", "crew", "--crew", "none-1"], "no crew none-1"),
        (["add", "Ana", "--role", "agent", "--crew", "none-1"], "takes no --crew"),
        (["list", "--city", "ailleurs.ca"], "essai.ca"),
    ],
)
def test_what_cannot_be_about_staff_is_told(jalon, city, arguments, told):
    refused = jalon("staff", *arguments)

    assert refused.code == 1
    assert told in refused.err
    assert refused.err.count("\n") == 1
