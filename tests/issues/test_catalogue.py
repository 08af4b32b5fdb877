"""Catalogues at hand: read once, and anew where a pack was loaded."""

from sqlalchemy import text

from issues.catalogue import KnownCatalogues
from tests.issues.towns import change_service


async def test_a_catalogue_is_read_anew_once_its_city_has_another_pack(owner, database, city):
    known = KnownCatalogues()

    async def offers_potholes():
        async with database.transaction() as session:
            return (await known.find(session, city.id)).services["nid-de-poule"].offered

    async def load_another_pack():
        await change_service(owner, database, city, "nid-de-poule", offered=False)
        seen_before = await offers_potholes()
        async with owner.transaction() as session:
            await session.execute(text("UPDATE city SET version = version + 1"))
        return seen_before

    assert [await offers_potholes(), await load_another_pack(), await offers_potholes()] == [True, True, False]
