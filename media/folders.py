"""Folders of the moment that go also when their process was killed: by the next one that makes one."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

_PREFIX: Final = "jalon-photo-"


class OwnFolder:
    """An empty folder in the system's folder for temporary files, held by a lock that ends with the process.

    Those that killed processes of the same user have left are deleted first.

    Attributes:
        path: Where it is.
    """

    def __init__(self) -> None:
        """Make it."""
        _delete_abandoned()
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
            # Somebody who starts at the same time may find it before it is locked, and take it for abandoned.
            try:
                self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            except FileNotFoundError:
                continue
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            if self.path.exists():
                return
            os.close(self._lock)

    def delete(self) -> None:
        """Delete it, whatever is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _delete_abandoned() -> None:
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # gone meanwhile, or somebody else's
        try:
            if os.fstat(folder).st_uid == os.geteuid():
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:
            pass  # somebody works in it
        finally:
            os.close(folder)
