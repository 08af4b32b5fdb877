"""How commands answer: tables on a terminal, plain lines elsewhere, JSON for programs."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]


def say(line: str) -> None:
    """Print a line of an answer."""
    print(line)


def hint(line: str) -> None:
    """Print a line that is no part of the answer, so that the answer can be piped."""
    print(line, file=sys.stderr)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Write a file or folder that was asked for; ends in one line where that cannot be."""
    from api.cli.refusals import CommandRefused

    try:
        yield
    except OSError as error:
        raise CommandRefused(f"{path} cannot be written ({error.strerror}).") from error


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file that was asked for; ends in one line where that cannot be."""
    with writing(path):
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def show_json(value: Any) -> None:
    """Print a value as JSON."""
    print(json.dumps(value, default=str, ensure_ascii=False, indent=2))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str) -> None:
    """Print rows: as a table on a terminal, elsewhere one line a row with tabs between, for other programs.

    Where there are none, `empty` says so; other programs get no line of it.
    """
    texts = [[_text(value) for value in row] for row in rows]
    if not texts:
        (say if sys.stdout.isatty() else hint)(empty)
        return
    if not sys.stdout.isatty():
        for row in texts:
            print("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in texts:
        table.add_row(*map(Text, row))
    Console().print(table)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M")
    return str(value)
