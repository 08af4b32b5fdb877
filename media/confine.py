"""What the process that decodes a photo may still ask of the kernel: computing, and its own open files.

A seccomp filter with an allow-list, which any process may put on itself. What is not on the list answers EPERM: no
file can be opened, no socket made, no program started, no other process signalled or looked at. So a photo that takes
its decoder over has nowhere to go. Sources: seccomp(2), and the kernel's tables of system calls.
"""

import ctypes
import errno
import os
import platform
import struct
from typing import Final

_PR_SET_SECCOMP: Final = 22
_PR_SET_NO_NEW_PRIVS: Final = 38
_FILTER_MODE: Final = 2
_CLONE_THREAD: Final = 0x0001_0000

# Classic BPF: load a word of `struct seccomp_data`, jump if equal, jump if any bit is set, return.
_LOAD, _IF_EQUAL, _IF_BITS, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_ALLOW: Final = 0x7FFF_0000
_REFUSE: Final = 0x0005_0000  # with an errno in the low half

# In this order in both tables: read, write, readv, writev, pread64, lseek; close, fstat, newfstatat, fcntl; mmap,
# munmap, mremap, mprotect, madvise, brk; futex, set_robust_list, rseq, sched_yield, sched_getaffinity; rt_sigprocmask,
# rt_sigreturn, restart_syscall; clock_gettime, clock_nanosleep; getrandom, getrusage, sysinfo; getpid, gettid; and last
# exit, exit_group (no file is opened by any of them).
_ALLOWED: Final = {
    "x86_64": (
        *(0, 1, 19, 20, 17, 8, 3, 5, 262, 72, 9, 11, 25, 10, 28, 12, 202, 273, 334, 24, 204, 14, 15, 219, 228, 230),
        *(318, 98, 99, 39, 186, 60, 231),
    ),
    "aarch64": (
        *(63, 64, 65, 66, 67, 62, 57, 80, 79, 25, 222, 215, 216, 226, 233, 214, 98, 99, 293, 124, 123, 135, 139, 128),
        *(113, 115, 278, 165, 179, 172, 178, 93, 94),
    ),
}
# Architecture as the kernel names it (AUDIT_ARCH_...), then clone, clone3 and tgkill, which need a closer look.
_SPECIAL: Final = {"x86_64": (0xC000_003E, 56, 435, 234), "aarch64": (0xC000_00B7, 220, 435, 131)}


class ConfinementUnavailable(Exception):
    """This kernel or architecture offers no filter; the process goes on as it was.

    Attributes:
        why: What is missing, for the operator.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def confine() -> None:
    """Hold this process, for the rest of its life, to computing and to the files that it has open.

    Raises:
        ConfinementUnavailable: no filter could be put on.
    """
    machine = platform.machine()
    if machine not in _SPECIAL:
        raise ConfinementUnavailable(f"no list of system calls for {machine}")
    code = _filter(machine, os.getpid())
    libc = ctypes.CDLL(None, use_errno=True)
    program = _Program(len(code) // 8, code)
    # Without new privileges (setuid programs) an unprivileged process may filter itself.
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        _PR_SET_SECCOMP, _FILTER_MODE, ctypes.byref(program), 0, 0
    ):
        raise ConfinementUnavailable(f"seccomp: {os.strerror(ctypes.get_errno())}")


def _filter(machine: str, pid: int) -> bytes:
    """Write the filter's instructions; every path through them ends in a return."""
    architecture, clone, clone3, tgkill = _SPECIAL[machine]
    refuse = _step(_RETURN, _REFUSE | errno.EPERM)
    allow = _step(_RETURN, _ALLOW)
    first_argument = _step(_LOAD, _FIRST_ARGUMENT_AT)
    return b"".join(
        [
            _step(_LOAD, _ARCHITECTURE_AT),
            _step(_IF_EQUAL, architecture, then=1),
            refuse,
            _step(_LOAD, _NUMBER_AT),
            *(_step(_IF_EQUAL, number, otherwise=1) + allow for number in _ALLOWED[machine]),
            # Threads, which the HEVC decoder needs, are no processes of their own.
            _step(_IF_EQUAL, clone, otherwise=4) + first_argument,
            _step(_IF_BITS, _CLONE_THREAD, otherwise=1) + allow + refuse,
            # Its flags lie in memory, where a filter cannot look; without it the C library takes clone.
            _step(_IF_EQUAL, clone3, otherwise=1) + _step(_RETURN, _REFUSE | errno.ENOSYS),
            # A library that aborts signals its own process, and no other.
            _step(_IF_EQUAL, tgkill, otherwise=3) + first_argument,
            _step(_IF_EQUAL, pid, otherwise=1) + allow,
            refuse,
        ]
    )


def _step(code: int, value: int, *, then: int = 0, otherwise: int = 0) -> bytes:
    """Encode one instruction; `then` and `otherwise` are how many of the next are skipped."""
    return struct.pack("=HBBI", code, then, otherwise, value)
