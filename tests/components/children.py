"""A child that does what its job says; else it waits until it is asked to end, and says so in a file."""

import importlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from taxiway.components.processes import subprocesses


def work(job):
    if "imports" in job:
        return {"files": [importlib.import_module(name).__file__ for name in job["imports"]]}
    if "looks" in job:
        return {
            "pid": os.getpid(),
            "parent": os.getppid(),
            "session": os.getsid(0),
            "folder": str(Path.cwd()),
            "environment": dict(os.environ),
            "temporary": tempfile.gettempdir(),
            "modules": sorted(sys.modules),
            "name": __name__,
        }

    if "aborts" in job:
        os.abort()

    file = Path(job["file"])

    if "leaves" in job:
        file.write_text(tempfile.mkdtemp())
        os.kill(os.getpid(), signal.SIGKILL)

    if "starts" in job:
        grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        file.write_text(f"{os.getpid()} {grandchild.pid}")
        time.sleep(60)

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
    subprocesses.run_child_main(work)
