"""What processes cost, as Linux counts it: processor time and memory."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class _Stat:
    parent: int
    own_s: float  # user and system time of the process
    reaped_s: float  # of its children that ended and were waited for


def tree(root: int) -> list[int]:
    """A process and everything it started that is alive, by process id; empty once it has ended."""
    parents = {pid: stat.parent for pid in _all_pids() if (stat := _stat(pid)) is not None}
    found = [root] if root in parents else []
    for pid in found:
        found.extend(child for child, parent in parents.items() if parent == pid)
    return found


def cpu_s(roots: Iterable[int]) -> float:
    """User and system time taken so far by process trees, with that of their children that have ended."""
    total = 0.0
    for root in roots:
        for pid in tree(root):
            stat = _stat(pid)
            if stat is not None:
                total += stat.own_s + stat.reaped_s
    return total


def pss_mb(pid: int) -> float:
    """A process's memory in megabytes, shared pages counted in equal parts with those who share them (PSS)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"the kernel tells no PSS of process {pid}")


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may hold blanks and parentheses; the fields after it are numbered from 3 (proc(5)).
    fields = text[text.rindex(")") + 2 :].split()
    utime, stime, cutime, cstime = (int(field) * _TICK_S for field in fields[11:15])
    return _Stat(parent=int(fields[1]), own_s=utime + stime, reaped_s=cutime + cstime)
