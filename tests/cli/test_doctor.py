"""What the doctor says of settings, database, storage and pushes."""

import json
import os
import re

import psycopg

from db.cluster import WEB
from db.dumps import libpq_url
from media.decoders import Decoders

# One that died just now, and one that waits for an operator.
_PUSHES = """
WITH phone AS (
    INSERT INTO device (id, person_id, platform, locale, push_kind, push_address, refreshed_at, created_at)
    VALUES (gen_random_uuid(), gen_random_uuid(), 'android', 'fr-CA', 'fid', 'phone-1', now(), now())
    RETURNING id, person_id
), told AS (
    INSERT INTO notification (city_id, id, event_id, person_id, kind, params, created_at, expires_at)
    SELECT city.id, gen_random_uuid(), gen_random_uuid(), person_id, 'resolved', '{}', now(), now() + interval '1 day'
    FROM city, phone, generate_series(1, 2)
    RETURNING city_id, id
)
INSERT INTO delivery (city_id, id, notification_id, device_id, state, attempts, due_at, last_error)
SELECT city_id, gen_random_uuid(), told.id, phone.id, (ARRAY['dead', 'queued'])[row_number() OVER ()],
       1, now() + interval '5 minutes', 'SenderIdMismatchError'
FROM told, phone
"""


_TOPIC = """
INSERT INTO topic (city_id, id, name, locale, created_at)
VALUES (1, '01936f3e-7b1a-7c3e-9f00-3a2b1c4d5e70', 'essai.ca~fr', 'fr', now());
INSERT INTO topic_member (city_id, topic_id, address, person_id, state, due_at, last_error)
VALUES (1, '01936f3e-7b1a-7c3e-9f00-3a2b1c4d5e70', 'phone-1', gen_random_uuid(), 'joining', now(), 'UNAVAILABLE')
"""


def test_the_doctor_is_content_with_a_database_in_order(jalon, city):
    found = jalon("doctor", "--json")

    states = {finding["what"]: finding["state"] for finding in json.loads(found.out)}
    assert found.code == 0
    assert states == {
        "settings": "ok",
        "disk": "ok",
        "push": "look",
        "web push": "look",
        "e-mail": "look",
        "database": "ok",
        "roles": "ok",
        "clock": "ok",
        "migrations": "ok",
        "cities": "ok",
        "jobs": "ok",
        "pushes": "ok",
        "alerts": "ok",
        "storage": "ok",
        "photos": "ok",
    }


def test_the_doctor_says_what_pushes_wait_for_and_they_go_out_again_on_demand(jalon, city, owner_url):
    with psycopg.connect(libpq_url(owner_url)) as connection:
        connection.execute(_PUSHES)

    found = {finding["what"]: finding for finding in json.loads(jalon("doctor", "--json").out)}
    counted, none, sent = (
        jalon("push", "redrive", *options).out for options in (["--dry-run"], ["--channel", "webpush"], [])
    )

    assert found["pushes"]["state"] == "look"
    said = r"1 wait, the oldest .* 0 s; put off: 1 of essai.ca by fid until .* UTC \(SenderIdMismatchError\)"
    assert re.fullmatch(said, found["pushes"]["detail"])
    assert (counted, none, sent) == ("1 dead pushes\n", "0 pushes are queued again\n", "1 pushes are queued again\n")


def test_the_doctor_says_why_phones_are_not_in_their_topics_yet(jalon, city, owner_url):
    with psycopg.connect(libpq_url(owner_url)) as connection:
        connection.execute(_TOPIC)

    waiting = [finding["detail"] for finding in json.loads(jalon("doctor", "--json").out)]

    assert any("1 devices of city 1 have yet to join or leave topics (UNAVAILABLE)" in detail for detail in waiting)


def test_the_doctor_tells_all_that_is_wrong_at_once(command, monkeypatch, cluster, bare_database, tmp_path):
    (tmp_path / "fcm.json").write_text("{}")
    (tmp_path / "file").touch()
    monkeypatch.setenv("JALON_DATABASE_URL", cluster.url(WEB, bare_database))
    monkeypatch.setenv("JALON_FCM_CREDENTIALS", str(tmp_path / "fcm.json"))
    monkeypatch.setenv("JALON_STORAGE_URL", f"file://{tmp_path}/file/photos")
    monkeypatch.setenv("JALON_TYPO", "1")

    found = command("doctor", "--json")

    states = {finding["what"]: finding["state"] for finding in json.loads(found.out)}
    assert found.code == 1
    assert states["settings"] == "look"
    assert {what for what, state in states.items() if state == "wrong"} == {"push", "migrations", "storage"}


def test_the_doctor_says_that_a_database_does_not_answer(command, monkeypatch, tmp_path):
    monkeypatch.setenv("JALON_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("JALON_STORAGE_URL", f"file://{tmp_path}")

    found = command("doctor")

    assert found.code == 1
    assert "wrong\tdatabase\tthe database does not answer" in found.out
    assert "ok\tstorage\t" in found.out


def test_the_doctor_says_whose_the_folder_of_photos_is_where_root_asks(command, monkeypatch, tmp_path):
    monkeypatch.setenv("JALON_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("JALON_DATA_DIR", str(tmp_path))
    owner, told = (4711, " by root; it belongs to 4711\n") if os.geteuid() == 0 else (-1, "\n")
    os.chown(tmp_path, owner, -1)

    assert f"/photos can be written to{told}" in command("doctor").out


def test_the_doctor_says_that_the_decoder_of_photos_cannot_be_started(jalon, city, monkeypatch):
    async def denied(_decoders):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Decoders, "why_unconfined", denied)

    found = {each["what"]: each for each in json.loads(jalon("doctor", "--json").out)}

    assert found["photos"]["state"] == "wrong"
    assert found["photos"]["detail"] == "the program that decodes photos cannot be started (Permission denied)"
