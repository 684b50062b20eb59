"""Becomes another program, which gets a signal when the process that started it dies; see `start_program`."""

import os
import sys

from taxiway.components.processes.subprocesses import end_with_parent

if __name__ == "__main__":
    end_with_parent()  # the kernel's signal outlasts `exec`
    os.execvp(sys.argv[1], sys.argv[1:])
