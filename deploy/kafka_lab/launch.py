"""Becomes the program that it is told to run, one that does not outlive who started it.

`python -I -S launch.py PARENT PROGRAM ARGUMENT…`: when the parent dies, be it by kill -9, the
kernel kills the program. The signal survives exec, so nothing stays in between.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(sys.argv[1]):  # it died before we could ask
        sys.exit(1)
    os.execv(sys.argv[2], sys.argv[2:])
