"""The program that photos are decoded in keeps out of the way of what answers requests."""

import os
from pathlib import Path

from bench.processes import tree
from media.decoders import Decoders


def session_niceness(pid: int) -> int:
    """The niceness of a process's session; 10 where this kernel has no such thing."""
    autogroup = Path(f"/proc/{pid}/autogroup")
    return int(autogroup.read_text().split()[-1]) if autogroup.exists() else 10


async def test_a_decoder_steps_back_among_processes_and_among_sessions():
    before = set(tree(os.getpid()))
    decoders = Decoders(at_once=1)
    try:
        await decoders.why_unconfined()  # starts one
        (pid,) = set(tree(os.getpid())) - before
        niceness = os.getpriority(os.PRIO_PROCESS, pid)
        of_session = session_niceness(pid)
    finally:
        decoders.close()

    nicest = min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19)  # there is nothing beyond
    assert (niceness, of_session) == (nicest, 10)
