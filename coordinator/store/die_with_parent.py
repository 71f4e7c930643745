"""Become another program that the kernel kills when this process's parent thread ends (Linux).

Run as a script, `python -I -S die_with_parent.py PARENT_PID PROGRAM ARGUMENT...`: the wish to be
killed has to be made in the child, and between fork and exec of a process with threads no Python
code is safe; it survives `exec`. Imports nothing of this package, to start fast.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent_pid: int, program: list[str]) -> None:
    """Ask for the death signal and become the program.

    SIGKILL, because it also ends a stopped server, and at once; nothing is lost by it, as the
    server has synced to disk whatever it has confirmed.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent_pid:
        sys.exit("the parent died before its child could watch it")
    os.execv(program[0], program)  # noqa: S606 - the caller names the program


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
