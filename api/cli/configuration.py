"""`jalon config`: what is set, and where."""

import os

import typer

from api.cli.output import AsJson, hint, show_json, show_table

app = typer.Typer(help="What is set.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `show` a command of a group while it is the only one."""


@app.command()
def show(as_json: AsJson = False) -> None:
    """Show every setting, where its value comes from, and what it is for; secrets are masked."""
    from dataclasses import asdict

    from api.settings import Settings, show_settings, unknown_variables

    settings = show_settings(Settings(), os.environ)
    if as_json:
        show_json([asdict(setting) for setting in settings])
    else:
        rows = [(shown.variable, shown.value, shown.source, shown.description) for shown in settings]
        show_table(["variable", "value", "from", "what it is"], rows, empty="")
    for name in unknown_variables(os.environ):
        hint(f"jalon: {name} is not a setting; is it misspelt?")
