"""A disk that is nearly full, as the kernel tells it."""

import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def cramped_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for a store that has room for a megabyte, and no more.

    A file system of its own, where this machine lets us make one; else the limit that the kernel sets to files.
    """
    folder = tmp_path / "cramped"
    folder.mkdir()
    size = 1_000_000
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], capture_output=True, check=False
    )
    if mounted.returncode == 0:
        yield folder
        subprocess.run(["umount", folder], check=True)
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    yield folder
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
