"""What `kind: linear` has learned, by the columns that people know.

The answer is the bias and, of each of the row's terms, its weight: times the number that the transform graph makes of a
column, or as it is where the row has the bucket, the word or the hash.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_transform as tft
from numpy.typing import NDArray

from taxiway.components.contract import COLUMNS_FILE
from taxiway.components.training.data.features import TransformedFeature, read_transformed_features, select_model_inputs
from taxiway.components.training.job import TrainingJob
from taxiway.components.training.model.export import calibrate_logits

MOST_NUMBERS = 1000
"""Weights that are told, the largest ones: a vocabulary has tens of thousands, and each class has its own."""
UNITS = {"binary": "log_odds", "multiclass": "logits", "regression": "label"}
MISSING_TEXT = "__missing__"
"""The word of a missing value in the vocabulary."""

Term = dict[str, Any]
Namer = Callable[[int], Term]
"""From a position (of a number) or an id to its term: `column`, `kind`, and `value` where the kind has several."""
Content = Mapping[str, Any]
"""Of `columns.json`, and the lines of the vocabulary under `lines`."""


def describe_linear_weights(model: Any, job: TrainingJob) -> dict[str, Any] | None:
    """What `history.json` holds under `linear_weights`; see `docs/training.md`. None for every other kind.

    Args:
        model: The trained model, float32 on one device.
        job: Its job, with the decision rule that is exported: the weights are those of the served answer.
    """
    if job.model.kind != "linear" or job.model.function:
        return None
    features = select_model_inputs(
        read_transformed_features(job.transform_graph), job.label, job.training.sample_weight
    )
    learned = {layer.name: layer.get_weights() for layer in model.layers}
    parts = [learned[name][0] for name in ("linear_numbers", "linear_embedding") if name in learned]
    bias, weights = _scale_as_served(learned["logits"][0], np.concatenate(parts), job)
    size = np.abs(weights).max(axis=1)
    order = np.argsort(-size, kind="stable")[: np.count_nonzero(size)]
    told = order[: max(MOST_NUMBERS // len(bias), 1)]
    terms = _name_terms(features, _read_content(job.transform_graph), told)
    return {
        "unit": UNITS[job.task],
        "classes": list(job.class_labels),
        "numeric_limit": job.model.numeric_limit,
        "bias": _round_weights(bias),
        "weights": [{**term, "weights": _round_weights(weights[row])} for term, row in zip(terms, told, strict=True)],
        "left_out": len(order) - len(told),
        "largest_left_out": max(_round_weights(size[order[len(told) :]][:1]), default=None),
    }


def _scale_as_served(
    bias: NDArray[np.float32], weights: NDArray[np.float32], job: TrainingJob
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bias `[units]` and weights `[terms, units]`: of a regression in the label's unit, else as the rule calibrates."""
    if job.task == "regression":
        mean, scale = job.label_scale.mean, job.label_scale.scale
        return bias.astype(np.float64) * scale + mean, weights.astype(np.float64) * scale
    rows = np.concatenate([bias[None], np.zeros_like(bias[None]), weights])
    served = np.asarray(calibrate_logits(rows, job), np.float64)
    return served[0], served[2:] - served[1]


def _round_weights(values: NDArray[np.float64]) -> list[float]:
    return [float(f"{value:.6g}") for value in values]


def _read_content(transform_graph: str) -> Content:
    """What the built-in preprocessing wrote beside its graph; empty for a user's own."""
    file = Path(transform_graph, COLUMNS_FILE)
    if not file.exists():
        return {}
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if "vocabulary" in content:
        lines = tft.TFTransformOutput(transform_graph).vocabulary_by_name(content["vocabulary"])
        content["lines"] = [line.decode("utf-8", "surrogateescape") for line in lines]
    return content


def _name_terms(features: list[TransformedFeature], content: Content, told: NDArray[np.int64]) -> list[Term]:
    """The terms of the weights in these rows, which are in the model's order: numbers, then ids."""
    numbers = [f for f in features if f.dtype == "float32"]
    namers = [(f.size, _make_namer(f, content)) for f in numbers]
    namers += [(f.rows, _make_namer(f, content)) for f in features if f.rows]
    ends = np.cumsum([count for count, _ in namers])
    blocks = np.searchsorted(ends, told, side="right")
    starts = ends - [count for count, _ in namers]
    return [namers[block][1](int(row - starts[block])) for block, row in zip(blocks, told, strict=True)]


# ---- terms ----


def _make_namer(feature: TransformedFeature, content: Content) -> Namer:
    prefix, _, name = feature.name.rpartition("taxiway_")
    own = _NAMERS.get(name.lstrip("_")) if content and not prefix else None
    return own(feature, content) if own else _name_users_own(feature)


def _name_users_own(feature: TransformedFeature) -> Namer:
    if feature.rows:
        return lambda index: {"column": feature.name, "kind": "id", "value": index}
    if feature.size == 1:
        return lambda index: {"column": feature.name, "kind": "number"}
    return lambda index: {"column": feature.name, "kind": "number", "value": index}


def _name_numbers(kind: str) -> Callable[[TransformedFeature, Content], Namer]:
    return lambda feature, content: lambda index: {"column": content["numeric"][index], "kind": kind}


def _name_buckets(feature: TransformedFeature, content: Content) -> Namer:
    """The last bucket of each column is that of missing values."""
    columns = content["numeric"]
    count = feature.rows // len(columns)

    def name_bucket(index: int) -> Term:
        column, bucket = divmod(index, count)
        value = None if bucket == count - 1 else bucket
        return {"column": columns[column], "kind": "bucket", "value": value, "buckets": count - 1}

    return name_bucket


def _name_words(feature: TransformedFeature, content: Content) -> Namer:
    """First each column's buckets of unseen words, then the vocabulary."""
    columns, unseen = content["categorical"], content["unseen_ids"]

    def name_word(index: int) -> Term:
        if index < unseen:
            column, bucket = divmod(index, unseen // len(columns))
            return {"column": columns[column], "kind": "unseen", "value": bucket}
        position, _, word = content["lines"][index - unseen].partition(":")
        return {"column": columns[int(position)], "kind": "word", "value": None if word == MISSING_TEXT else word}

    return name_word


def _name_hashes(key: str, kind: str) -> Callable[[TransformedFeature, Content], Namer]:
    """Columns of as many ids (of hashed values) or numbers (of hashed words) each."""

    def make_namer(feature: TransformedFeature, content: Content) -> Namer:
        columns = content[key]
        count = (feature.rows or feature.size) // len(columns)
        return lambda index: {"column": columns[index // count], "kind": kind, "value": index % count}

    return make_namer


def _name_calendar(feature: TransformedFeature, content: Content) -> Namer:
    """A sine and a cosine a part, then whether the time is missing; earlier releases wrote no parts."""
    terms: list[Term] = []
    for column, parts in content.get("calendar_parts", {}).items():
        circles = [f"{circle} of {part}" for part in parts for circle in ("sine", "cosine")]
        terms += [{"column": column, "kind": "calendar", "value": value} for value in circles]
        terms.append({"column": column, "kind": "missing"})
    return (lambda index: terms[index]) if len(terms) == feature.size else _name_users_own(feature)


_NAMERS: dict[str, Callable[[TransformedFeature, Content], Namer]] = {
    "numeric": _name_numbers("z_score"),
    **{view: _name_numbers(view) for view in ("missing", "position", "rank", "robust")},
    "buckets": _name_buckets,
    "categories": _name_words,
    "hashes": _name_hashes("hashed", "hash"),
    "words": _name_hashes("text", "text"),
    "calendar": _name_calendar,
}
"""By the name of a feature of the built-in preprocessing, without its prefix."""
