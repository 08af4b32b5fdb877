"""What pushes carry besides words: a link, answers to tap, and a picture that everybody may see."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from db.base import new_id
from db.sessions import Database
from issues.languages import LOCALES, load_languages
from issues.lifecycle import OrderStatus
from issues.push_extras import PushExtras
from issues.taps import Act, Taps
from push.channels import AddressKind, Message, Platform
from tests.issues.people import CREW, change, plan
from tests.issues.photographs import photograph, upload
from tests.issues.towns import ESSAI, NOON, file, submission

TAPS = Taps(b"key")
LINK = "essai://signalement/{number}?de={report_id}"


@pytest.fixture
def extras(database):
    return PushExtras(
        database, load_languages([LOCALES]), TAPS, "https://jalon.example/", lambda: NOON, {ESSAI.jurisdiction_id: LINK}
    )


@pytest.fixture
async def filed(database, city):
    return await file(database, city, submission(ESSAI.middle))


def a_push(receipt, kind="resolved", *, author=True, locale="fr-CA"):
    report = {"report_id": str(receipt.report.id)} if author else {}
    params = {
        "issue_id": str(receipt.issue.id), "number": receipt.issue.number, "jurisdiction_id": ESSAI.jurisdiction_id,
        "locale": "fr-CA", **report,
    }  # fmt: skip
    return Message(
        address_kind=AddressKind.FID, address="phone", platform=Platform.ANDROID, title="Réglé", body="Réglé.",
        data={"kind": kind}, collapse_id=new_id(), ttl_s=60, expires_at=NOON + timedelta(days=1), params=params,
        locale=locale, city_id=receipt.issue.city_id, person_id=new_id(), recipient_id=new_id(),
    )  # fmt: skip


async def repair(owner, database, issue, *, state="ready"):
    """Have a crew do the work and show it; answers with the photo."""
    order = await plan(database, issue)
    photo_id = await upload(owner, uploader=CREW.sender, state=state)
    order = await change(database, order, status=OrderStatus.IN_PROGRESS, photo_ids=(photo_id,), actor=CREW)
    await change(database, order, status=OrderStatus.DONE, actor=CREW)
    return photo_id


async def test_a_tap_opens_the_citys_app_where_it_says_it_has_one(extras, filed):
    push = a_push(filed)

    assert (await extras.add(push)).link == f"essai://signalement/{filed.issue.number}?de={filed.report.id}"
    assert (await extras.add(a_push(filed, author=False))).link == f"essai://signalement/{filed.issue.number}?de="
    extras.links.clear()
    assert (await extras.add(push)).link is None


async def test_an_author_may_say_with_one_tap_whether_it_is_fixed(extras, filed):
    push = a_push(filed)

    added = await extras.add(push)

    assert [(action.code, action.label) for action in added.actions] == [("fixed", "Réglé"), ("not_fixed", "Pas réglé")]
    taps = [TAPS.read(action.url.removeprefix("https://jalon.example/t/"), now=NOON) for action in added.actions]
    assert [(tap.act, tap.subject, tap.person_id) for tap in taps] == [
        (act, push.collapse_id, push.person_id) for act in (Act.SAY_FIXED, Act.SAY_NOT_FIXED)
    ]
    assert added.app_data["not_fixed_url"] == added.actions[1].url
    assert [action.label for action in (await extras.add(a_push(filed, locale="en"))).actions] == ["Fixed", "Not fixed"]


async def test_nobody_else_is_asked_and_nobody_before(extras, filed):
    assert (await extras.add(a_push(filed, author=False))).actions == ()
    assert (await extras.add(a_push(filed, "scheduled"))).actions == ()


async def test_shows_the_first_photo_before_and_the_crews_last_after(owner, database, extras, filed):
    before = await photograph(owner, filed.report)
    await photograph(owner, filed.report)
    after = await repair(owner, database, filed.issue)

    shown = [(await extras.add(a_push(filed, kind))).image_url for kind in ("acknowledged", "resolved")]

    assert shown == [f"https://jalon.example/v1/photos/{photo_id}/small" for photo_id in (before, after)]


@pytest.mark.parametrize("hidden", ["private", "staff only", "not ready", "of somebody else", "taken back"])
async def test_shows_only_what_everybody_may_see(owner, database, extras, filed, hidden):
    state, uploader = "pending" if hidden == "not ready" else "ready", "device:x" if "else" in hidden else None
    await photograph(owner, filed.report, state=state, uploader=uploader)
    change_in = {
        "private": "UPDATE issue SET private = true",
        "staff only": 'UPDATE city SET settings = settings || \'{"photos": "staff"}\'',
        "taken back": "UPDATE report SET withdrawn_at = now()",
    }
    async with owner.transaction() as session:
        await session.execute(text(change_in.get(hidden, "SELECT 1")))

    assert (await extras.add(a_push(filed, "acknowledged"))).image_url is None


async def test_an_order_that_also_fixed_something_private_shows_nothing(owner, database, extras, city, filed):
    quiet = await file(database, city, submission(ESSAI.middle, service_code="bruit"))
    order = await plan(database, filed.issue, quiet.issue)
    photo_id = await upload(owner, uploader=CREW.sender)
    order = await change(database, order, status=OrderStatus.IN_PROGRESS, photo_ids=(photo_id,), actor=CREW)
    await change(database, order, status=OrderStatus.DONE, actor=CREW)

    assert (await extras.add(a_push(filed))).image_url is None


async def test_a_photo_is_looked_for_once_for_everybody_who_is_told(owner, extras, filed):
    push = a_push(filed, "acknowledged")
    await extras.add(push)
    await photograph(owner, filed.report)

    assert (await extras.add(replace(push, person_id=new_id()))).image_url is None
    assert (await extras.add(replace(push, collapse_id=new_id()))).image_url is not None


async def test_without_a_database_or_a_public_address_the_push_goes_out_without(extras, filed):
    push = a_push(filed)
    async with Database("postgresql://nobody@127.0.0.1:1/none") as gone:
        added = await replace(extras, database=gone).add(push)
    assert (added.image_url, len(added.actions)) == (None, 2)

    added = await replace(extras, public_url=None).add(push)
    assert (added.link is None, added.actions, added.image_url) == (False, (), None)


async def test_letters_have_the_link_alone_and_digests_stay_as_they_are(extras, filed):
    letter = replace(a_push(filed), address_kind=AddressKind.EMAIL)
    digest = replace(a_push(filed), params={"items": [], "count": 2})

    added = await extras.add(letter)

    assert added.link.startswith("essai://signalement/")
    assert [replace(added, link=None), await extras.add(digest)] == [letter, digest]
