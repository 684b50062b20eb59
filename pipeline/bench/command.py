"""The command line as a process of its own, as a user starts it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from taxiway.components.processes.subprocesses import make_command


def run_taxiway(words: Sequence[str], timeout_seconds: float) -> subprocess.CompletedProcess[str]:
    """Runs `taxiway` with these words and waits; what it prints is in the result."""
    return subprocess.run(
        make_command("taxiway", *words), capture_output=True, text=True, timeout=timeout_seconds, check=False
    )
