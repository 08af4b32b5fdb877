"""What loading would change is told before it does, and is what it then does."""

from __future__ import annotations

from datetime import UTC, datetime

from issues.packs.compare import compare_pack
from issues.packs.load import load_pack
from tests.issues.packs.small_pack import WEST_SIDE, district, geojson, sound

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


async def compared(owner, folder):
    async with owner.transaction() as session:
        return await compare_pack(session, sound(folder))


async def load(owner, folder):
    async with owner.transaction() as session:
        await load_pack(session, sound(folder), now=NOW)


def changes(difference):
    return {change.what: change for change in difference.changes if change.is_one}


async def test_of_a_new_city_everything_is_new(owner, folder):
    difference = await compared(owner, folder)

    assert (difference.is_new, difference.is_same) == (True, False)
    told = changes(difference)
    assert told["services"].added == ["chaussee", "graffiti", "nid-de-poule"]
    assert told["districts of secteurs"].added == ["est", "ouest"]
    assert (told["addresses"].before, told["addresses"].after) == (0, 2)


async def test_of_a_loaded_pack_nothing_is(owner, folder):
    await load(owner, folder)

    difference = await compared(owner, folder)

    assert (difference.is_new, difference.is_same, changes(difference)) == (False, True, {})


async def test_a_note_in_a_sheet_changes_nothing_that_is_told(owner, folder):
    await load(owner, folder)
    (folder / "services.yml").write_text((folder / "services.yml").read_text() + "# noted\n")

    difference = await compared(owner, folder)

    assert (difference.is_same, changes(difference)) == (False, {})


async def test_what_comes_goes_and_moves_is_told_by_its_code(owner, folder, spoil):
    await load(owner, folder)
    spoil("services.yml", "code: graffiti", "code: affichage")
    spoil("services.yml", "en: Pothole", "en: Hole")
    spoil("departments.yml", "{fr: Centre 311, en: 311 centre}", "{fr: Centre 311, en: Call centre}")
    spoil("departments.yml", "code: voirie-2", "code: voirie-3")
    spoil("routes.csv", "voirie-2", "voirie-3")
    moved = district("ouest", -73.70, -73.651)
    (folder / "secteurs.geojson").write_text(geojson(moved, district("nord", -73.651, -73.60)))
    spoil("routes.csv", "secteurs:est", "secteurs:nord")
    (folder / "adresses.csv").write_text("numero,rue,lat,lon\n1,Rue A,45.51,-73.66\n")

    told = changes(await compared(owner, folder))

    services, districts = told["services"], told["districts of secteurs"]
    assert (services.added, services.removed, services.changed) == (["affichage"], ["graffiti"], ["nid-de-poule"])
    assert (districts.added, districts.removed) == (["nord"], ["est"])
    assert districts.changed == ["ouest (434140 m2 change hands)"]
    assert told["departments"].changed == ["centre-311"]
    assert (told["crews"].added, told["crews"].removed) == (["voirie-3"], ["voirie-2"])
    assert (told["addresses"].before, told["addresses"].after) == (2, 1)
    assert told.keys() == {"services", "departments", "crews", "districts of secteurs", "addresses"}


async def test_a_layer_that_goes_is_told(owner, folder, spoil):
    await load(owner, folder)
    spoil("city.yml", "  - code: secteurs", "  - code: zones")
    spoil("city.yml", "responsible_layer: secteurs", "responsible_layer: zones")
    spoil("routes.csv", "secteurs:est", "est")

    told = changes(await compared(owner, folder))

    assert told["districts of secteurs"].removed == ["est", "ouest"]
    assert told["districts of zones"].added == ["est", "ouest"]
    assert WEST_SIDE[1]["code"] == "ouest"
