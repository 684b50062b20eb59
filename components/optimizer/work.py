"""The pieces of work that start TensorFlow, each called in a fork of its own (see `isolation`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from components.contract import Task
from components.errors import OptimizationError
from components.optimizer import data, graphs, measure, runtimes, served
from components.optimizer.config import OptimizationConfig
from components.optimizer.job import OptimizerJob
from components.optimizer.report import Check
from components.optimizer.variants import technique
from components.optimizer.variants.base import Piece, Workshop

FEATURES_FILE = "features.npz"
_BATCHES = 64
"""Different batches that the calls go round."""


def prepare(job: OptimizerJob, folder: str, reference: Piece) -> dict[str, Any]:
    """Writes the evaluation rows and the reference piece; tells what the machine has."""
    import tensorflow as tf

    drawn = data.prepare(
        job.examples, job.schema_uri, job.label, job.columns, job.config.quality_rows, job.config.seed, folder
    )
    devices = tf.config.list_physical_devices("GPU")
    gpus = [tf.config.experimental.get_device_details(d).get("device_name", d.name) for d in devices]
    core = _write_reference(job, folder, reference)
    slots = graphs.write_slim(Piece(job.model).servable, str(Path(reference.uri, "slim")))
    return {**drawn, "gpus": gpus, "tensorflow": tf.__version__, "core": core, "unused_bytes": slots}


def _write_reference(job: OptimizerJob, folder: str, reference: Piece) -> str:
    """The trained model as a piece. Returns why its core is not known; empty where it is.

    The core is exported from the Keras model; its features are the same rows as the raw ones, transformed here.
    """
    for path in (p for p in Path(job.model).iterdir() if p.name != "core"):
        Path(reference.uri, path.name).symlink_to(path.absolute())
    from components.optimizer import finetuning

    refused = finetuning.refusal(reference)
    if refused or not job.transform_graph:
        return refused or "there is no transform graph"
    workshop = Workshop.of(job, folder)
    trained = finetuning.load(workshop, reference)
    finetuning.save_core(trained.keras_model, trained.job, reference.core)
    features = data.transform(data.load_rows(folder), job.transform_graph, set(trained.keras_model.input_names))
    np.savez(Path(folder, FEATURES_FILE), **features)
    return ""


def load_features(folder: str) -> runtimes.Features:
    """The evaluation rows as transformed features, in the order of the raw rows."""
    with np.load(Path(folder, FEATURES_FILE)) as file:
        return {name: file[name] for name in file.files}


def make(workshop: Workshop, name: str, source: Piece, made: Piece) -> dict[str, Any]:
    """Applies one technique: pre-check, transform, post-check.

    Returns:
        `refused`: the pre-check's reason, empty where it went on; `checks`: of the post-check; `seconds` it took.
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


def score(piece: Piece, task: Task, folder: str, scores_file: str, xla: bool) -> dict[str, Any]:
    """Scores the evaluation rows, loaded afresh: through `serving_default` with XLA disabled unless the server has it
    enabled, or, where a variant is a core only, in its own runtime.

    Returns:
        `load_ms` and `first_ms` of loading and of the first request; `memory_mb` that
        loading and answering took, resident.
    """
    if not xla:
        served.disable_xla()
    rows, score_all = _questions(piece, folder)
    resident = psutil.Process().memory_info().rss
    started = time.perf_counter()
    call = _opened(piece, task)
    loaded = time.perf_counter()
    call(runtimes.first_row(rows))
    answered = time.perf_counter()
    scores = score_all(call, rows)
    _check_finite(scores)
    np.save(scores_file, scores)
    return {
        "load_ms": (loaded - started) * 1e3,
        "first_ms": (answered - loaded) * 1e3,
        "memory_mb": (psutil.Process().memory_info().rss - resident) / 1e6,
    }


def _questions(piece: Piece, folder: str) -> tuple[Any, Callable[..., Any]]:
    """The evaluation rows in the form that the piece reads, and how they are all scored."""
    if piece.is_whole:
        return data.load_rows(folder), served.in_batches
    return load_features(folder), runtimes.scores


def _opened(piece: Piece, task: Task) -> Callable[..., Any]:
    return served.Served(piece.servable, task) if piece.is_whole else runtimes.open_core(piece, task, 1)


def _check_finite(scores: Any) -> None:
    if not np.isfinite(scores).all():
        bad = int((~np.isfinite(scores)).any(axis=-1).sum())
        raise OptimizationError(f"{bad} of {len(scores)} evaluation rows get a score that is not a finite number.")


def latency(
    pieces: dict[str, Piece], task: Task, config: OptimizationConfig, folder: str, seconds: float
) -> list[dict[str, Any]]:
    """Times variants side by side, in a process pinned to as many cores as threads: the whole path, then the core.

    Args:
        pieces: By variant, the reference among them.
        task: Tells which output holds the scores.
        config: Batch sizes and how to measure.
        folder: Where the evaluation rows are.
        seconds: Wall time for all of it; each path and batch size gets its share.

    Returns:
        One record a variant, path and batch size: `name`, `path`, `batch_size`, and what `measure.figures` gives.
    """
    measure.pin(config.measuring.threads)
    if not config.xla:
        served.disable_xla()
    threads = config.measuring.threads
    whole = {n: served.Served(p.servable, task, threads) for n, p in pieces.items() if p.is_whole}
    core = {n: runtimes.open_core(p, task, threads) for n, p in pieces.items() if p.has_core or p.foreign}
    make_batches: dict[str, Callable[..., list[Any]]] = {}
    make_batches["whole"] = partial(measure.batches_of, data.load_rows(folder))
    if core:
        make_batches["core"] = partial(runtimes.feature_batches, load_features(folder))
    share = seconds / (len(make_batches) * len(config.batch_sizes))
    records = []
    for path, models in (("whole", whole), ("core", core)):
        for batch_size in config.batch_sizes if models else ():
            records += _timed(path, models, make_batches[path], batch_size, config, share)
    return records


def _timed(
    path: str,
    models: dict[str, Any],
    make_batches: Callable[..., list[Any]],
    batch_size: int,
    config: OptimizationConfig,
    share: float,
) -> list[dict[str, Any]]:
    batches = make_batches(batch_size, _BATCHES, config.seed)
    deadline = time.monotonic() + min(share, config.measuring.seconds * len(models))
    samples = measure.interleave(models, batches, config.measuring, config.seed, deadline)
    return [
        {
            "name": name,
            "path": path,
            "batch_size": batch_size,
            **measure.figures(samples, name, batch_size, config.bootstrap_samples, config.seed),
        }
        for name in models
    ]
