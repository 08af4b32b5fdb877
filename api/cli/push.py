"""`jalon push`: what became of pushes, and another try for those that died."""

import asyncio
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


@app.callback()
def push() -> None:
    """Keep `redrive` a command of its own name while it is the only one."""


@app.command()
def redrive(
    channel: Annotated[ChannelName | None, typer.Option(help="Only pushes by this channel.")] = None,
    hours: Annotated[float, typer.Option(min=0, help="Only those that died within so many hours.")] = 24.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count them.")] = False,
) -> None:
    """Send dead letters again: pushes that a provider would not take, once the reason is mended."""
    from sqlalchemy import select

    from api.cli.reach import as_app, reached_database
    from api.settings import Settings
    from db.sessions import Database
    from geo.cities import City
    from push.channels import AddressKind
    from push.redrive import redrive as redrive_city

    kinds = {
        None: list(AddressKind),
        ChannelName.FCM: [AddressKind.FID, AddressKind.TOKEN],
        ChannelName.WEBPUSH: [AddressKind.WEBPUSH],
        ChannelName.UNIFIEDPUSH: [AddressKind.UNIFIEDPUSH],
        ChannelName.EMAIL: [AddressKind.EMAIL],
    }[channel]

    async def redrive_all(database: Database) -> int:
        async with database.transaction() as session:
            cities = (await session.scalars(select(City.id).order_by(City.id))).all()
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
