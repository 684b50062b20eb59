"""Profiles the label: task, classes, their shares, and the target that columns are scored against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from taxiway.components.contract import Task
from taxiway.components.errors import DataError
from taxiway.components.example_gen.config import LabelConfig
from taxiway.components.example_gen.labels.label import (
    compute_raw_label,
    find_spelling_variants,
    format_labels,
    guess_positive_class,
    list_distinct_labels,
    materialize_labels,
    order_classes,
)
from taxiway.components.tables.columns.texts import is_text

HEAVY_KURTOSIS = 15.0
"""Of a label: an exponential one has 9, a log-normal one as prices are 100 and more."""


@dataclass(frozen=True)
class LabelProfile:
    """Facts about the label.

    Attributes:
        config: Proposed section `label`.
        missing: Number of rows without a label.
        shares, counts: Shares and rows of the classes, in their order.
        mean, deviation, kurtosis: Moments of a regression's label; the last is 3 of a normal one, 9 of an exponential.
        absolute_deviation: Mean distance of a regression's label from its mean: the MAE of the naive model.
        why_positive: Reason why the last of two classes is the positive one.
    """

    config: LabelConfig
    missing: int
    shares: tuple[float, ...] = ()
    mean: float = 0.0
    deviation: float = 0.0
    kurtosis: float = 0.0
    absolute_deviation: float = 0.0
    counts: tuple[int, ...] = ()
    why_positive: str = ""

    @property
    def is_heavy_tailed(self) -> bool:
        """Whether a few very large values of a regression's label decide every sum of squares."""
        return self.config.task == "regression" and self.kurtosis > HEAVY_KURTOSIS


def make_label_config(wanted: str, names: tuple[str, ...]) -> LabelConfig:
    """The section `label` for a column's name, or for an expression over columns."""
    if wanted in names or wanted.isidentifier():
        return LabelConfig(column=wanted)
    try:
        config = LabelConfig(column="label", expression=wanted)
    except ValueError:
        return LabelConfig(column=wanted)  # the check names the columns that are there
    return config if "label" not in names else config.model_copy(update={"column": "the_label"})


def profile_label(
    config: LabelConfig, table: Mapping[str, pa.Array], task: Task | None
) -> tuple[LabelProfile, np.ndarray]:
    """The label's facts, and the target: float64 `[rows]` of values or class indices, NaN where missing."""
    config, raw = _merge_spellings(config, table, task)
    config, why_positive = _choose_classes(config.model_copy(update={"task": task or infer_task(raw)}), raw)
    values = materialize_labels(config, table, config.classes)
    target = values.cast(pa.float64()).fill_null(float("nan")).to_numpy(zero_copy_only=False)
    there = target[~np.isnan(target)]
    if not len(there):
        raise DataError(f"The label {config.column!r} has no value in any row.", "Choose another label.")
    if config.task == "regression":
        return _profile_numbers(config, values.null_count, there), target
    counts = np.bincount(there.astype(np.int64), minlength=len(config.classes)).tolist()
    shares = tuple(count / len(there) for count in counts)
    return LabelProfile(config, values.null_count, shares, counts=tuple(counts), why_positive=why_positive), target


def _profile_numbers(config: LabelConfig, missing: int, values: np.ndarray) -> LabelProfile:
    mean, deviation = float(values.mean()), float(values.std())
    return LabelProfile(
        config,
        missing,
        mean=mean,
        deviation=deviation,
        kurtosis=float((((values - mean) / deviation) ** 4).mean()) if deviation > 0 else 0.0,
        absolute_deviation=float(np.abs(values - mean).mean()),
    )


def _merge_spellings(
    config: LabelConfig, table: Mapping[str, pa.Array], task: Task | None
) -> tuple[LabelConfig, pa.Array]:
    """The label's raw values, with spellings that differ by case and spaces only merged."""
    raw = compute_raw_label(config, table)
    spellings = find_spelling_variants(_count_labels(raw)) if task != "regression" and is_text(raw.type) else {}
    if not spellings:
        return config, raw
    config = config.model_copy(update={"spellings": spellings})
    return config, compute_raw_label(config, table)


def _choose_classes(config: LabelConfig, raw: pa.Array) -> tuple[LabelConfig, str]:
    """Adds the classes in their order.

    Returns:
        The section `label`, and why the last of two classes is the positive one.
    """
    if config.task == "regression":
        return config, ""
    classes, why_positive = order_classes(config, list_distinct_labels(raw)), ""
    if config.task == "binary":
        classes, why_positive = guess_positive_class(classes, _count_labels(raw))
    return config.model_copy(update={"classes": classes}), why_positive


def _count_labels(raw: pa.Array) -> dict[str, int]:
    """How many rows have which label, as text."""
    counted = pc.value_counts(raw.drop_null())
    texts = format_labels(counted.field("values"))
    return {str(text): count for text, count in zip(texts, counted.field("counts").to_pylist(), strict=True)}


def infer_task(raw: pa.Array) -> Task:
    """Two values: binary; text or a few whole numbers: multiclass; else regression."""
    unique = pc.unique(raw).drop_null()
    if len(unique) <= 2 or pa.types.is_boolean(raw.type):
        return "binary"
    if is_text(raw.type):
        return "multiclass"
    numbers = unique.cast(pa.float64()).to_numpy(zero_copy_only=False)
    few = len(numbers) <= min(20, max(3, len(raw) // 20))
    return "multiclass" if few and bool((numbers == np.floor(numbers)).all()) else "regression"
