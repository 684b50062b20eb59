"""Opens the rows of a split: in memory, or as a stream; all of them, or a worker's own files."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from taxiway.components.errors import ConfigError, DataError, suggest_matches
from taxiway.components.processes import memory_limits
from taxiway.components.training.config import InputConfig
from taxiway.components.training.data import records
from taxiway.components.training.data.features import TransformedFeature, read_transformed_features
from taxiway.components.training.data.label_facts import LabelFacts
from taxiway.components.training.data.sources import (
    BatchSource,
    EmptySource,
    MemorySource,
    ReadRecipe,
    WorkerShard,
)
from taxiway.components.training.data.stream import StreamSource
from taxiway.components.training.job import TrainingJob, resolve_files

LOG = logging.getLogger(__name__)

SYNTHETIC_ROWS = 1 << 16
_FEATURE_BYTES = 16
"""Around the name and the values of a feature in a `tf.Example`."""


Gather = Callable[[float], list[float]]
"""Gives every worker's value to every worker."""


def open_source(
    job: TrainingJob, split: str, worker: int = 0, workers: int = 1, gather: Gather = lambda value: [value]
) -> BatchSource:
    """The rows of a split.

    Args:
        job: The job.
        split: `train` or `eval`.
        worker: This worker's number, for the training split.
        workers: The number of workers that share the training split.
        gather: A function that every worker calls, so that all of them decide alike whether rows fit in memory.

    Raises:
        DataError: there are no rows, or a weight is not one.
        ConfigError: the mode does not go with the strategy.
    """
    config = job.training.input
    files = resolve_files(job.train_files if split == "train" else job.eval_files, split)
    spec = build_parse_spec(read_transformed_features(job.transform_graph))
    recipe = ReadRecipe(tuple(files), spec, job.label, job.training.sample_weight)
    if config.mode == "synthetic" and split == "train":
        return _make_synthetic(job)
    in_memory = config.mode in ("memory", "cached")
    if config.mode == "auto":
        rows = job.rows.get(split) or sum(records.count_rows(files, config.readers))
        fits = fits_in_memory(estimate_memory_bytes(spec, rows), config)
        in_memory = all(gather(float(fits)))
    by_file = split == "train" and workers > 1 and _group_shards_by_file(config, in_memory, files, workers)
    if in_memory and not by_file:
        return _load_in_memory(job, recipe, split)
    return _open_parts(job, recipe, split, (worker, workers) if by_file else (0, 1), in_memory)


def _load_in_memory(job: TrainingJob, recipe: ReadRecipe, split: str) -> MemorySource:
    columns, weights = _load_columns(job, recipe)
    LOG.info("%s: %d rows of %d files in memory", split, len(columns[job.label]), len(recipe.files))
    repeat = split == "train" and job.training.input.mode == "cached"
    return MemorySource(columns, job.label, weights, recipe, repeat_one=repeat)


def _open_parts(
    job: TrainingJob, recipe: ReadRecipe, split: str, place: tuple[int, int], in_memory: bool
) -> BatchSource:
    """A stream, or a worker's own files; facts of all labels are the same for every worker."""
    worker, workers = place
    facts, rows = _find_label_facts(job, recipe, split, workers)
    shard = WorkerShard(worker, rows)
    own = ReadRecipe(recipe.files[worker::workers], recipe.spec, recipe.label, recipe.sample_weight)
    LOG.info("%s: %d rows, %d of them in this worker's %d files", split, facts.rows, rows[worker], len(own.files))
    if not rows[worker]:
        return EmptySource(facts, own, shard)
    if in_memory:
        columns, weights = _load_columns(job, own)
        return MemorySource(columns, job.label, weights, own, shard, facts)
    return StreamSource(facts, own, shard if workers > 1 else None, job.training.input)


def _find_label_facts(
    job: TrainingJob, recipe: ReadRecipe, split: str, workers: int
) -> tuple[LabelFacts, tuple[int, ...]]:
    """Facts of all labels, and the rows of each worker: as ExampleGen counted them, or by reading the labels."""
    counts, readers = job.class_rows.get(split, ()), job.training.input.readers
    if counts and sum(counts) == job.rows.get(split):
        by_file = records.count_rows(recipe.files, readers) if workers > 1 else [sum(counts)]
        if sum(by_file) == sum(counts):
            return LabelFacts.from_counts(counts), _share_files(by_file, workers)
    LOG.info("%s: the labels are not counted yet: %d files are read for them", split, len(recipe.files))
    facts_by_file = records.scan_labels(recipe.files, job.label, recipe.spec[job.label], readers)
    facts = functools.reduce(LabelFacts.merge_facts, facts_by_file, LabelFacts())
    if not facts.rows:
        raise DataError("The examples hold no rows.", "Look at ExampleGen's input and split.")
    return facts, _share_files([each.rows for each in facts_by_file], workers)


def _share_files(rows: Sequence[int], workers: int) -> tuple[int, ...]:
    """The rows of each worker, of the rows of each file."""
    return tuple(sum(rows[worker::workers]) for worker in range(workers))


def _group_shards_by_file(config: InputConfig, in_memory: bool, files: Sequence[str], workers: int) -> bool:
    if config.sharding == "file" and len(files) < workers:
        raise ConfigError(
            f"training.input.sharding is 'file', and {workers} workers cannot share {len(files)} files.",
            "Set it to auto or element, or write more files (a smaller data.shard_mib).",
        )
    return config.sharding == "file" or (config.sharding == "auto" and not in_memory and len(files) >= workers)


def _load_columns(job: TrainingJob, recipe: ReadRecipe) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    columns = records.load_columns(recipe.files, recipe.spec, job.training.input.readers)
    weights = read_row_weights(columns, job)
    columns.pop(job.training.sample_weight, None)
    return columns, weights


def _make_synthetic(job: TrainingJob) -> MemorySource:
    """Random rows of the right types, the same batch again and again."""
    generator = np.random.default_rng(job.training.seed)
    columns: dict[str, np.ndarray] = {}
    for feature in read_transformed_features(job.transform_graph):
        shape = (SYNTHETIC_ROWS, *feature.shape)
        whole = feature.dtype == "int64"
        limit = len(job.class_labels) or 2 if feature.name == job.label else feature.rows or 2
        columns[feature.name] = generator.integers(0, limit, shape) if whole else generator.normal(size=shape)
        columns[feature.name] = columns[feature.name].astype(feature.dtype)
    columns.pop(job.training.sample_weight, None)
    LOG.info("train: %d random rows", SYNTHETIC_ROWS)
    return MemorySource(columns, job.label, None, repeat_one=True)


def build_parse_spec(features: Sequence[TransformedFeature]) -> dict[str, Any]:
    """The parse spec of the features, for `tf.io.parse_example`."""
    return {f.name: tf.io.FixedLenFeature(f.shape, f.dtype) for f in features}


def read_row_weights(columns: dict[str, np.ndarray], job: TrainingJob) -> np.ndarray | None:
    """The sample weights, float32 `[rows]`; None where every row weighs 1.

    Raises:
        DataError: a weight is negative or not finite, or there is no such feature.
    """
    name = job.training.sample_weight
    if not name:
        return None
    if name not in columns:
        raise DataError(
            f"training.sample_weight names {name!r}, which Transform does not write.", suggest_matches(name, columns)
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
    available = memory_limits.read_available_bytes()
    fits = needed_bytes < available * config.memory_fraction
    LOG.info(
        "training.input.mode auto: %s; reading takes about %d MB, and %g of %d MB that are free may be used",
        "memory" if fits else "stream", needed_bytes // 10**6, config.memory_fraction, available // 10**6,
    )  # fmt: skip
    return fits


def estimate_memory_bytes(spec: dict[str, Any], rows: int) -> int:
    """What reading so many rows takes: each as its `tf.Example` (names, and up to 10 bytes a whole number) and parsed.

    Args:
        spec: The parse spec that `build_parse_spec` makes.
        rows: The number of rows.
    """
    features = [(len(name), math.prod(f.shape), tf.as_dtype(f.dtype)) for name, f in spec.items()]
    written = sum(name + _FEATURE_BYTES + values * (10 if kind.is_integer else 4) for name, values, kind in features)
    return rows * (written + sum(values * kind.size for _, values, kind in features))
