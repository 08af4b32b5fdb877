"""`jalon jobs`: what waits, what runs, and what has failed for good."""

import asyncio
from typing import Annotated

import typer

from api.cli.output import AsJson, say, show_json, show_table

app = typer.Typer(help="The queue of jobs.", invoke_without_command=True)


@app.callback()
def jobs(context: typer.Context, as_json: AsJson = False) -> None:
    """Count the jobs by kind and state, tell how old the oldest is, and list the dead ones."""
    if context.invoked_subcommand is not None:
        return
    from dataclasses import asdict

    from api.cli.reach import as_app, reached_database
    from api.settings import Settings
    from db.jobs import JobStats, job_stats
    from db.sessions import Database

    async def count(database: Database) -> JobStats:
        async with database.transaction() as session:
            return await job_stats(session)

    with reached_database(Settings()) as reached:
        stats = asyncio.run(as_app(reached, count))
    if as_json:
        show_json(asdict(stats) | {"oldest_waiting_s": stats.oldest_waiting_s})
        return
    rows = [(entry.kind, entry.state, entry.count, f"{entry.oldest_s:.0f} s") for entry in stats.counts]
    show_table(["kind", "state", "jobs", "oldest"], rows, empty="No jobs.")
    if stats.dead:
        dead = [(entry.id, entry.kind, entry.tries, entry.died_at, entry.error) for entry in stats.dead]
        show_table(["dead job", "kind", "tries", "since", "last error"], dead, empty="")


@app.command()
def retry(
    ids: Annotated[list[int] | None, typer.Argument(help="Dead jobs.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All dead jobs (up to 100).")] = False,
) -> None:
    """Give dead jobs all their tries again."""
    from api.cli.reach import as_app, reached_database
    from api.cli.refusals import CommandRefused
    from api.settings import Settings
    from db.jobs import job_stats, retry_dead_jobs
    from db.sessions import Database

    if bool(ids) == every:
        raise CommandRefused("name the dead jobs, or say --all.")

    async def revive(database: Database) -> int:
        async with database.transaction() as session:
            chosen = [dead.id for dead in (await job_stats(session)).dead] if every else ids or []
            return await retry_dead_jobs(session, chosen)

    with reached_database(Settings()) as reached:
        say(f"{asyncio.run(as_app(reached, revive))} jobs wait again")
