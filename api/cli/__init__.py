"""The command `jalon`: one module a group of commands; what is heavy is imported when its command runs."""

import os
import sys
import traceback
from typing import Annotated, NoReturn

import typer

from api.cli import (
    cities,
    city_changes,
    configuration,
    databases,
    demonstration,
    doctor,
    exports,
    match,
    media,
    processes,
    push,
    queue,
    staff,
)

app = typer.Typer(
    name="jalon",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("serve")(processes.serve)
app.command("work")(processes.work)
app.command("demo")(demonstration.demo)
cities.app.command("reroute")(city_changes.reroute)
cities.app.command("pause")(city_changes.pause)
cities.app.command("unpause")(city_changes.unpause)
cities.app.command("pauses")(city_changes.pauses)
app.command("export")(exports.export)
app.add_typer(cities.app, name="city")
app.add_typer(databases.app, name="db")
app.add_typer(staff.app, name="staff")
app.add_typer(queue.app, name="jobs")
app.add_typer(push.app, name="push")
app.add_typer(match.app, name="match")
app.add_typer(media.app, name="media")
app.add_typer(configuration.app, name="config")
app.command("doctor")(doctor.doctor)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"jalon {version('jalon')}")
        raise typer.Exit


@app.callback()
def jalon(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """Reports from residents' phones, and what becomes of them."""


def main() -> NoReturn:
    """Run the command line as a process of its own, and end the process.

    Nothing is torn down: a thread of obstore that is about to hand over a result aborts an interpreter that goes down
    (pyo3-async-runtimes#40), after all has been done and said.
    """
    code: object = 0
    try:
        run_command_line()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
        code = 1
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None: closed by whoever started it
        try:
            stream.flush()
        except OSError:  # whoever read it has gone
            code = code or 1
    os._exit(code if isinstance(code, int) else int(code is not None))


def run_command_line() -> None:
    """Run the command line; a situation that an operator can do something about ends in one line, not a traceback.

    Raises:
        SystemExit: it has ended.
    """
    try:
        app()
    except Exception as error:
        from api.cli.refusals import explain

        explanation = explain(error)
        if explanation is None:
            raise
        print(f"jalon: {explanation}", file=sys.stderr)
        sys.exit(1)
