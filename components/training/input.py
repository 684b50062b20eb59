"""Opens the rows of a split: in memory, or as a stream; all of them, or a worker's own files."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from components import memory_limits
from components.errors import ConfigError, DataError, close_matches
from components.training import records, schema
from components.training.config import InputConfig
from components.training.job import TrainingJob, resolve_files
from components.training.sources import MemorySource, Recipe, Shard, Source
from components.training.stream import StreamSource

LOG = logging.getLogger(__name__)

SYNTHETIC_ROWS = 1 << 16
_FEATURE_BYTES = 16
"""Around the name and the values of a feature in a `tf.Example`."""


def open_source(job: TrainingJob, split: str, worker: int = 0, workers: int = 1) -> Source:
    """The rows of a split.

    Args:
        job: What is trained.
        split: `train` or `eval`.
        worker: This worker's number, for the training split.
        workers: How many share the training split.

    Raises:
        DataError: there are no rows, or a weight is not one.
        ConfigError: the mode does not go with the strategy.
    """
    config = job.training.input
    files = resolve_files(job.train_files if split == "train" else job.eval_files, split)
    spec = parse_spec(schema.transformed_features(job.transform_graph))
    recipe = Recipe(tuple(files), spec, job.label, job.training.sample_weight)
    if config.mode == "synthetic" and split == "train":
        return _synthetic(job)
    in_memory = config.mode in ("memory", "cached")
    if config.mode == "auto":
        in_memory = fits_in_memory(
            bytes_in_memory(spec, job.rows.get(split, 0)) or 2 * records.estimated_bytes(files), config
        )
    by_file = split == "train" and workers > 1 and _by_file(config, in_memory, files, workers)
    if in_memory and not by_file:
        return _in_memory(job, recipe, split)
    return _by_parts(job, recipe, split, (worker, workers) if by_file else (0, 1), in_memory)


def _in_memory(job: TrainingJob, recipe: Recipe, split: str) -> MemorySource:
    columns, weights = _load(job, recipe)
    LOG.info("%s: %d rows of %d files in memory", split, len(columns[job.label]), len(recipe.files))
    repeat = split == "train" and job.training.input.mode == "cached"
    return MemorySource(columns, job.label, weights, recipe, repeat_one=repeat)


def _by_parts(job: TrainingJob, recipe: Recipe, split: str, place: tuple[int, int], in_memory: bool) -> Source:
    """A stream, or a worker's own files: all labels are looked at first, for facts that every worker must share."""
    if job.training.strategy == "parameter_server" and not in_memory and split == "train":
        raise ConfigError(
            "training.strategy 'parameter_server' keeps the rows in each worker's memory, and the input is a stream.",
            "Set training.input.mode: memory, or choose multi_worker_mirrored.",
        )
    worker, workers = place
    labels = records.scan(recipe.files, job.label, recipe.spec[job.label], job.training.input.readers)
    every = np.concatenate(labels)
    shard = Shard(worker, tuple(sum(len(x) for x in labels[i::workers]) for i in range(workers)))
    own = Recipe(recipe.files[worker::workers], recipe.spec, recipe.label, recipe.sample_weight)
    LOG.info("%s: %d rows, %d of them in this worker's %d files", split, len(every), shard.rows[worker], len(own.files))
    if in_memory:
        columns, weights = _load(job, own)
        return MemorySource(columns, job.label, weights, own, shard, every)
    return StreamSource(every, own, shard if workers > 1 else None, job.training.input)


def _by_file(config: InputConfig, in_memory: bool, files: Sequence[str], workers: int) -> bool:
    if config.sharding == "file" and len(files) < workers:
        raise ConfigError(
            f"training.input.sharding is 'file', and {workers} workers cannot share {len(files)} files.",
            "Set it to auto or element, or write more files (data.shards).",
        )
    return config.sharding == "file" or (config.sharding == "auto" and not in_memory and len(files) >= workers)


def _load(job: TrainingJob, recipe: Recipe) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    columns = records.load(recipe.files, recipe.spec, job.training.input.readers)
    weights = row_weights(columns, job)
    columns.pop(job.training.sample_weight, None)
    return columns, weights


def _synthetic(job: TrainingJob) -> MemorySource:
    """Random rows of the right types, the same batch again and again."""
    generator = np.random.default_rng(job.training.seed)
    columns: dict[str, np.ndarray] = {}
    for feature in schema.transformed_features(job.transform_graph):
        shape = (SYNTHETIC_ROWS, *feature.shape)
        whole = feature.dtype == "int64"
        limit = len(job.class_labels) or 2 if feature.name == job.label else feature.rows or 2
        columns[feature.name] = generator.integers(0, limit, shape) if whole else generator.normal(size=shape)
        columns[feature.name] = columns[feature.name].astype(feature.dtype)
    columns.pop(job.training.sample_weight, None)
    LOG.info("train: %d random rows", SYNTHETIC_ROWS)
    return MemorySource(columns, job.label, None, repeat_one=True)


def parse_spec(features: Sequence[schema.Feature]) -> dict[str, Any]:
    """For `tf.io.parse_example`."""
    return {f.name: tf.io.FixedLenFeature(f.shape, f.dtype) for f in features}


def row_weights(columns: dict[str, np.ndarray], job: TrainingJob) -> np.ndarray | None:
    """The sample weights, float32 `[rows]`; None where every row weighs 1.

    Raises:
        DataError: a weight is negative or not finite, or there is no such feature.
    """
    name = job.training.sample_weight
    if not name:
        return None
    if name not in columns:
        raise DataError(
            f"training.sample_weight names {name!r}, which Transform does not write.", close_matches(name, columns)
        )
    weights = columns[name].astype(np.float32).reshape(-1)
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise DataError(
            f"The sample weight {name!r} holds values that are negative or not finite.",
            "Mend it in the preprocessing function.",
        )
    return weights


def fits_in_memory(needed_bytes: int, config: InputConfig) -> bool:
    """Whether `auto` keeps rows in memory, and says so with the numbers."""
    available = memory_limits.available_bytes()
    fits = needed_bytes < available * config.memory_fraction
    LOG.info(
        "training.input.mode auto: %s; reading takes about %d MB, and %g of %d MB that are free may be used",
        "memory" if fits else "stream", needed_bytes // 10**6, config.memory_fraction, available // 10**6,
    )  # fmt: skip
    return fits


def bytes_in_memory(spec: dict[str, Any], rows: int) -> int:
    """What reading so many rows takes: each as its `tf.Example` (names, and up to 10 bytes a whole number) and parsed.

    Args:
        spec: Of fixed-length features, as `parse_spec` makes them.
        rows: As ExampleGen counted them; 0: nobody knows, and nor does this.
    """
    features = [(len(name), math.prod(f.shape), tf.as_dtype(f.dtype)) for name, f in spec.items()]
    written = sum(name + _FEATURE_BYTES + values * (10 if kind.is_integer else 4) for name, values, kind in features)
    return rows * (written + sum(values * kind.size for _, values, kind in features))
