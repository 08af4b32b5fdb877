"""The command line does what it says, and ends in one line where it cannot."""

import io
import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import psycopg
import pytest

from db.dumps import libpq_url
from tests.cli.running import Outcome

_ROOT = Path(__file__).parents[2]
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


def test_a_database_that_is_not_there_is_one_line(command, monkeypatch):
    monkeypatch.setenv("JALON_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")

    refused = command("staff", "list")

    assert refused.code == 1
    assert refused.err.startswith("jalon: the database does not answer (")
    assert refused.err.count("\n") == 1


@pytest.mark.parametrize(
    ("process", "variable", "value", "told"),
    [
        ("serve", "JALON_STORAGE_URL", "ftp://me:secret@x", "is not the URL of a store: ftp://me:***@x"),
        ("serve", "JALON_STORAGE_URL", "file:///dev/null/photos", "storage does not answer ([Errno 17] File exists"),
        ("work", "JALON_STORAGE_URL", "ftp://me:secret@x", "is not the URL of a store: ftp://me:***@x"),
        ("work", "JALON_FCM_CREDENTIALS", "/nonexistent.json", "is no service account (No such file or directory)."),
        ("work", "JALON_FCM_CREDENTIALS", __file__, "is no service account (not JSON)."),
        ("work", "JALON_FCM_CREDENTIALS", "{}", "is no service account (its private key is not one)."),
    ],
)
def test_a_store_or_key_file_that_is_none_is_one_line_also_for_the_doctor(
    jalon, monkeypatch, tmp_path, process, variable, value, told
):
    if value == "{}":
        value = str(tmp_path / "key.json")
        parts = dict.fromkeys(["project_id", "client_email", "private_key", "token_uri"], "x")
        Path(value).write_text(json.dumps(parts | {"type": "service_account"}))
    monkeypatch.setenv(variable, value)

    refused, examined = jalon(process), jalon("doctor")

    assert (refused.code, refused.err.splitlines()[-1].startswith("jalon: ")) == (1, True)
    assert "Traceback" not in refused.err
    assert told in refused.err
    assert told in examined.out or "private key" in told
    assert "secret" not in refused.err + examined.out


@pytest.mark.parametrize("variable", ["JALON_DATABASE_URL", "JALON_OWNER_DATABASE_URL"])
@pytest.mark.parametrize("password", ["hush@1", "hush@/1", "hush@1:2", "hush/@1", "hush@1/1"])
def test_a_password_that_breaks_its_url_is_not_shown(command, monkeypatch, variable, password):
    monkeypatch.setenv(variable, f"postgresql://jalon:{password}@127.0.0.1:1/jalon")

    refused = command("staff", "list")

    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert refused.err.startswith(f"jalon: {variable}: ")
    assert "percent-encoded (@ is %40, / is %2F)" in refused.err
    assert not {"hush", "1"} & set(re.findall(r"\w+", refused.err))


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


def test_an_export_replaces_a_file_only_by_force_and_says_what_it_can_write(jalon, city, tmp_path):
    file = str(tmp_path / "requetes.csv")
    assert jalon("export", file).out == f"{file}: 0 issues\n"

    again, other = jalon("export", file), jalon("export", str(tmp_path / "requetes.doc"))

    assert (again.code, "--force" in again.err) == (1, True)
    assert jalon("export", file, "--force", "--city", city).code == 0
    assert (other.code, ".gpkg, .geojson, .csv, .fgb" in other.err) == (1, True)


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


def test_the_version_is_said(command):
    said = command("--version")

    assert (said.code, said.out) == (0, f"jalon {version('jalon')}\n")


def test_what_breaks_as_the_interpreter_goes_down_changes_no_outcome():
    # Stands for a library's thread that finds its interpreter gone, and aborts: by chance, and on busy machines.
    breaking = "import atexit, os, sys; from api.cli import main; atexit.register(os.abort); "

    def run(*arguments: str) -> Outcome:
        code = f"{breaking} sys.argv = ['jalon', *{list(arguments)!r}]; main()"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=_ROOT)
        return Outcome(done.returncode, done.stdout, done.stderr)

    assert run("--version") == Outcome(0, f"jalon {version('jalon')}\n", "")
    refused = run("city", "check", ".")
    assert refused.code == 1
    assert "city.yml" in refused.out + refused.err
    assert run("no-such-command").code == 2


def test_a_command_ends_as_well_where_nobody_can_hear_it():
    code = "import sys; from api.cli import main; sys.argv = ['jalon', '--version']; main()"
    for closed in (">&-", "2>&-", ">&- 2>&-"):
        done = subprocess.run(["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, code], check=False, cwd=_ROOT)
        assert done.returncode == 0
