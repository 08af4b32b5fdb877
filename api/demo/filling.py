"""What stands in the demo before its story begins: cities, staff, and a month of reports."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from api.demo.background import file_background, published_spots, street_spots
from api.demo.place import BESIDE, CREW, HOME, PACKS, SAMPLES
from api.demo.processes import DemoFailed
from api.demo.progress import Advance, step
from api.settings import Settings
from db.cluster import Cluster
from db.private_files import write_private
from db.sessions import Database
from geo.base_map import make_base_map
from issues.actors import SYSTEM, Actor, Role
from issues.city import CityBook, load_cities
from issues.packs.check import check_pack
from issues.packs.city_sheet import LimitsSheet
from issues.packs.load import load_pack
from issues.staff import add_staff, list_staff
from media.store import open_store

_GENEROUS = LimitsSheet(device_reports_per_hour=10_000, device_photos_per_day=10_000, address_reports_per_hour=100_000)
_ROLES = (Role.AGENT, Role.CREW, Role.MANAGER, Role.ADMIN)


async def fill(cluster: Cluster, settings: Settings, console: Console, *, tokens: Path) -> None:
    """Load the cities, add one of the staff of each role, and file the reports of the last month, where they lack.

    Args:
        cluster: Where to.
        settings: Say where photos go.
        console: Told of each step.
        tokens: File for the tokens of the staff; only its owner can read it.

    Raises:
        DemoFailed: a pack has errors.
    """
    async with Database(cluster.owner_url, role=None) as owner:
        for folder in PACKS:
            with step(console, f"Loading the city pack {folder.name}") as advance:
                await _load(owner, folder, advance)
    async with Database(cluster.app_url) as database:
        async with database.transaction() as session:
            cities = await load_cities(session)
            home, beside = cities.by_jurisdiction(HOME), cities.by_jurisdiction(BESIDE)
            if home is None or beside is None:
                raise DemoFailed(f"{HOME} or {BESIDE} is not there after loading it")
            on_streets = await street_spots(session, beside)
        agent = await _staff(database, home, tokens)
        published = published_spots(SAMPLES / "requests-311.csv", home)
        store, now, photos = open_store(settings.photos_url), datetime.now(UTC), SAMPLES / "photos"
        for city, spots, actor in ((home, published, agent), (beside, on_streets, SYSTEM)):
            with step(console, f"Filing the last month's reports of {city.jurisdiction_id}") as advance:
                await file_background(database, store, city, spots, photos, agent=actor, now=now, advance=advance)


async def _load(owner: Database, folder: Path, advance: Advance) -> None:
    report = check_pack(folder)
    if report.pack is None:
        raise DemoFailed(f"the pack in {folder} has errors; jalon city check lists them")
    # Whoever tries things out sends more than a resident does, and all from one address.
    pack = replace(report.pack, city=report.pack.city.model_copy(update={"limits": _GENEROUS}))
    async with owner.transaction() as session:
        loaded = await load_pack(
            session, pack, now=datetime.now(UTC), progress=lambda _step, done, of: advance(done, of)
        )
    if loaded.changed:
        async with owner.transaction() as session:
            await make_base_map(session, loaded.city_id, on=datetime.now(UTC).date(), progress=advance)


async def _staff(database: Database, city: CityBook, kept: Path) -> Actor:
    """Add the demo's staff, one of each role, and keep their tokens, unless that was done; answers the agent."""
    async with database.transaction(city.id) as session:
        there = await list_staff(session, city.id)
        if not there or not kept.exists():  # noqa: ASYNC240 - nothing else runs yet
            tokens = {}
            for role in _ROLES:
                crew = CREW if role is Role.CREW else None
                added = await add_staff(
                    session, city.id, name=f"Demo {role}", role=role, crew_code=crew, now=datetime.now(UTC)
                )
                tokens[role.value] = added.secret
            there = await list_staff(session, city.id)
            write_private(kept, json.dumps(tokens, indent=2))
    return next(person for person in there if person.role is Role.AGENT).actor
