"""The pieces of work that start TensorFlow, each called in a fork of its own (see `isolation`)."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from components.contract import Task
from components.errors import OptimizationError
from components.optimizer import data, judging, measure, runtimes, served, slim, variants
from components.optimizer.config import REFERENCE, OptimizationConfig
from components.optimizer.job import OptimizerJob
from components.optimizer.report import Check
from components.optimizer.variants.base import Piece, Workshop
from components.training import tracing

LOG = logging.getLogger(__name__)

FEATURES_FILE = "features.npz"
_BATCHES = 64
"""Different batches that the calls go round."""


def preload(techniques: Iterable[str]) -> None:
    """Imports, in the process that forks, what the forks would import one by one. Nothing of it starts TensorFlow."""
    tracing.keep_keras_unconverted()
    importlib.import_module("components.optimizer.finetuning")
    for name in techniques:
        _import(name)


def _import(technique: str) -> None:
    try:
        variants.technique(technique)
    except (ImportError, OSError) as error:  # the fork that needs it says so, as its variant's failure
        LOG.warning("%s could not be imported: %s", technique, error)


def prepare_rows(job: OptimizerJob, folder: str) -> dict[str, Any]:
    """Writes the evaluation rows, raw and transformed; tells what the machine has."""
    import tensorflow as tf

    drawn = data.prepare(
        job.examples, job.schema_uri, job.label, job.columns, job.config.quality_rows, job.config.seed, folder
    )
    if not core_refusal(job):
        np.savez(Path(folder, FEATURES_FILE), **data.transform(data.load_rows(folder), job.transform_graph))
    devices = tf.config.list_physical_devices("GPU")
    gpus = [tf.config.experimental.get_device_details(d).get("device_name", d.name) for d in devices]
    return {**drawn, "gpus": gpus, "tensorflow": tf.__version__}


def prepare_reference(job: OptimizerJob, folder: str, reference: Piece) -> dict[str, Any]:
    """Makes the trained model a piece, with its core where it is known, and a copy without what no signature reads."""
    for path in (p for p in Path(job.model).iterdir() if p.name != "core"):
        Path(reference.uri, path.name).symlink_to(path.absolute())
    refused = core_refusal(job)
    if not refused:
        from components.optimizer import finetuning

        trained = finetuning.load(Workshop.of(job, folder), reference)
        finetuning.save_core(trained.keras_model, trained.job, reference.core)
    unused = slim.write_slim(Piece(job.model).servable, str(Path(reference.uri, slim.FOLDER)))
    return {"core": refused, "unused_bytes": unused}


def core_refusal(job: OptimizerJob) -> str:
    """Why the core of the trained model is not known; empty where it is."""
    from components.optimizer import finetuning

    return finetuning.refusal(Piece(job.model)) or ("" if job.transform_graph else "there is no transform graph")


def load_features(folder: str) -> runtimes.Features:
    """The evaluation rows as transformed features, in the order of the raw rows."""
    with np.load(Path(folder, FEATURES_FILE)) as file:
        return {name: file[name] for name in file.files}


def make(workshop: Workshop, name: str, source: Piece, made: Piece) -> dict[str, Any]:
    """Applies one technique: pre-check, transform, post-check.

    Returns:
        `refused`: the pre-check's reason, empty where it went on; `checks`: of the post-check; `seconds` it took.
    """
    method = variants.technique(name)
    refused = method.pre_check(workshop, source)
    if refused:
        return {"refused": refused, "checks": [], "seconds": 0.0}
    started = time.monotonic()
    Path(made.uri).mkdir(parents=True)
    method.transform(workshop, source, made)
    seconds = time.monotonic() - started
    checks: list[Check] = method.post_check(workshop, source, made)
    return {"refused": "", "checks": [check.model_dump() for check in checks], "seconds": seconds}


def score(piece: Piece, job: OptimizerJob, folder: str, name: str) -> dict[str, Any]:
    """Scores the evaluation rows, loaded afresh, and judges the scores: through `serving_default` with XLA disabled
    unless the server has it enabled, or, where a variant is a core only, in its own runtime.

    Returns:
        `memory_mb` that loading and answering took, resident; `quality` and `output_error` as in the report.
    """
    if not job.config.xla:
        served.disable_xla()
    rows, score_all = _questions(piece, folder)
    resident = psutil.Process().memory_info().rss
    call = _opened(piece, job.task)
    call(runtimes.first_row(rows))
    memory = (psutil.Process().memory_info().rss - resident) / 1e6
    scores = np.asarray(score_all(call, rows), np.float64)
    _check_finite(scores)
    np.save(Path(folder, f"{name}.npy"), scores)
    return {"memory_mb": memory, **_judged(job, folder, scores)}


def _judged(job: OptimizerJob, folder: str, scores: Any) -> dict[str, Any]:
    labels, columns = data.load_columns(folder)
    slices = list(judging.slices_of(columns, job.slices, job.config.min_slice_rows))
    reference = np.load(Path(folder, f"{REFERENCE}.npy"))
    error = judging.output_error(job.task, scores, reference)
    kept = list(job.config.constraints.allowed_drops(job.task, job.metric))
    quality = judging.quality(kept, labels, scores, reference, slices, job.config, same=error.same)
    return {"quality": quality.model_dump(), "output_error": error.model_dump()}


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
) -> dict[str, Any]:
    """Times variants side by side, in a process pinned to as many cores as threads: the whole path, then the core.

    Args:
        pieces: By variant, the reference among them.
        task: Tells which output holds the scores.
        config: Batch sizes and how to measure.
        folder: Where the evaluation rows are.
        seconds: Wall time for all of it; each path and batch size gets its share.

    Returns:
        `records`, one a variant, path and batch size: `name`, `path`, `batch_size`, and what `measure.figures` gives;
        `starts`: by variant, `load_ms` and `first_ms`.
    """
    started = time.monotonic()
    measure.pin(config.measuring.threads)
    if not config.xla:
        served.disable_xla()
    threads = config.measuring.threads
    rows = data.load_rows(folder)
    served.Served(pieces[REFERENCE].servable, task, threads)(rows[:1]).sum()  # what only a first model costs
    whole, starts = _loaded({n: p for n, p in pieces.items() if p.is_whole}, _whole, rows, task, threads)
    cores = {n: p for n, p in pieces.items() if p.has_core or p.foreign}
    features = load_features(folder) if cores else {}
    core, core_starts = _loaded(cores, runtimes.open_core, features, task, threads)
    paths: list[tuple[str, dict[str, Any], Callable[..., list[Any]]]] = [
        ("whole", whole, partial(measure.batches_of, rows)),
        ("core", core, partial(runtimes.feature_batches, features)),
    ]
    share = (seconds - (time.monotonic() - started)) / (2 * len(config.batch_sizes))
    records = []
    for path, models, make_batches in paths:
        for batch_size in config.batch_sizes if models else ():
            records += _timed(path, models, make_batches, batch_size, config, share)
    return {"records": records, "starts": {**core_starts, **starts}}


def _whole(piece: Piece, task: Task, threads: int) -> Callable[..., Any]:
    return served.Served(piece.servable, task, threads)


def _loaded(
    pieces: dict[str, Piece], open_piece: Callable[..., Any], rows: Any, task: Task, threads: int
) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    """The models, and what it took to load each and to answer its first request."""
    models, starts = {}, {}
    for name, piece in pieces.items():
        began = time.perf_counter()
        models[name] = open_piece(piece, task, threads)
        loaded = time.perf_counter()
        models[name](runtimes.first_row(rows))
        starts[name] = {"load_ms": (loaded - began) * 1e3, "first_ms": (time.perf_counter() - loaded) * 1e3}
    return models, starts


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
