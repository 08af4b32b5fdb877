"""The command line does what it says, and ends in one line where it cannot."""

import io
import json
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from api.cli.reach import Reached, check_fit_to_serve
from api.cli.refusals import CommandRefused
from db.cluster import OWNER, SUPERUSER, WEB
from db.credentials import hash_secret
from db.dumps import libpq_url
from db.tenancy import PrivilegedRole
from tests.cli.running import Outcome

_ROOT = Path(__file__).parents[2]
_CITY = """
INSERT INTO city (jurisdiction_id, names, timezone, locale, outline, settings, pack_sha256, version, loaded_at)
VALUES ('essai.ca', '{"fr": "Essai"}', 'America/Toronto', 'fr-CA',
        ST_GeomFromText('MULTIPOLYGON(((-73 45, -72 45, -72 46, -73 45)))', 4326), '{}', '', 1, now())
"""

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

# A letter that was handed in, and what its server wrote back.
_LETTER = """
WITH address AS (
    INSERT INTO email_address (city_id, id, person_id, address, locale, asked_at, verified_at)
    SELECT id, '01936f3e-7b1a-7c3e-9f00-3a2b1c4d5e70', gen_random_uuid(), 'anna@example.org', 'fr-CA', now(), now()
    FROM city RETURNING city_id, id, person_id
), told AS (
    INSERT INTO notification (city_id, id, event_id, person_id, kind, params, created_at, expires_at)
    SELECT city_id, gen_random_uuid(), '01936f3e-7b1a-7c3e-9f00-3a2b1c4d5e6f', person_id, 'resolved', '{}', now(),
           now() + interval '1 day'
    FROM address RETURNING city_id, id
)
INSERT INTO delivery (city_id, id, notification_id, device_id, state, attempts, due_at)
SELECT told.city_id, gen_random_uuid(), told.id, address.id, 'sent', 1, now() FROM told, address
"""
_BOUNCE = b"""\
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; anna@example.org
Action: failed
Status: 5.1.1

--b
Content-Type: text/rfc822-headers

Message-ID: <01936f3e-7b1a-7c3e-9f00-3a2b1c4d5e6f.01936f3e-7b1a-7c3e-9f00-3a2b1c4d5e70@essai.example>

--b--
"""


@pytest.fixture
def city(owner_url):
    """A city of the test's database, without anything in it."""
    with psycopg.connect(libpq_url(owner_url)) as connection:
        connection.execute(_CITY)
    return "essai.ca"


@pytest.fixture
def bare_database(cluster, database_name):
    """Name of a database without a table."""
    name = f"{database_name}_bare"
    cluster.create_database(name)
    yield name
    cluster.drop_database(name)


def test_help_does_not_wait_for_what_only_commands_need():
    loaded = subprocess.run(
        [sys.executable, "-c", "import api.cli, sys; print(*sys.modules)"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert "typer" in loaded
    assert not {"sqlalchemy", "fastapi", "pydantic", "shapely", "uvicorn", "rich.table"} & set(loaded)


def test_migrations_run_once(command, monkeypatch, cluster, bare_database):
    monkeypatch.setenv("JALON_DATABASE_URL", cluster.url(OWNER, bare_database))

    first, second = command("db", "migrate"), command("db", "migrate")

    assert first == Outcome(0, "The database is now at the newest migration\n", "Migrating ...\n")
    assert second == Outcome(0, "Nothing to do\n", "")


def test_a_database_of_ones_own_is_not_migrated_unasked(command, monkeypatch, cluster, bare_database):
    monkeypatch.setenv("JALON_DATABASE_URL", cluster.url(WEB, bare_database))

    refused = command("serve")

    assert refused.code == 1
    assert "stands at migration none" in refused.err
    assert "jalon db migrate" in refused.err


@pytest.mark.parametrize(("role", "why"), [(SUPERUSER, "superuser"), (OWNER, "owner")])
async def test_neither_server_nor_worker_starts_with_a_role_that_sees_all_cities(cluster, database_name, role, why):
    reached = Reached(cluster.url(role, database_name), "", None)

    with pytest.raises(PrivilegedRole) as refusal:
        await check_fit_to_serve(reached)

    assert (refusal.value.role, refusal.value.why) == (role, why)


@pytest.mark.parametrize("process", ["serve", "work"])
def test_the_refusal_of_a_role_is_one_line_that_says_what_to_do(command, monkeypatch, owner_url, process):
    monkeypatch.setenv("JALON_DATABASE_URL", owner_url)

    refused = command(process)

    assert refused.code == 1
    assert refused.err.count("\n") == 1
    assert "jalon_owner owns the tables" in refused.err
    assert "JALON_DATABASE_URL" in refused.err


async def test_a_login_that_may_not_take_the_servers_role_is_told_how(cluster, database_name):
    with cluster.connect() as connection:
        connection.execute("DROP ROLE IF EXISTS stranger")
        connection.execute("CREATE ROLE stranger LOGIN PASSWORD 'stranger'")
        connection.execute(f"GRANT CONNECT ON DATABASE {database_name} TO stranger")
    there = cluster.url(WEB, database_name).replace(f"{WEB}:{cluster.passwords[WEB]}", "stranger:stranger")

    with pytest.raises(CommandRefused, match="GRANT jalon_app TO stranger"):
        await check_fit_to_serve(Reached(there, "", None))


async def test_a_database_that_is_behind_is_refused(owner, app_url):
    async with owner.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")

    with pytest.raises(CommandRefused, match="0000"):
        await check_fit_to_serve(Reached(app_url, "", None))


def test_a_database_that_is_not_there_is_one_line(command, monkeypatch):
    monkeypatch.setenv("JALON_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")

    refused = command("staff", "list")

    assert refused.code == 1
    assert refused.err.startswith("jalon: the database does not answer (")
    assert refused.err.count("\n") == 1


def test_a_setting_that_cannot_be_is_one_line(command, monkeypatch):
    monkeypatch.setenv("JALON_WORKERS", "many")

    assert command("config", "show").err.startswith("jalon: JALON_WORKERS: ")


def test_settings_are_shown_with_their_source_and_without_secrets(command, monkeypatch):
    monkeypatch.setenv("JALON_DATABASE_URL", "postgresql://web:hush@db/jalon")
    monkeypatch.setenv("JALON_PROT", "1")

    shown = command("config", "show")

    assert "JALON_DATABASE_URL\tpostgresql://web:***@db/jalon\tJALON_DATABASE_URL\t" in shown.out
    assert "hush" not in shown.out
    assert "JALON_PROT" in shown.err


def test_the_url_and_psql_reach_the_database(jalon, app_url, owner_url):
    assert jalon("db", "url").out == libpq_url(owner_url) + "\n"
    assert jalon("db", "url", "--as", "web").out == libpq_url(app_url) + "\n"

    asked = jalon("db", "psql", "--as", "web", "--", "-qtAc", "SELECT session_user")
    assert asked == Outcome(0, "jalon_web\n", "")
    assert jalon("db", "psql", "--", "-c", "SELECT nothing").code == 1


def test_a_backup_is_restored_only_where_nothing_is_or_by_force(jalon, city, owner_url, tmp_path):
    backup = str(tmp_path / "backup")
    assert jalon("db", "backup", backup).code == 0
    again = jalon("db", "backup", backup)
    assert (again.code, again.out, "--force" in again.err) == (1, "", True)
    nowhere = jalon("db", "backup", str(tmp_path / "nowhere" / "backup"))
    assert (nowhere.code, "cannot be written (No such file or directory)" in nowhere.err) == (1, True)
    with psycopg.connect(libpq_url(owner_url)) as connection:
        connection.execute("DELETE FROM city")

    refused = jalon("db", "restore", backup)
    assert (refused.code, "--force" in refused.err) == (1, True)
    assert jalon("city", "list").out == ""

    assert jalon("db", "restore", backup, "--force").code == 0
    assert jalon("city", "list").out.startswith(f"{city}\tEssai\t")


def test_an_export_replaces_a_file_only_by_force_and_says_what_it_can_write(jalon, city, tmp_path):
    file = str(tmp_path / "requetes.csv")
    assert jalon("export", file).out == f"{file}: 0 issues\n"

    again, other = jalon("export", file), jalon("export", str(tmp_path / "requetes.doc"))

    assert (again.code, "--force" in again.err) == (1, True)
    assert jalon("export", file, "--force", "--city", city).code == 0
    assert (other.code, ".gpkg, .geojson, .csv, .fgb" in other.err) == (1, True)


def test_staff_are_known_by_a_token_that_is_shown_once(jalon, city, owner_url):
    added = json.loads(jalon("staff", "add", "Ana", "--role", "agent", "--json").out)

    with psycopg.connect(libpq_url(owner_url)) as connection:
        subject = connection.execute("SELECT subject FROM credential WHERE hash = %s", [hash_secret(added["token"])])
        assert [str(row[0]) for row in subject] == [added["id"]]
    assert added["token"] not in jalon("staff", "list", "--json").out
    assert jalon("staff", "list").out == f"{added['id']}\tAna\tagent\t-\t-\n"


def test_without_json_the_answer_is_the_token_alone(jalon, city):
    added = jalon("staff", "add", "Ana", "--role", "agent", "--city", city)

    assert len(added.out.split()) == 1
    assert added.out.strip() not in added.err


def test_staff_who_left_are_listed_and_no_longer_known(jalon, city, owner_url):
    added = json.loads(jalon("staff", "add", "Ana", "--role", "admin", "--json").out)

    assert jalon("staff", "revoke", added["id"]).code == 0

    with psycopg.connect(libpq_url(owner_url)) as connection:
        assert connection.execute("SELECT count(*) FROM credential").fetchone() == (0,)
    assert jalon("staff", "list").out.startswith(f"{added['id']}\tAna\tadmin\t-\t20")
    assert "works for this city" in jalon("staff", "revoke", added["id"]).err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["add", "Ana", "--role", "crew"], "needs --crew"),
        (["add", "Ana", "--role", "crew", "--crew", "none-1"], "no crew none-1"),
        (["add", "Ana", "--role", "agent", "--crew", "none-1"], "takes no --crew"),
        (["list", "--city", "ailleurs.ca"], "essai.ca"),
    ],
)
def test_what_cannot_be_about_staff_is_told(jalon, city, arguments, told):
    refused = jalon("staff", *arguments)

    assert refused.code == 1
    assert told in refused.err
    assert refused.err.count("\n") == 1


def test_the_queue_is_shown_and_dead_jobs_are_given_another_try(jalon, owner_url):
    assert jalon("jobs") == Outcome(0, "", "No jobs.\n")
    with psycopg.connect(libpq_url(owner_url)) as connection:
        connection.execute(
            "INSERT INTO pgqueuer (priority, status, entrypoint, payload, attempts) VALUES"
            " (0, 'queued', 'push.tell', '{}', 0), (0, 'failed', 'media.make_safe', '{}', 7)"
        )
        connection.execute(
            "INSERT INTO pgqueuer_log (job_id, status, priority, entrypoint, traceback) SELECT id, status, 0, '', "
            """'{"exception_type": "OSError", "exception_message": "no space"}' FROM pgqueuer WHERE status = 'failed'"""
        )

    counts = jalon("jobs").out.splitlines()
    assert [line.split("\t")[:3] for line in counts[:2]] == [
        ["media.make_safe", "dead", "1"],
        ["push.tell", "waiting", "1"],
    ]
    assert counts[2].endswith("\tOSError: no space")
    [dead] = json.loads(jalon("jobs", "--json").out)["dead"]
    assert (dead["kind"], dead["tries"]) == ("media.make_safe", 8)

    assert "or say --all" in jalon("jobs", "retry").err
    assert jalon("jobs", "retry", "--all").out == "1 jobs wait again\n"
    assert json.loads(jalon("jobs", "--json").out)["dead"] == []


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
        "storage": "ok",
        "photos": "ok",
    }


def test_the_doctor_says_what_pushes_wait_for_and_they_go_out_again_on_demand(jalon, city, owner_url):
    with psycopg.connect(libpq_url(owner_url)) as connection:
        connection.execute(_PUSHES)

    waiting = [finding["detail"] for finding in json.loads(jalon("doctor", "--json").out)]
    counted, none, sent = (
        jalon("push", "redrive", *options).out for options in (["--dry-run"], ["--channel", "webpush"], [])
    )

    assert any("are put off (SenderIdMismatchError)" in detail for detail in waiting)
    assert (counted, none, sent) == ("1 dead pushes\n", "0 pushes are queued again\n", "1 pushes are queued again\n")


def test_a_bounce_is_read_from_standard_input_and_anything_else_let_be(jalon, city, owner_url, monkeypatch):
    with psycopg.connect(libpq_url(owner_url)) as connection:
        connection.execute(_LETTER)

    def bounce(mail: bytes) -> str:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(mail)))
        return str(jalon("push", "bounce").out)

    said = [bounce(mail) for mail in (_BOUNCE, _BOUNCE, b"Subject: Absence\r\n\r\n")]

    assert said == [
        "a letter came back (5.1.1), and its address is gone\n",
        "no letter that was sent from here\n",
        "no letter that failed\n",
    ]


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


def test_a_pack_that_cannot_be_loaded_shows_all_its_problems_and_changes_nothing(jalon, tmp_path):
    (tmp_path / "city.yml").write_text("jurisdiction_id: 7")

    checked, loaded = jalon("city", "check", str(tmp_path)), jalon("city", "load", str(tmp_path))

    assert checked.code == loaded.code == 1
    assert checked.out.count("error\t") > 2
    assert checked.out.endswith("cannot be loaded\n")
    assert jalon("city", "list").out == ""


def test_a_pack_is_loaded_once(jalon):
    laval = str(_ROOT / "cities" / "laval")

    first, second = jalon("city", "load", laval), jalon("city", "load", laval)

    assert (first.code, first.out.splitlines()[-1]) == (0, "laval.ca: loaded")
    assert (second.code, second.out) == (0, "laval.ca: nothing new\n")
    assert jalon("city", "list").out.startswith("laval.ca\tLaval\t")


def test_what_a_pack_changes_for_open_issues_is_listed(jalon, city):
    listed, as_json = jalon("city", "reroute", city, "--dry-run"), jalon("city", "reroute", city, "--json")

    assert (listed.code, listed.out) == (0, "0 open issues would change\n")
    assert json.loads(as_json.out) == {"dry_run": False, "changes": []}
    assert "no city nulle.part is loaded" in jalon("city", "reroute", "nulle.part").err


def test_a_pause_is_declared_for_services_that_there_are(jalon, city, owner_url):
    snow = ("--from", "2126-12-05", "--to", "2126-12-06", "--reason", "tempête")

    declared = jalon("city", "pause", city, *snow)

    assert (declared.code, declared.out) == (0, "essai.ca: 0 open issues have a later deadline\n")
    with psycopg.connect(libpq_url(owner_url)) as connection:
        said = connection.execute("SELECT begins::text, ends::text, service_codes, reason FROM pause").fetchall()
    assert said == [("2126-12-05", "2126-12-06", [], "tempête")]
    [listed] = json.loads(jalon("city", "pauses", city, "--json").out)["pauses"]
    assert listed["id"] in declared.err
    assert jalon("city", "unpause", city, listed["id"]).out.startswith("essai.ca: 0 open issues have their earlier")
    assert "No pause from today on." in jalon("city", "pauses", city).err
    assert "has no pause" in jalon("city", "unpause", city, "01936f3e-0000-7000-8000-000000000000").err
    assert "has no service ski" in jalon("city", "pause", city, *snow, "--services", "ski").err
    assert "ends before it begins" in jalon("city", "pause", city, *snow, "--to", "2126-12-04").err
