"""How much of the processors a process leaves to others."""

from contextlib import suppress
from pathlib import Path


def weigh_session(niceness: int, *, leader: int | None = None) -> None:
    """Have a niceness count among sessions too.

    Linux weighs the processes of one session among themselves (autogroups, sched(7)): to those of other sessions the
    niceness of a process is nothing, and that of its session all.

    Args:
        niceness: Of the session, from 0 to 19.
        leader: A process of the session; None for this one.
    """
    with suppress(OSError):
        Path(f"/proc/{leader or 'self'}/autogroup").write_text(str(niceness))
