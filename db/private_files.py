"""Files with passwords or personal data: readable by their owner alone, and there only once they are whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that only the caller can read.

    It appears under its name, or replaces an older one, when the block ends: whole and on disk. If the block raises,
    what was there stays.
    """
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_private(path: Path, content: str) -> None:
    """Write a text to a file that only the caller can read; see `private_file`."""
    with private_file(path) as file:
        file.write(content.encode())
