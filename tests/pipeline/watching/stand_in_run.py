"""In place of `taxiway run`: leaves a run's record as that does, in a moment or when it is let go on."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psutil

from taxiway.pipeline.exit_codes import EXIT_BLOCKED, EXIT_INTERRUPTED, EXIT_LIVE, EXIT_TERMINATED
from taxiway.pipeline.tracking import run_record
from taxiway.pipeline.tracking.run_record import RunRecord

STATES = {EXIT_LIVE: "live", EXIT_BLOCKED: "blocked", EXIT_INTERRUPTED: "interrupted", EXIT_TERMINATED: "interrupted"}


def begin(root: Path, arguments: list[str]) -> RunRecord:
    """The record of a run that has begun."""
    (root / "runs").mkdir(parents=True, exist_ok=True)
    record = RunRecord(
        run_id=f"{len(list((root / 'runs').iterdir())):05d}",
        state="running",
        model=Path(arguments[1]).stem,
        started=time.time(),
        process=(os.getpid(), psutil.Process().create_time()),
        command=tuple(arguments),
        started_by=arguments[arguments.index("--started-by") + 1],
    )
    (root / "runs" / record.run_id).mkdir()
    run_record.write_summary(record, root / "runs" / record.run_id)
    return record


def end(root: Path, record: RunRecord, code: int) -> int:
    """The same run's end."""
    changes = {"state": STATES.get(code, "failed"), "exit_code": code, "ended": time.time(), "reason": f"code {code}"}
    run_record.write_summary(record.model_copy(update=changes), root / "runs" / record.run_id)
    return code


def main() -> int:
    root = Path(sys.argv[sys.argv.index("--root") + 1])
    record = begin(root, sys.argv[1:])
    while not (root / "go-on").exists():
        time.sleep(0.02)
    return end(root, record, EXIT_LIVE)


if __name__ == "__main__":
    sys.exit(main())
