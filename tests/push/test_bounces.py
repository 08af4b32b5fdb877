"""Bounces that come later: what a mail server writes back, and what that says of the letter and its address."""

from email.message import EmailMessage
from email.policy import SMTP
from uuid import UUID

import pytest
from sqlalchemy import select

from db.base import new_id
from push.bounces import Bounce, read_bounce, record_bounce
from push.emails import EmailAddress, find_address
from push.outbox import Delivery
from push.outcomes import read_outcomes
from push.queueing import Recipient, queue_notifications
from tests.push.people import CITY, NOON, OTHER_CITY

EVENT, ADDRESS = UUID("01936f3e-7b1a-7c3e-9f00-3a2b1c4d5e6f"), UUID("01936f3e-7b1a-7c3e-9f00-3a2b1c4d5e70")
NAME = f"<{EVENT}.{ADDRESS}@essai.example>"

# As Postfix, Exim and Exchange write them, cut to what counts.
REPORT = """\
From: MAILER-DAEMON@mx.example
To: avis@essai.example
Subject: Undelivered Mail Returned to Sender
Content-Type: multipart/report; report-type=delivery-status; boundary="b"
MIME-Version: 1.0

--b
Content-Type: text/plain

This is the mail system at host mx.example.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; anna@example.org
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 5.1.1 no such user

--b
Content-Type: {returned}

From: avis@essai.example
Subject: =?utf-8?q?R=C3=A9gl=C3=A9?=
Message-ID: {name}

--b--
"""


def a_report(*, action="failed", status="5.1.1", returned="message/rfc822", name=NAME) -> bytes:
    return REPORT.format(action=action, status=status, returned=returned, name=name).replace("\n", "\r\n").encode()


@pytest.mark.parametrize("returned", ["message/rfc822", "text/rfc822-headers"])
@pytest.mark.parametrize(
    ("status", "gone"),
    [
        ("5.1.1", True),
        ("5.1.10 (no user)", True),
        ("5.2.1", True),
        ("5.2.2", False),
        ("5.7.1", False),
        ("5.0.0", False),
    ],
)
def test_a_report_names_the_letter_and_why_it_failed(returned, status, gone):
    bounce = read_bounce(a_report(status=status, returned=returned))

    assert bounce == Bounce(EVENT, ADDRESS, status.partition(" ")[0])
    assert bounce.address_is_gone is gone


@pytest.mark.parametrize(
    "mail",
    [
        a_report(action="delayed", status="4.4.1"),
        a_report(action="failed", status="4.4.7"),
        a_report(action="relayed", status="2.0.0"),
        a_report(action="delayed", status="5.1.1"),
        a_report(status="gone"),
        a_report(name="<somebody.else@example.org>"),
        a_report(name=f"<{'-' * 36}.{'-' * 36}@essai.example>"),
        a_report().replace(b"multipart/report", b"multipart/mixed"),
        a_report().replace(b"--b\r\n", b"--c\r\n"),
        b"Subject: Absence\r\n\r\nJe suis en vacances.",
        b"",
        b"\xff\x00" * 50,
    ],
)
def test_what_is_no_failure_of_a_letter_of_ours_is_none(mail):
    assert read_bounce(mail) is None


def test_a_report_within_a_mail_that_passed_it_on_is_none():
    passed_on = EmailMessage(policy=SMTP)
    passed_on["Subject"] = "Fwd"
    passed_on.set_content("See below")
    passed_on.add_attachment(a_report(), maintype="application", subtype="octet-stream")

    assert read_bounce(passed_on.as_bytes()) is None


@pytest.fixture
async def letter(database):
    """A letter that was handed in, to an address of the city."""
    person_id, event_id = new_id(), new_id()
    async with database.transaction(CITY) as session:
        address = EmailAddress(
            city_id=CITY, id=new_id(), person_id=person_id, address="anna@example.org", locale="fr-CA", asked_at=NOON,
            verified_at=NOON,
        )  # fmt: skip
        session.add(address)
        await session.flush()
        await queue_notifications(
            session, CITY, event_id=event_id, kind="resolved", params={}, happened_at=NOON, now=NOON,
            recipients=[Recipient(person_id, {})],
        )  # fmt: skip
        delivery = (await session.scalars(select(Delivery))).one()
        delivery.state = "sent"
        return person_id, Bounce(event_id, address.id, "5.1.1")


async def states(session):
    return [tuple(row) for row in await session.execute(select(Delivery.state, Delivery.last_error))]


async def test_a_letter_that_came_back_is_not_sent_any_more_and_its_address_is_gone(database, letter):
    person_id, bounce = letter

    async with database.transaction(CITY) as session:
        recorded = [await record_bounce(session, CITY, bounce, now=NOON) for _ in range(2)]

        assert recorded == [True, False]
        assert await states(session) == [("forgotten", "bounced: 5.1.1")]
        assert (await find_address(session, CITY, person_id)).refused
        assert (await read_outcomes(session, CITY))["email", "bounced"] == 1


async def test_a_full_mailbox_costs_the_letter_and_not_the_address(database, letter):
    person_id, bounce = letter

    async with database.transaction(CITY) as session:
        assert await record_bounce(session, CITY, Bounce(bounce.event_id, bounce.address_id, "5.2.2"), now=NOON)

        assert await states(session) == [("dead", "bounced: 5.2.2")]
        assert not (await find_address(session, CITY, person_id)).refused


async def test_a_report_of_what_the_city_did_not_send_changes_nothing(database, letter):
    person_id, bounce = letter
    forged = [Bounce(new_id(), bounce.address_id, "5.1.1"), Bounce(bounce.event_id, new_id(), "5.1.1")]

    async with database.transaction(OTHER_CITY) as session:
        assert not await record_bounce(session, OTHER_CITY, bounce, now=NOON)
    async with database.transaction(CITY) as session:
        assert not any([await record_bounce(session, CITY, one, now=NOON) for one in forged])

        assert await states(session) == [("sent", None)]
        assert not (await find_address(session, CITY, person_id)).refused
