"""The contracts on imports hold, and each of them catches what it is there for."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_PACKAGES = ("api", "issues", "geo", "media", "push", "db")


@pytest.fixture
def copy(tmp_path):
    """A copy of the code that may be spoilt."""
    for package in _PACKAGES:
        shutil.copytree(_ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "*.po"))
    shutil.copy(_ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def broken_contracts(folder: Path) -> list[str]:
    """Names of the contracts that the code in a folder breaks."""
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as lint; lint()", "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Contracts:" in done.stdout, done.stdout + done.stderr
    return re.findall(r"^(.+) BROKEN", done.stdout, re.MULTILINE)


def test_the_contracts_hold():
    assert broken_contracts(_ROOT) == []


@pytest.mark.parametrize(
    ("module", "planted", "contract"),
    [
        ("db/tenancy.py", "import geo.points", "Imports only go down, and geo, media and push do not know each other"),
        ("geo/points.py", "import push.fcm", "Imports only go down, and geo, media and push do not know each other"),
        ("push/devices.py", "import issues.lifecycle", "Imports only go down, and geo, media and push do not know"),
        ("issues/submit.py", "import api.settings", "Imports only go down, and geo, media and push do not know each"),
        ("issues/submit.py", "from fastapi import HTTPException", "Only api speaks HTTP"),
        ("push/devices.py", "import firebase_admin", "Only push.fcm knows Firebase"),
        ("issues/match.py", "import sqlalchemy", "Pure modules know no database"),
        ("media/decode.py", "import db.base", "Pure modules know no database"),
    ],
)
def test_a_planted_violation_is_caught(copy, module, planted, contract):
    spoilt = copy / module
    spoilt.write_text(f"{spoilt.read_text()}\n{planted}\n")

    assert any(broken.startswith(contract) for broken in broken_contracts(copy))


def test_a_pure_module_may_not_reach_the_database_by_a_detour_either(copy):
    detour = copy / "geo" / "cells.py"
    detour.write_text(f"{detour.read_text()}\nimport geo.cities\n")

    assert "Pure modules know no database" in broken_contracts(copy)
