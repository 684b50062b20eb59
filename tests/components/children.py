"""A child that waits until it is asked to end, and says so in a file."""

import os
import signal
import sys
import time
from pathlib import Path

from components import subprocesses


def work(job):
    file = Path(job["file"])

    def asked(*_):
        file.write_text(f"{os.getpid()} asked to end")
        sys.exit(0)

    signal.signal(signal.SIGTERM, asked)
    file.write_text(f"{os.getpid()} waits")
    time.sleep(90)
    return {}


if __name__ == "__main__":
    subprocesses.child_main(work)
