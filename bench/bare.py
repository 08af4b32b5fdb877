"""The bare limit: the same rows written by pgbench as fast as the database takes them (see intake.sql)."""

import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql

from bench.stage import Stage
from db.cluster import OWNER

SCRIPT = Path(__file__).with_name("intake.sql")
_RATE = re.compile(r"^tps = ([0-9.]+) ", re.MULTILINE)
_FAILED = re.compile(r"^number of failed transactions: (\d+)", re.MULTILINE)
# A report of a phone (8 m) this near to an issue of the same service joins it; beyond, only some do.
_JOIN_WITHIN_M = 12.0


@dataclass(frozen=True, slots=True)
class Box:
    """Where reports are sent: longitudes and latitudes (WGS 84) between which any place is as likely as another."""

    west: float
    south: float
    east: float
    north: float


class PgbenchFailed(Exception):
    """It ended with an error, or transactions failed; carries what it said."""


def prepare_bare(stage: Stage) -> None:
    """Let the owner of the tables write without foreign keys in this database, from the next connection on."""
    statement = sql.SQL("ALTER ROLE {} IN DATABASE {} SET session_replication_role = 'replica'")
    with stage.cluster.connect() as connection:
        connection.execute(statement.format(sql.Identifier(OWNER), sql.Identifier(stage.database)))


def measure_bare(stage: Stage, variables: Mapping[str, str], *, clients: int, seconds: int) -> float:
    """Run the script with so many clients for so long; get the transactions a second.

    Raises:
        PgbenchFailed: it could not, or a transaction failed.
    """
    # Sixteen bits for each millisecond: ids of this run come after those of the one before.
    now = {"epoch": str(time.time_ns() // 1_000_000 << 16), "tick": "0"}
    command: list[str | Path] = [
        *(stage.cluster.bin_dir / "pgbench", "-n", "-M", "prepared", "-f", SCRIPT),
        *("-c", str(clients), "-j", str(min(clients, 2)), "-T", str(seconds)),
    ]
    for name, value in {**variables, **now}.items():
        command += ["-D", f"{name}={value}"]
    done = subprocess.run(command, env=_environment(stage), capture_output=True, text=True, check=False)
    rate, failed = _RATE.search(done.stdout), _FAILED.search(done.stdout)
    if done.returncode != 0 or rate is None or (failed is not None and failed[1] != "0"):
        raise PgbenchFailed(done.stdout[-2000:] + done.stderr[-2000:])
    return float(rate[1])


def bare_variables(connection: psycopg.Connection, jurisdiction_id: str, box: Box) -> dict[str, str]:
    """Read from a city's catalogue what the script needs."""
    found = connection.execute("SELECT id FROM city WHERE jurisdiction_id = %s", (jurisdiction_id,)).fetchone()
    assert found is not None
    city_id = found[0]
    services = connection.execute(
        "SELECT code, siblings, greatest(radius_m, suggest_radius_m), greatest(window_days, suggest_window_days),"
        " joins <> 'never' AND NOT private AS looks"
        " FROM service WHERE city_id = %s AND offered ORDER BY position",
        (city_id,),
    ).fetchall()
    layer = connection.execute(
        "SELECT layer, min(district.code) FROM district JOIN layer ON layer.city_id = district.city_id"
        " AND layer.code = layer WHERE district.city_id = %s AND responsible GROUP BY layer",
        (city_id,),
    ).fetchone()
    department = connection.execute("SELECT min(code) FROM department WHERE city_id = %s", (city_id,)).fetchone()
    assert layer is not None
    assert department is not None
    return {
        "city": str(city_id),
        **{side: repr(getattr(box, side)) for side in ("west", "south", "east", "north")},
        "kinds": str(len(services)),
        "codes": _array([code for code, *_ in services]),
        "services": _array([_array([code, *siblings] if looks else []) for code, siblings, *_, looks in services]),
        "radii": _array([str(radius_m) for _, _, radius_m, _, _ in services]),
        "windows": _array([str(days) for _, _, _, days, _ in services]),
        "near": str(_JOIN_WITHIN_M),
        "layer": layer[0],
        "district": layer[1],
        "department": department[0],
        "year": str(datetime.now(UTC).year),
        "sequence": f"report_number_{city_id}",
    }


def _array(texts: Sequence[str]) -> str:
    """Write an array of texts as PostgreSQL reads it."""
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return "{" + ",".join(f'"{text}"' for text in quoted) + "}"


def _environment(stage: Stage) -> dict[str, str]:
    return dict(os.environ) | {
        "PGHOST": str(stage.cluster.sockets),
        "PGPORT": str(stage.cluster.port),
        "PGUSER": OWNER,
        "PGPASSWORD": stage.cluster.passwords[OWNER],
        "PGDATABASE": stage.database,
    }
