"""`taxiway run` that is killed inside a component: `python -m tests.e2e.killed NODE MOMENT SIGNAL ARGUMENTS...`.

The signal goes to this process itself, from inside the executor: before it does anything, while it writes (when a file
that MOMENT names is there: `while:GLOB` below the root), or after it has written all and before TFX publishes it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from tfx.orchestration.local import runner_utils  # noqa: F401 - TFX before anything patches it
from tfx.utils import import_utils

from taxiway.pipeline import cli
from taxiway.pipeline.runs.launching import runners


def main(node: str, moment: str, number: int, arguments: list[str]) -> int:
    root = Path(arguments[arguments.index("--root") + 1])
    run = runners.run_compiled

    def patched(ir, *options):
        executor = import_utils.import_class_by_path(runners.list_executors(ir)[node])
        executor.Do = dying(executor.Do, moment, number, root)
        run(ir, *options)

    runners.run_compiled = patched
    return cli.run(arguments)


def dying(do, moment, number, root):
    def before(self, *inputs):
        strike(number)

    def after(self, *inputs):
        do(self, *inputs)
        strike(number)

    def meanwhile(self, *inputs):
        pattern = moment.partition(":")[2]
        there = set(root.glob(pattern))
        threading.Thread(target=strike_when, args=(root, pattern, there, number), daemon=True).start()
        do(self, *inputs)
        time.sleep(60)  # it was too quick for the thread

    return {"before": before, "after": after}.get(moment, meanwhile)


def strike_when(root, pattern, before, number):
    while not set(root.glob(pattern)) - before:
        time.sleep(0.002)
    strike(number)


def strike(number):
    os.kill(os.getpid(), number)
    time.sleep(30)  # a handled signal is raised in the main thread


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], signal.Signals[sys.argv[3]], sys.argv[4:]))
