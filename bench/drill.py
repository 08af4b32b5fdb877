"""`make drill-crash`: thirty kills under load on a database of its own, and what became of everything promised."""

import argparse
import asyncio
import json
import tempfile
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import Request, urlopen

from rich.console import Console
from rich.table import Table

from api.demo.fcm_standin import running_standin
from bench.crash import Plan, Stage, run_drill
from bench.crash_check import Evidence, find_faults
from bench.servers import leave_on_sigterm
from bench.stage import CITY, empty_stage
from db.sessions import Database
from issues.actors import Role
from issues.city import load_cities
from issues.staff import add_staff

# A provider takes a moment to answer, in which a kill can fall.
_ANSWER_AFTER_S = 1.0


async def hire_agent(app_url: str, jurisdiction_id: str) -> str:
    """Put an agent on a city's staff; get the secret."""
    async with Database(app_url) as database:
        async with database.transaction() as session:
            city = (await load_cities(session)).by_jurisdiction(jurisdiction_id)
        assert city is not None
        async with database.transaction(city.id) as session:
            agent = await add_staff(session, city.id, name="Agathe", role=Role.AGENT, now=datetime.now(UTC))
    return agent.secret


def answer_slowly(fcm_url: str) -> None:
    """Have the provider's stand-in take a moment for each message, after it has accepted it."""
    fault = json.dumps({"code": "DELAY", "count": None, "delay_s": _ANSWER_AFTER_S}).encode()
    with urlopen(Request(f"{fcm_url}/faults", data=fault, method="POST"), timeout=10):
        pass


def show(evidence: Evidence, console: Console) -> None:
    """Print the kills, and what was sent and received in spite of them."""
    table = Table("killed", "after s", "sends in flight", title=f"{len(evidence.kills)} kills")
    for kill in sorted(evidence.kills, key=lambda kill: kill.after_s):
        table.add_row(kill.name, f"{kill.after_s:.1f}", str(len(kill.in_flight)))
    console.print(table)


def summarise(evidence: Evidence, faults: list[str]) -> dict[str, object]:
    """Count, as plain values for a line of JSON."""
    return {
        "drill": "crash",
        "kills": len(evidence.kills),
        "kills_by_process": Counter(kill.name for kill in evidence.kills),
        "reports_acknowledged": len(evidence.receipts),
        "reports_stored": len(evidence.stored),
        "photos": sum(len(receipt.photo_ids) for receipt in evidence.receipts),
        "pushes_owed": len(evidence.owed),
        "pushes_sent": len(evidence.pushes),
        "sends_in_flight_at_kills": evidence.sends_in_flight,
        "second_sends": evidence.second_sends,
        "requests_sent_again": evidence.requests_sent_again,
        "faults": len(faults),
    }


def main() -> None:
    """Run the drill as the command line says; exits with 1 where anything was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--pause", type=float, default=4.0, help="seconds between kills, on average")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    console = Console()
    leave_on_sigterm()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jalon-drill-")))
        folder.chmod(0o755)  # the database server runs under an account of its own
        database = stack.enter_context(empty_stage(folder))
        console.print("Montréal is loaded")
        fcm_url = stack.enter_context(running_standin(folder / "fcm.json"))
        answer_slowly(fcm_url)
        agent_secret = asyncio.run(hire_agent(database.app_url, CITY))
        stage = Stage(
            database.app_url, database.owner_url, folder, fcm_url, folder / "fcm.json", agent_secret, console.print
        )
        plan = Plan(kills=options.kills, pause_s=options.pause, stories_at_once=12, seed=options.seed)
        evidence = asyncio.run(run_drill(stage, plan))
    faults = find_faults(evidence)
    show(evidence, console)
    for fault in faults:
        console.print(f"[red]{fault}[/red]")
    print(json.dumps(summarise(evidence, faults)))
    if faults:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
