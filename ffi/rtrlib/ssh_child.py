"""Becomes ssh, which ends when the program that started it does: `python ssh_child.py PARENT PROGRAM ARGUMENT...`."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

parent, *argv = sys.argv[1:]
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() == int(parent):  # else it died before
    os.execv(argv[0], argv)  # noqa: S606 - that is what it is for
