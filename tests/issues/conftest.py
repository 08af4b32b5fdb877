"""A small town for tests that file reports."""

import pytest

from db.sessions import WORKING, Database
from tests.issues.people import AT_ONCE
from tests.issues.towns import open_town


@pytest.fixture
async def city(owner, database):
    """The town ESSAI, as a server that has loaded it sees it."""
    return await open_town(owner, database)


@pytest.fixture
async def crowd(app_url):
    """The test's database, for as many as AT_ONCE to talk to it at a time."""
    async with Database(app_url, pool_size=AT_ONCE, timeout_s=60, patience=WORKING) as database:
        yield database
