"""A probe that does what its environment says: abort, hang or raise."""

import os
import time

from taxiway.components.processes import subprocesses


def work(_):
    if os.environ["BROKEN"] == "abort":
        os.abort()
    if os.environ["BROKEN"] == "hang":
        time.sleep(60)
    raise ImportError("no tensorflow here")


if __name__ == "__main__":
    subprocesses.run_child_main(work)
