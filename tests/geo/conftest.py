"""Montréal as its pack describes it, for what has to hold on real ground."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from issues.packs.check import check_pack
from issues.packs.load import load_pack

CITIES = Path(__file__).parents[2] / "cities"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def montreal_pack():
    """Montréal's pack, checked."""
    pack = check_pack(CITIES / "montreal").pack
    assert pack is not None
    return pack


@pytest.fixture(scope="session")
def laval_pack():
    """Laval's pack, checked."""
    pack = check_pack(CITIES / "laval").pack
    assert pack is not None
    return pack


@pytest_asyncio.fixture
async def montreal(owner, montreal_pack):
    """The number of Montréal, loaded into the test's database."""
    async with owner.transaction() as session:
        return (await load_pack(session, montreal_pack, now=NOW)).city_id


@pytest_asyncio.fixture
async def laval(owner, laval_pack):
    """The number of Laval, loaded into the test's database."""
    async with owner.transaction() as session:
        return (await load_pack(session, laval_pack, now=NOW)).city_id
