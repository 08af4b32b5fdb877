"""A small town for tests that file reports."""

import pytest

from tests.issues.towns import open_town


@pytest.fixture
async def city(owner, database):
    """The town ESSAI, as a server that has loaded it sees it."""
    return await open_town(owner, database)
