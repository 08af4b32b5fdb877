"""Bounces that come later: what a mail server writes back once it could not deliver a letter (RFC 3464).

Whoever can write mail can write such a report. So it counts only for a letter that it names by both halves of its
Message-ID, the event and the address as it is known here: the latter stands in nothing else that leaves the house.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import default
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection
from push.channels import AddressKind
from push.emails import refuse_addresses
from push.outcomes import count_outcomes

BOUNCED: Final = "bounced"
"""Outcome of a letter that was handed in and came back."""

_LETTER: Final = re.compile(r"<([0-9a-f-]{36})\.([0-9a-f-]{36})@[^<>\s]+>")
_STATUS: Final = re.compile(r"\s*(\d\.\d{1,3}\.\d{1,3})")
# RFC 3463: what is wrong with the address itself; and a mailbox that is there but takes no letters any more.
_NO_SUCH_ADDRESS: Final = ("5.1.", "5.2.1")


@dataclass(frozen=True, slots=True)
class Bounce:
    """A letter that came back for good.

    Attributes:
        event_id: What it told of.
        address_id: Of the address it went to.
        status: Why, as RFC 3463 numbers it, such as ``5.1.1``.
    """

    event_id: UUID
    address_id: UUID
    status: str

    @property
    def address_is_gone(self) -> bool:
        """Whether no other letter would arrive there either."""
        return self.status.startswith(_NO_SUCH_ADDRESS[0]) or self.status == _NO_SUCH_ADDRESS[1]


def read_bounce(mail: bytes) -> Bounce | None:
    """Read what a mail server wrote; None where it is no report of a failure, or of no letter of ours.

    A letter that is only late, and one that a server passed on to one that sends no reports, have not failed.
    """
    message = message_from_bytes(mail, policy=default)
    if message.get_content_type() != "multipart/report":
        return None
    status = next(_failures(message), None)
    letter = next(_letters(message), None)
    if status is None or letter is None:
        return None
    try:
        return Bounce(UUID(letter[1]), UUID(letter[2]), status)
    except ValueError:
        return None


def _failures(report: Message) -> Iterator[str]:
    """Find why it failed; a letter of ours is to one address, so one is enough."""
    for part in report.walk():
        if part.get_content_type() == "message/delivery-status" and part.is_multipart():
            for fields in part.get_payload():
                assert isinstance(fields, Message)  # noqa: S101 - the parser makes a message of each group of fields
                status = _STATUS.match(str(fields.get("Status", "")))
                if str(fields.get("Action", "")).strip().lower() == "failed" and status and status[1][0] == "5":
                    yield status[1]


def _letters(report: Message) -> Iterator[re.Match[str]]:
    """Find the name of the letter in what the report gives back of it: all of it, or its headers alone."""
    for part in report.walk():
        given = ""
        if part.get_content_type() == "text/rfc822-headers":
            assert isinstance(part, EmailMessage)  # noqa: S101 - as the policy makes them
            given = str(part.get_content())
        elif part.get_content_type() == "message/rfc822" and part.is_multipart():
            letter = part.get_payload(0)
            assert isinstance(letter, Message)  # noqa: S101 - the parser makes a message of it
            given = f"Message-ID: {letter['Message-ID']}"
        for line in given.splitlines():
            if line.lower().startswith("message-id:") and (found := _LETTER.search(line)):
                yield found


async def record_bounce(session: AsyncSession, city_id: int, bounce: Bounce, *, now: datetime) -> bool:
    """Note that a letter came back, and that its address is gone where that is why; nothing is sent there any more.

    Args:
        session: Open transaction of the city; committed by the caller.
        city_id: The city. The report does not name it, so the caller asks each.
        bounce: What came.
        now: The time.

    Returns:
        Whether the city sent that letter; not where it had come back before, or its person has another address by now.
    """
    connection = await driver_connection(session)
    sent = await connection.execute(
        """
        UPDATE delivery SET state = %(state)s, last_error = %(error)s
        FROM email_address JOIN notification USING (city_id, person_id)
        WHERE email_address.city_id = %(city)s AND email_address.id = %(address)s AND event_id = %(event)s
          AND delivery.city_id = %(city)s AND notification_id = notification.id AND device_id = %(address)s
          AND delivery.state = 'sent'
        """,
        {
            "city": city_id,
            "event": bounce.event_id,
            "address": bounce.address_id,
            "state": "forgotten" if bounce.address_is_gone else "dead",
            "error": f"bounced: {bounce.status}",
        },
    )
    if sent.rowcount == 0:
        return False
    if bounce.address_is_gone:
        await refuse_addresses(session, city_id, [bounce.address_id], now=now)
    await count_outcomes(session, city_id, {(str(AddressKind.EMAIL), BOUNCED): sent.rowcount})
    return True
