"""Run a command that ends with its parent: ``python -IS die_with_parent.py PARENT COMMAND…``, replaced by the command.

The kernel keeps the setting (prctl, PR_SET_PDEATHSIG) across exec. It refers to the parent's *thread*: the one that
starts children must live as long as they do. Without prctl only the reaper cleans up.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit("the supervisor died before its child began")
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")
