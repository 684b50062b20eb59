"""The folder of one run: made when the run begins, with its configuration and its first summary."""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
import time
from pathlib import Path

import psutil
import yaml

from taxiway.components.errors import TaxiwayError
from taxiway.components.files.durable_files import replace_file
from taxiway.pipeline.config import PipelineConfig
from taxiway.pipeline.root import Root
from taxiway.pipeline.runs.environment import inspect_environment
from taxiway.pipeline.runs.request import RunRequest
from taxiway.pipeline.tracking import run_order, run_record
from taxiway.pipeline.tracking.run_record import RunRecord


def begin_run(request: RunRequest, config: PipelineConfig, root: Root, digest: str = "") -> RunRecord:
    """Makes the run's folder with its configuration and its first summary."""
    started = time.time()
    folder = _make_run_folder(root, datetime.datetime.fromtimestamp(started).strftime("%Y%m%d-%H%M%S"))
    content = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    replace_file(folder / run_record.CONFIG_FILE, content)
    run = RunRecord(
        run_id=folder.name,
        state="running",
        model=config.name,
        main_metric=config.evaluation.get_main_metric(config.label.task),
        orchestrator=request.orchestrator,
        started=started,
        inputs=digest,
        environment=inspect_environment(),
        process=(os.getpid(), psutil.Process().create_time()),
        command=tuple(request.to_arguments()),
        started_by=request.started_by,
        log=str(folder / run_record.LOG_FILE),
    )
    run_record.write_summary(run, folder)
    run_order.append_run(root, run.run_id)
    return run


def discard_run(root: Root, run: RunRecord) -> None:
    """Undoes `begin_run`."""
    shutil.rmtree(root.run_folder(run.run_id), ignore_errors=True)
    run_order.remove_last_run(root, run.run_id)


def _make_run_folder(root: Root, name: str) -> Path:
    """Makes a folder of this name; a second run of the same second gets a number behind it."""
    for attempt in range(1, 1000):
        folder = root.run_folder(name if attempt == 1 else f"{name}-{attempt}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise TaxiwayError(f"{root.runs} holds a thousand runs of the same second.", "Is the clock right?")
