"""A small town for tests that file reports."""

from datetime import timedelta

import pytest

from db.sessions import WORKING, Database
from issues.events import list_history
from issues.merging import merge_issues
from tests.issues.people import AGENT, AT_ONCE
from tests.issues.towns import NOON, open_town


@pytest.fixture
async def city(owner, database):
    """The town ESSAI, as a server that has loaded it sees it."""
    return await open_town(owner, database)


@pytest.fixture
async def crowd(app_url):
    """The test's database, for as many as AT_ONCE to talk to it at a time."""
    async with Database(app_url, pool_size=AT_ONCE, timeout_s=60, patience=WORKING) as database:
        yield database


@pytest.fixture
def merge(database, city):
    """Merge issues into a survivor, an hour after noon."""

    async def merge(survivor, *others, actor=AGENT, now=NOON + timedelta(hours=1), **more):
        async with database.transaction(city.id) as session:
            ids = [other.id for other in others]
            return await merge_issues(session, city.id, survivor.id, ids, actor=actor, now=now, **more)

    return merge


@pytest.fixture
def history(database, city):
    """Read the history of an issue, as staff read it or as everybody does."""

    async def history(issue, *, staff=True):
        async with database.transaction(city.id) as session:
            page = await list_history(session, city.id, issue.id, staff=staff, limit=50)
        return page.items

    return history
