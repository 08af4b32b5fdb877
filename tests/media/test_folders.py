"""Folders of the moment, and what killed processes leave of them."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from media.folders import OwnFolder

_HOLD = "from media.folders import OwnFolder; print(OwnFolder().path, flush=True); input()"


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_what_a_killed_process_has_left_goes_with_the_next_start_and_what_is_in_use_stays(temporary):
    environment = {**os.environ, "TMPDIR": str(temporary)}
    command = [sys.executable, "-c", _HOLD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        left = process.stdout.readline().decode().strip()
        process.send_signal(signal.SIGKILL)
    (temporary / left / "half a photo").write_bytes(b"half")
    in_use = OwnFolder()

    folder = OwnFolder()

    assert set(temporary.iterdir()) == {in_use.path, folder.path}
    for each in (in_use, folder):
        each.delete()
    assert list(temporary.iterdir()) == []


def test_a_folder_that_is_taken_for_abandoned_before_it_is_locked_is_made_again(temporary, monkeypatch):
    make, made = tempfile.mkdtemp, []

    def make_and_lose_the_first(**options):
        made.append(make(**options))
        if len(made) == 1:
            Path(made[0]).rmdir()
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", make_and_lose_the_first)

    folder = OwnFolder()

    assert [str(folder.path)] == made[1:]
    assert folder.path.is_dir()
    folder.delete()


def test_what_only_looks_like_one_is_left_alone(temporary):
    (temporary / "elsewhere").mkdir()
    (temporary / "elsewhere" / "file").touch()
    (temporary / "jalon-photo-link").symlink_to(temporary / "elsewhere")
    (temporary / "jalon-photo-file").touch()

    OwnFolder().delete()

    assert (temporary / "elsewhere" / "file").exists()
    assert len(list(temporary.iterdir())) == 3
