"""What the demo says while it works: a bar on a terminal, one plain line a step elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

Advance = Callable[[int, int], None]  # done, of how many


@contextmanager
def step(console: Console, label: str) -> Iterator[Advance]:
    """Show a step while the block runs, and one line with its time once it is done.

    The block may call what it gets with (done, all); without, the bar only shows that something happens.
    """
    began = time.monotonic()
    if console.is_terminal:
        bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        with bar:
            task = bar.add_task(label, total=None)
            yield lambda done, of: bar.update(task, completed=done, total=of)
    else:
        yield lambda _done, _of: None
    # One line, whatever is in the name of a file or folder.
    console.print(f"{label} ({time.monotonic() - began:.1f} s)", highlight=False, markup=False, soft_wrap=True)
