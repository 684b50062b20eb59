"""The pieces of work that start TensorFlow, each called in a fork of its own (see `isolation`)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from components.contract import Task
from components.errors import OptimizationError
from components.optimizer import data, measure, served
from components.optimizer.config import OptimizationConfig
from components.optimizer.job import OptimizerJob
from components.optimizer.report import Check
from components.optimizer.variants import technique
from components.optimizer.variants.base import Piece, Workshop


def prepare(job: OptimizerJob, folder: str) -> dict[str, Any]:
    """Writes the evaluation rows; tells what the machine has."""
    import tensorflow as tf

    drawn = data.prepare(
        job.examples, job.schema_uri, job.label, job.columns, job.config.quality_rows, job.config.seed, folder
    )
    gpus = [tf.config.experimental.get_device_details(d).get("device_name", d.name) for d in _gpus()]
    return {**drawn, "gpus": gpus, "tensorflow": tf.__version__}


def _gpus() -> list[Any]:
    import tensorflow as tf

    return list(tf.config.list_physical_devices("GPU"))


def make(workshop: Workshop, name: str, source: Piece, made: Piece) -> dict[str, Any]:
    """Applies one technique: pre-check, transform, post-check.

    Returns:
        `refused`: the pre-check's reason, empty where it went on; `checks`: of the post-check; `seconds` of the transform.
    """
    method = technique(name)
    refused = method.pre_check(workshop, source)
    if refused:
        return {"refused": refused, "checks": [], "seconds": 0.0}
    started = time.monotonic()
    Path(made.uri).mkdir(parents=True)
    method.transform(workshop, source, made)
    seconds = time.monotonic() - started
    checks: list[Check] = method.post_check(workshop, source, made)
    return {"refused": "", "checks": [check.model_dump() for check in checks], "seconds": seconds}


def score(servable: str, task: Task, folder: str, scores_file: str) -> dict[str, Any]:
    """Scores the evaluation rows through `serving_default`, loaded afresh and with XLA disabled as in serving."""
    served.disable_xla()
    with served.opened(servable, task) as model:
        scores = model.scores(data.load_rows(folder))
    if not np.isfinite(scores).all():
        bad = int((~np.isfinite(scores)).any(axis=-1).sum())
        raise OptimizationError(f"{bad} of {len(scores)} evaluation rows get a score that is not a finite number.")
    np.save(scores_file, scores)
    return {"rows": len(scores)}


def latency(
    servables: dict[str, str], task: Task, config: OptimizationConfig, folder: str, seconds: float
) -> list[dict[str, Any]]:
    """Times servables side by side on the whole path, in a process pinned to as many cores as threads.

    Args:
        servables: Folder by variant, the reference among them.
        task: Tells which output holds the scores.
        config: Batch sizes and how to measure.
        folder: Where the evaluation rows are.
        seconds: Wall time for all of it; each batch size gets its share.

    Returns:
        One record for each variant and batch size: `name`, `batch_size`, and what `measure.figures` gives.
    """
    measure.pin(config.measuring.threads)
    served.disable_xla()
    rows = data.load_rows(folder)
    models = {name: served.Served(path, task, config.measuring.threads) for name, path in servables.items()}
    records = []
    for batch_size in config.batch_sizes:
        share = min(seconds / len(config.batch_sizes), config.measuring.seconds * len(models))
        batches = measure.batches_of(rows, batch_size, 64, config.seed)
        samples = measure.interleave(models, batches, config.measuring, config.seed, time.monotonic() + share)
        for name in models:
            figures = measure.figures(samples, name, batch_size, config.bootstrap_samples, config.seed)
            records.append({"name": name, "batch_size": batch_size, "path": "whole", **figures})
    return records
