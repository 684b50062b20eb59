"""A member of a cluster that makes no training, but so many heartbeats: `MEMBER_BEATS`, then `MEMBER_THEN`."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from typing import Any

from taxiway.components.processes import subprocesses
from taxiway.components.processes.sigterm import SigtermFlag
from taxiway.components.training.distribution import cluster

MODULE = "tests.components.training.silent_member"
BEATS, THEN = "MEMBER_BEATS", "MEMBER_THEN"


def work(content: dict[str, Any]) -> dict[str, Any]:
    terminated = SigtermFlag()
    for _ in range(int(os.environ[BEATS])):
        cluster.send_heartbeat()
        time.sleep(0.2)
    if os.environ[THEN] == "hang":
        ctypes.PyDLL(None).sleep(100)  # with Python's lock held, as TensorFlow does
    if os.environ[THEN] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    while os.environ[THEN] == "wait" and not terminated():
        cluster.send_heartbeat()
        time.sleep(0.05)
    cluster.end_heartbeat()
    time.sleep(0.7)  # an export takes time
    return {"label": content["label"], "terminated": terminated()}


if __name__ == "__main__":
    subprocesses.run_child_main(work)
