"""TFX's `run_fn`: from its arguments to a training job, run in a process of its own."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from components import patterns, schemas
from components.contract import training_dir
from components.trainer.fingerprint import fingerprint
from components.training import ModelConfig, TrainingConfig, TrainingJob, train

LOG = logging.getLogger(__name__)

RESULT_FILE = "result.json"
LOG_FILE = "train.log"


def run_fn(fn_args: Any) -> None:
    """Trains and exports.

    Args:
        fn_args: TFX's `FnArgs`. Its `custom_config` holds what `Trainer` in `component.py` put there.

    Raises:
        TaxiwayError: see `components.training.train`.
    """
    job = with_checkpoints(job_from(fn_args), fn_args.custom_config["checkpoint_root"])
    # The log lies with the checkpoints: TFX removes the outputs of an execution that fails.
    log = Path(job.checkpoint_dir, LOG_FILE) if job.checkpoint_dir else Path(fn_args.model_run_dir, LOG_FILE)
    LOG.info("training; its log: %s", log)
    result = train(job, log)
    run_dir = Path(fn_args.model_run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / RESULT_FILE).write_text(result.model_dump_json(indent=1))
    if log.parent != run_dir:
        shutil.copyfile(log, run_dir / LOG_FILE)


def job_from(fn_args: Any) -> TrainingJob:
    """The job that TFX's arguments describe."""
    custom: Mapping[str, Any] = fn_args.custom_config
    training = TrainingConfig.model_validate(custom["training"])
    return TrainingJob(
        transform_graph=fn_args.transform_graph_path,
        train_files=_below(fn_args.train_files),
        eval_files=_below(fn_args.eval_files),
        rows=custom.get("rows", {}),
        label=custom["label"],
        task=custom["task"],
        class_labels=_class_labels(custom, fn_args.schema_path),
        left_out=tuple(custom["left_out"]),
        raw_schema=fn_args.schema_path or "",
        model=ModelConfig.model_validate(custom["model"]),
        training=training,
        export_dir=fn_args.serving_model_dir,
        training_dir=training_dir(str(Path(fn_args.serving_model_dir).parent)),
        log_dir=str(Path(fn_args.model_run_dir, "tensorboard")) if training.tensorboard else "",
        warm_start_from=training.warm_start_from or (fn_args.base_model or ""),
    )


def _below(files: Sequence[str]) -> tuple[str, ...]:
    """TFX's patterns `<folder>/*`, the folder quoted: it is a name, whatever characters it holds."""
    return tuple("/".join([patterns.quote(folder), last]) for folder, _, last in (f.rpartition("/") for f in files))


def with_checkpoints(job: TrainingJob, root: str) -> TrainingJob:
    """The job with its fingerprint, and the folder of checkpoints that belongs to it."""
    key = fingerprint(job)
    folder = str(Path(root, key)) if root else ""
    return job.model_copy(update={"fingerprint": key, "checkpoint_dir": folder})


def _class_labels(custom: Mapping[str, Any], schema_path: str | None) -> tuple[str, ...]:
    """The classes in the order of their indices: the schema's, which the data was written by."""
    if custom["task"] == "regression":
        return ()
    known = schemas.class_labels(schemas.read(Path(schema_path).parent), custom["label"]) if schema_path else ()
    return known or tuple(custom.get("classes", ()))
