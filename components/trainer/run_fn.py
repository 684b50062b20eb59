"""TFX's `run_fn`: from its arguments to a training job, run in a process of its own."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

from taxiway.components.training import TrainingJob, train
from taxiway.components.training.fingerprint import compute_fingerprint
from taxiway.components.training.tfx_arguments import build_job

LOG = logging.getLogger(__name__)

RESULT_FILE = "result.json"
LOG_FILE = "train.log"


def run_fn(fn_args: Any) -> None:
    """Trains and exports.

    Args:
        fn_args: TFX's `FnArgs`. Its `custom_config` holds what `Trainer` in `component.py` put there.

    Raises:
        TaxiwayError: see `taxiway.components.training.train`.
    """
    job = add_checkpoint_dir(build_job(fn_args), fn_args.custom_config["checkpoint_root"])
    # The log lies with the checkpoints: TFX removes the outputs of an execution that fails.
    log = Path(job.checkpoint_dir, LOG_FILE) if job.checkpoint_dir else Path(fn_args.model_run_dir, LOG_FILE)
    LOG.info("training; its log: %s", log)
    result = train(job, log)
    run_dir = Path(fn_args.model_run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / RESULT_FILE).write_text(result.model_dump_json(indent=1))
    if log.parent != run_dir:
        shutil.copyfile(log, run_dir / LOG_FILE)


def add_checkpoint_dir(job: TrainingJob, root: str) -> TrainingJob:
    """The job with its fingerprint, and the folder of checkpoints that belongs to it."""
    key = compute_fingerprint(job)
    folder = str(Path(root, key)) if root else ""
    return job.model_copy(update={"fingerprint": key, "checkpoint_dir": folder})
