"""Monitoring with what TensorFlow and its companions print kept out of the command's output."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from taxiway.components.processes import subprocesses
from taxiway.pipeline.console import progress
from taxiway.pipeline.monitoring.monitor import MonitorRequest, MonitorResult, monitor_version


def monitor_quietly(request: MonitorRequest) -> MonitorResult:
    """See `monitor_version`."""
    os.environ.update(subprocesses.CHILD_ENVIRONMENT)
    with tempfile.TemporaryDirectory(prefix="taxiway-") as logs, progress.redirect_output(Path(logs, "log.txt")):
        return monitor_version(request)
