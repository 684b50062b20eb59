"""A child that waits until it is asked to end, and says so in a file."""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from components import subprocesses


def work(job):
    file = Path(job["file"])

    if "leaves" in job:
        file.write_text(tempfile.mkdtemp())
        os.kill(os.getpid(), signal.SIGKILL)

    def asked(*_):
        if "go_on" in job:  # as training that writes its checkpoint first
            file.write_text(f"{os.getpid()} writes on")
            while not Path(job["go_on"]).exists():
                time.sleep(0.01)
        file.write_text(f"{os.getpid()} asked to end")
        sys.exit(0)

    signal.signal(signal.SIGTERM, asked)
    file.write_text(f"{os.getpid()} waits")
    time.sleep(90)
    return {}


if __name__ == "__main__":
    subprocesses.child_main(work)
