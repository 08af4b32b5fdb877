"""Letters: the same words as text and HTML, and links that do what they say."""

import re
from datetime import timedelta

import pytest

from db.base import new_id
from issues.languages import LOCALES, load_languages
from issues.letters import Letters
from issues.taps import Act, Taps
from push.channels import AddressKind, Message, Platform
from tests.issues.towns import NOON

TAPS = Taps(b"key")
LETTERS = Letters(load_languages([LOCALES]), TAPS, "https://jalon.example/", lambda: NOON)


async def a_letter(
    kind: str = "resolved", *, locale: str = "fr-CA", body: str = "C’est <réglé> & fini.", **params: str
):
    event_id, address_id, person_id = new_id(), new_id(), new_id()
    message = Message(
        address_kind=AddressKind.EMAIL, address="anna@example.org", platform=Platform.WEB, title="Réglé", body=body,
        data={"kind": kind}, collapse_id=event_id, ttl_s=60, expires_at=NOON + timedelta(days=1), params=params,
        locale=locale, city_id=1, person_id=person_id, recipient_id=address_id,
    )  # fmt: skip
    letter = await LETTERS.compose(message)
    links = [TAPS.read(token, now=NOON) for token in re.findall(r"https://jalon.example/t/([\w-]+)", letter.text)]
    return letter, {tap.act: tap for tap in links}, message


async def test_what_was_fixed_is_asked_about_with_a_link_for_each_answer():
    letter, links, message = await a_letter(report_id="r")

    assert set(links) == {Act.SAY_FIXED, Act.SAY_NOT_FIXED, Act.STOP_EMAIL}
    assert links[Act.SAY_FIXED].subject == message.collapse_id
    assert "Oui, c’est réglé" in letter.text
    assert "Yes, it is fixed" in (await a_letter(locale="en", report_id="r"))[0].text


@pytest.mark.parametrize(("kind", "acts"), [("scheduled", []), ("verify-email", [Act.VERIFY_EMAIL])])
async def test_other_letters_have_only_the_links_that_they_need(kind, acts):
    _, links, message = await a_letter(kind, report_id="r")

    assert set(links) == {*acts, Act.STOP_EMAIL}
    assert links[Act.STOP_EMAIL].subject == message.recipient_id


async def test_who_only_follows_is_not_asked_for_a_verdict():
    assert set((await a_letter())[1]) == {Act.STOP_EMAIL}


async def test_words_are_escaped_in_html_and_not_in_text():
    letter, _, _ = await a_letter()

    assert "C’est <réglé> & fini." in letter.text
    assert "<p>C’est &lt;réglé&gt; &amp; fini.</p>" in letter.html
    assert letter.unsubscribe_url in letter.text
    assert '<html lang="fr">' in letter.html
