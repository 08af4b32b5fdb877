"""Letters through a real SMTP server: each handed in once, and what its answers mean."""

from dataclasses import replace
from datetime import timedelta

import pytest

from db.base import new_id
from push.channels import AddressKind, Message, Outcome, Platform
from push.smtp import EmailChannel, Letter, SmtpServer
from tests.push.mail_server import running_mail_server
from tests.push.people import NOON, Clock

ANNA = "anna@example.org"
STOP_URL = f"https://jalon.example/t/{'A' * 100}"  # as long as they are


def channel(port: int, *, compose=None) -> EmailChannel:
    async def write(_message: Message) -> Letter:
        return letter

    letter = Letter("Nid-de-poule\u00a0: réglé", "Réglé", "<p>Réglé</p>", STOP_URL)
    url = f"smtp://127.0.0.1:{port}"
    sender = "Ville d’Essai <avis@essai.example>"
    return EmailChannel(SmtpServer.of(url), sender=sender, compose=compose or write, timeout_s=5)


def a_message(address: str = ANNA) -> Message:
    return Message(
        address_kind=AddressKind.EMAIL, address=address, platform=Platform.WEB, title="t", body="b", data={},
        collapse_id=new_id(), ttl_s=60, expires_at=NOON + timedelta(days=1), recipient_id=new_id(),
    )  # fmt: skip


async def outcomes(mail_server, *messages, window=None):
    results = await channel(mail_server.port).send(messages, window or Clock().window())
    return [result.outcome for result in results]


async def test_a_letter_has_both_forms_its_name_and_the_one_click_that_ends_them(mail_server):
    message = a_message()

    [result] = await channel(mail_server.port).send([message], Clock().window())

    [letter] = mail_server.letters
    assert result.outcome is Outcome.SENT
    assert (letter["To"], letter["Subject"]) == (ANNA, "Nid-de-poule\u00a0: réglé")
    assert letter["Message-ID"] == f"<{message.collapse_id}.{message.recipient_id}@essai.example>"
    assert dict(letter.raw_items())["List-Unsubscribe"].strip() == f"<{STOP_URL}>"
    assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert [part.get_content().strip() for part in letter.iter_parts()] == ["Réglé", "<p>Réglé</p>"]


@pytest.mark.parametrize(
    ("says", "outcome"),
    [
        ({ANNA: "550 5.1.1 no such user"}, Outcome.FORGET),
        ({ANNA: "554 5.7.1 not from you"}, Outcome.GIVE_UP),
        ({ANNA: "552 5.2.2 mailbox full"}, Outcome.GIVE_UP),
        ({ANNA: "450 4.2.0 greylisted"}, Outcome.RETRY),
        ({"DATA": "554 5.6.0 refused"}, Outcome.GIVE_UP),
        ({"DATA": "451 4.3.0 later"}, Outcome.RETRY),
        ({"DATA": "cut"}, Outcome.NO_ANSWER),
    ],
)
async def test_what_the_server_says_decides_and_costs_nobody_else_their_letter(mail_server, says, outcome):
    mail_server.says |= says
    others = [a_message(f"ben{n}@example.org") for n in range(3)]

    got = await outcomes(mail_server, a_message(), *others)

    # The four connections take one letter each; any of them may meet what is said to the first DATA.
    assert sorted(got) == sorted([outcome, *[Outcome.SENT] * 3])
    assert len(mail_server.letters) == 3


async def test_an_error_never_holds_the_address(mail_server):
    mail_server.says[ANNA] = f"550 5.1.1 <{ANNA}> unknown"

    [result] = await channel(mail_server.port).send([a_message()], Clock().window())

    assert result.error == "RCPT: 550"


async def test_a_server_that_is_not_there_has_got_nothing():
    with running_mail_server() as gone:
        pass

    [result] = await channel(gone.port).send([a_message()], Clock().window())

    assert (result.outcome, result.retry_after_s) == (Outcome.UNSENT, 30)


async def test_nothing_leaves_once_the_window_has_closed(mail_server):
    assert await outcomes(mail_server, a_message(), window=Clock().window(0)) == [Outcome.UNSENT]
    assert mail_server.letters == []


async def test_a_letter_that_cannot_be_written_costs_nobody_else_theirs(mail_server):
    async def compose(message: Message) -> Letter:
        if message.address == ANNA:
            raise KeyError("number")
        return Letter("s", "t", "<p>t</p>", "https://jalon.example/t/abc")

    results = await channel(mail_server.port, compose=compose).send(
        [a_message(), a_message("ben@example.org")], Clock().window()
    )

    assert [result.outcome for result in results] == [Outcome.GIVE_UP, Outcome.SENT]


async def test_many_letters_are_each_handed_in_once(mail_server):
    messages = [a_message(f"p{n}@example.org") for n in range(60)]

    assert set(await outcomes(mail_server, *messages)) == {Outcome.SENT}
    assert sorted(letter["To"] for letter in mail_server.letters) == sorted(message.address for message in messages)


@pytest.mark.parametrize("url", ["http://mail.example", "smtp://", "mail.example:25"])
def test_what_names_no_mail_server_is_refused(url):
    with pytest.raises(ValueError, match="smtp://"):
        SmtpServer.of(url)


def test_a_mail_server_is_read_with_its_password_unquoted_and_shown_without():
    server = SmtpServer.of("smtps://jalon:p%40ss@mail.example")

    assert (server.host, server.port, server.tls, server.password) == ("mail.example", 465, True, "p@ss")
    assert "p@ss" not in repr(server)


async def test_an_address_beyond_ascii_costs_nobody_else_their_letter(mail_server):
    others = [replace(a_message(), address=address) for address in ("éloïse@example.org", ANNA)]

    assert await outcomes(mail_server, *others) == [Outcome.GIVE_UP, Outcome.SENT]
