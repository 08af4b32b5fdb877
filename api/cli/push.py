"""`jalon push`: what became of pushes, and another try for those that died."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer

from api.cli.output import say

app = typer.Typer(help="Pushes to phones and browsers, and e-mails.", no_args_is_help=True)


class ChannelName(StrEnum):
    """A channel as operators know it."""

    FCM = "fcm"
    WEBPUSH = "webpush"
    UNIFIEDPUSH = "unifiedpush"
    EMAIL = "email"


# A report of a failure is some kilobytes, and gives at most the letter back.
_MOST_BYTES = 10_000_000


@app.command()
def bounce() -> None:
    """Read what a mail server wrote back (a bounce) from standard input, as a mail server's alias pipes it.

    The letter counts as not delivered from then on, and an address that is gone gets no more. Anything else is let be.
    """
    from api.cli.reach import as_app, reached_database
    from api.settings import Settings
    from db.sessions import Database
    from geo.cities import list_city_ids
    from push.bounces import read_bounce, record_bounce

    bounced = read_bounce(sys.stdin.buffer.read(_MOST_BYTES))
    if bounced is None:
        say("no letter that failed")
        return

    async def record(database: Database) -> bool:
        async with database.transaction() as session:
            cities = await list_city_ids(session)
        for city_id in cities:
            async with database.transaction(city_id) as session:
                if await record_bounce(session, city_id, bounced, now=datetime.now(UTC)):
                    return True
        return False

    with reached_database(Settings()) as reached:
        known = asyncio.run(as_app(reached, record))
    gone = ", and its address is gone" if bounced.address_is_gone else ""
    say(f"a letter came back ({bounced.status}){gone}" if known else "no letter that was sent from here")


@app.command()
def redrive(
    channel: Annotated[ChannelName | None, typer.Option(help="Only pushes by this channel.")] = None,
    hours: Annotated[float, typer.Option(min=0, max=8760, help="Only those that died within so many hours.")] = 24.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count them.")] = False,
) -> None:
    """Send dead letters again: pushes that a provider would not take, once the reason is mended."""
    from api.cli.reach import as_app, reached_database
    from api.settings import Settings
    from db.sessions import Database
    from geo.cities import list_city_ids
    from push.channels import AddressKind
    from push.redrive import redrive as redrive_city

    kinds = {
        None: list(AddressKind),
        ChannelName.FCM: [AddressKind.FID, AddressKind.TOKEN, AddressKind.TOPIC],
        ChannelName.WEBPUSH: [AddressKind.WEBPUSH],
        ChannelName.UNIFIEDPUSH: [AddressKind.UNIFIEDPUSH],
        ChannelName.EMAIL: [AddressKind.EMAIL],
    }[channel]

    async def redrive_all(database: Database) -> int:
        async with database.transaction() as session:
            cities = await list_city_ids(session)
        found = 0
        for city_id in cities:
            async with database.transaction(city_id) as session:
                found += await redrive_city(
                    session,
                    city_id,
                    kinds=kinds,
                    younger_than=timedelta(hours=hours),
                    now=datetime.now(UTC),
                    dry_run=dry_run,
                )
        return found

    with reached_database(Settings()) as reached:
        found = asyncio.run(as_app(reached, redrive_all))
    say(f"{found} dead pushes" if dry_run else f"{found} pushes are queued again")
