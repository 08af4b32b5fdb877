"""What letters show: the place on a map, the photo that everybody may see, and what the city wrote."""

import re
from dataclasses import replace
from datetime import timedelta
from io import BytesIO

import pytest
from PIL import Image
from sqlalchemy import text

from db.base import new_id
from db.sessions import Database
from geo.minimap_picture import lines_of, paint_minimap
from issues.languages import LOCALES, load_languages
from issues.letter_enclosures import LetterEnclosures
from issues.letters import Letters
from issues.taps import Act, Taps
from media.store import open_store
from push.channels import AddressKind, Message, Platform
from push.smtp import EmailChannel, SmtpServer
from tests.issues.people import bring
from tests.issues.photographs import photograph
from tests.issues.towns import ESSAI, NOON, file, submission
from tests.push.mail_server import running_mail_server
from tests.push.people import Clock

WEBP = b"RIFF....WEBP"
GROUND, STREET, PIN = (242, 239, 233), (255, 255, 255), (200, 16, 46)


def pixels_of(png: bytes) -> Image.Image:
    return Image.open(BytesIO(png)).convert("RGB")


def is_like(colour, other) -> bool:
    return max(abs(one - two) for one, two in zip(colour, other, strict=True)) < 12


def test_streets_are_painted_where_they_are_and_a_pin_in_the_middle():
    picture = pixels_of(paint_minimap([("street", "primary", "M-240 100 l480 0"), ("edge", "", "M-200 -160 l0 320")]))

    assert picture.size == (480, 320)
    assert is_like(picture.getpixel((400, 260)), STREET)
    assert is_like(picture.getpixel((400, 240)), GROUND)
    assert is_like(picture.getpixel((40, 50)), (122, 81, 149))
    assert is_like(picture.getpixel((240, 145)), PIN)


def test_a_place_without_streets_is_a_pin_alone():
    assert is_like(pixels_of(paint_minimap([])).getpixel((240, 145)), PIN)


async def test_paths_are_read_as_the_database_writes_them(owner):
    async with owner.transaction() as session:
        path = await session.scalar(
            text("SELECT ST_AsSVG('MULTILINESTRING((0 0, 10.26 -5, 10 20), (-7 3, -8 3))'::geometry, 1, 1)")
        )

    assert [[(round(x, 1), round(y, 1)) for x, y in line] for line in lines_of(path)] == [
        [(0, 0), (10.3, 5), (10, -20)],
        [(-7, -3), (-8, -3)],
    ]


@pytest.fixture
def enclosures(database, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "small.webp").write_bytes(WEBP)
    return LetterEnclosures(database, open_store((tmp_path / "photos").as_uri()))


async def reported_with_photo(database, owner, city, *, state="ready", key="small.webp"):
    receipt = await file(database, city, submission(ESSAI.middle))
    photo_id = await photograph(owner, receipt.report, state=state)
    async with owner.transaction() as session:
        await session.execute(text("UPDATE photo SET small_key = :key WHERE id = :id"), {"key": key, "id": photo_id})
    return receipt.issue


async def find(enclosures, issue):
    return await enclosures.find(issue.city_id, issue.id, new_id(), fixed=False, now=NOON)


async def test_an_issue_is_shown_with_its_map_and_the_photo_for_everybody(database, owner, city, enclosures):
    found = await find(enclosures, await reported_with_photo(database, owner, city))

    assert pixels_of(found.minimap).size == (480, 320)
    assert found.photo == WEBP


@pytest.mark.parametrize("how", [{"state": "pending"}, {"key": "lost.webp"}])
async def test_a_photo_that_is_not_safe_yet_or_lost_is_left_out(database, owner, city, enclosures, how):
    found = await find(enclosures, await reported_with_photo(database, owner, city, **how))

    assert (found.photo, found.minimap[:4]) == (None, b"\x89PNG")


async def test_where_a_city_keeps_photos_to_itself_so_do_letters(database, owner, city, enclosures):
    issue = await reported_with_photo(database, owner, city)
    async with owner.transaction() as session:
        await session.execute(text("UPDATE city SET settings = settings - 'photos'"))

    assert (await find(enclosures, issue)).photo is None


async def test_of_a_private_issue_and_of_none_nothing_is_shown(database, owner, city, enclosures):
    issue = await reported_with_photo(database, owner, city)
    async with owner.transaction() as session:
        await session.execute(text("UPDATE issue SET private = true"))

    assert await find(enclosures, issue) is None
    assert await enclosures.find(issue.city_id, new_id(), new_id(), fixed=False, now=NOON) is None


async def test_a_letter_that_was_held_shows_nothing_that_has_become_private_since(database, owner, city, enclosures):
    issue, event_id = await reported_with_photo(database, owner, city), new_id()

    async def shows(now):
        return await enclosures.find(issue.city_id, issue.id, event_id, fixed=False, now=now) is not None

    before = await shows(NOON)
    async with owner.transaction() as session:
        await session.execute(text("UPDATE issue SET private = true"))

    kept_for = timedelta(minutes=1)
    assert (before, await shows(NOON + kept_for / 2), await shows(NOON + kept_for)) == (True, True, False)


async def test_while_the_database_is_away_letters_go_without(city, enclosures):
    async with Database("postgresql://jalon@127.0.0.1:1/none", pool_size=1, timeout_s=0.2) as away:
        assert (
            await LetterEnclosures(away, enclosures._store).find(city.id, new_id(), new_id(), fixed=False, now=NOON)
            is None
        )


async def test_a_letter_brings_its_pictures_along_and_its_html_names_them(database, owner, city, enclosures):
    issue = await reported_with_photo(database, owner, city)
    letters = Letters(load_languages([LOCALES]), Taps(b"key"), "https://jalon.example", lambda: NOON, enclosures)
    message = Message(
        address_kind=AddressKind.EMAIL, address="anna@example.org", platform=Platform.WEB, title="Réglé", body="Réglé.",
        data={"kind": "resolved"}, collapse_id=new_id(), ttl_s=60, expires_at=NOON + timedelta(days=1),
        params={"issue_id": str(issue.id)}, locale="fr-CA", city_id=city.id, person_id=new_id(), recipient_id=new_id(),
    )  # fmt: skip
    with running_mail_server() as server:
        channel = EmailChannel(
            SmtpServer.of(f"smtp://127.0.0.1:{server.port}"), sender="avis@essai.example", compose=letters.compose
        )
        await channel.send([message], Clock().window())

    [letter] = server.letters
    text_part, related = letter.iter_parts()
    html, *shown = related.iter_parts()
    assert (text_part.get_content_type(), related.get_content_type()) == ("text/plain", "multipart/related")
    assert [part.get_content_type() for part in shown] == ["image/png", "image/webp"]
    assert shown[1].get_content() == WEBP
    for part in shown:
        assert f'src="cid:{part["Content-ID"].strip("<>")}"' in html.get_content()
        assert part.get_content_disposition() == "inline"
    assert 'alt="Photo du problème"' in html.get_content()


@pytest.mark.parametrize("public", [True, False])
async def test_a_letter_says_what_the_city_wrote_to_residents_and_leads_to_the_report(
    database, city, enclosures, public
):
    receipt = await file(database, city, submission(ESSAI.middle))
    change = await bring(database, receipt.issue, "declined", note="Trop <petit>.\nVoir l’arrêté.", public=public)
    letters = Letters(load_languages([LOCALES]), Taps(b"key"), "https://jalon.example", lambda: NOON, enclosures)
    message = Message(
        address_kind=AddressKind.EMAIL, address="anna@example.org", platform=Platform.WEB, title="Non", body="Non.",
        data={"kind": "declined"}, collapse_id=change.event_id, ttl_s=60, expires_at=NOON + timedelta(days=1),
        params={"issue_id": str(receipt.issue.id)}, locale="fr-CA", city_id=city.id, person_id=new_id(),
        recipient_id=new_id(), link="https://essai.example/s?n=1&de=2",
    )  # fmt: skip

    letter = await letters.compose(message)

    assert ("La Ville écrit\u00a0:\n\n> Trop <petit>.\n> Voir l’arrêté." in letter.text) is public
    assert ("<blockquote>Trop &lt;petit&gt;.<br>Voir l’arrêté.</blockquote>" in letter.html) is public
    assert "Voir le signalement\nhttps://essai.example/s?n=1&de=2" in letter.text
    assert '<a href="https://essai.example/s?n=1&amp;de=2">Voir le signalement</a>' in letter.html
    alone = await letters.compose(replace(message, link=None))
    [token] = re.findall(r"Voir le signalement\nhttps://jalon.example/t/([\w-]+)", alone.text)
    assert (tap := Taps(b"key").read(token, now=NOON)).act is Act.READ_ISSUE
    assert tap.subject == receipt.issue.id
