"""Dead letters: what a provider would not take, given another life by an operator who has mended the reason."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection
from push.channels import AddressKind
from push.queueing import EXPIRES_AFTER

# A dead letter keeps the time at which its last lease would have ended: within a minute, when it died. Alerts say
# themselves when they are over, and one that was withdrawn must not come back: those that are over end as expired.
_DEAD = """
    SELECT delivery.id, delivery.notification_id FROM delivery
    LEFT JOIN device ON device.id = delivery.device_id
    LEFT JOIN email_address AS email ON email.city_id = %(city)s AND email.id = delivery.device_id
    LEFT JOIN topic ON topic.city_id = %(city)s AND topic.id = delivery.device_id
    WHERE delivery.city_id = %(city)s AND state = 'dead' AND due_at >= %(since)s
      AND CASE WHEN email.id IS NOT NULL THEN 'email' WHEN topic.id IS NOT NULL THEN 'topic' ELSE push_kind END
          = ANY(%(kinds)s)
"""
_REVIVE = f"""
WITH dead AS ({_DEAD} FOR UPDATE OF delivery), prolonged AS (
    UPDATE notification SET expires_at = greatest(expires_at, %(expires)s)
    WHERE city_id = %(city)s AND kind <> 'alert' AND id IN (SELECT notification_id FROM dead)
)
UPDATE delivery SET state = 'queued', due_at = %(now)s, lease = NULL, failures = 0, unanswered = 0
WHERE city_id = %(city)s AND id IN (SELECT id FROM dead)
"""  # noqa: S608 - of constants alone


async def redrive(
    session: AsyncSession,
    city_id: int,
    *,
    kinds: Collection[AddressKind],
    younger_than: timedelta,
    now: datetime,
    dry_run: bool = False,
) -> int:
    """Queue a city's dead letters again, with all their tries, for the devices that still have an address.

    Args:
        session: Open transaction of the city; committed by the caller.
        city_id: The city.
        kinds: Only those whose device is reached so, now.
        younger_than: Only those that died within this time. Older news may have been overtaken.
        now: From now on they are due, and for a day they are worth sending; alerts until they are over.
        dry_run: Only count.

    Returns:
        How many there are.
    """
    connection = await driver_connection(session)
    chosen = {"city": city_id, "kinds": [str(kind) for kind in kinds], "since": now - younger_than}
    if dry_run:
        found = await connection.execute(_DEAD, chosen)
    else:
        found = await connection.execute(_REVIVE, {**chosen, "now": now, "expires": now + EXPIRES_AFTER})
    return found.rowcount
