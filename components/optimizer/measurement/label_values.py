"""The labels of evaluation rows: of the raw rows, or made of them by the transform graph.

A stock pipeline often makes the label inside its `preprocessing_fn`. A raw column of the same name then holds something
else (an amount, a word), and judging by it would give plausible numbers that mean nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from taxiway.components.contract import Task
from taxiway.components.errors import DataError, suggest_matches

Floats = NDArray[np.float64]


def find_labels(rows: NDArray[Any], raw: Sequence[Any] | None, label: str, task: Task, transform_graph: str) -> Floats:
    """Labels `[rows]`: what the transform graph makes under the label's name, where it does, else the raw column.

    Args:
        rows: Serialized raw rows.
        raw: The raw column, None where a row has no value; None: there is no such column.
        label: The label's name.
        task: Task, which says what a label may be.
        transform_graph: URI of the transform graph; empty: the raw column is the label.

    Raises:
        DataError: Neither has such labels.
    """
    made = _read_made_features(transform_graph) if transform_graph else ()
    if label in made:
        return _convert_labels(transform_column(rows, transform_graph, label), label, task, "the transform graph", ())
    if raw is None:
        raise DataError(
            f"Neither the examples nor the transform graph have a column {label!r}.",
            f"{suggest_matches(label, made)} Pass label= as the examples or the transformed features have it.".strip(),
        )
    return _convert_labels(raw, label, task, "the examples", made)


def _read_made_features(transform_graph: str) -> tuple[str, ...]:
    import tensorflow_transform as tft

    return tuple(sorted(tft.TFTransformOutput(transform_graph).transformed_feature_spec()))


def transform_column(rows: NDArray[Any], transform_graph: str, name: str) -> list[Any]:
    """One transformed feature of raw rows, in their order: the first value of each, None where there is none."""
    import tensorflow_transform as tft

    graph = tft.TFTransformOutput(transform_graph)
    transform, spec = graph.transform_features_layer(), graph.raw_feature_spec()
    values: list[Any] = []
    for start in range(0, len(rows), 4096):
        value = transform(tf.io.parse_example(tf.constant(rows[start : start + 4096]), spec))[name]
        values += _list_first_values(value)
    return values


def _list_first_values(value: Any) -> list[Any]:
    if isinstance(value, tf.SparseTensor):
        value = tf.RaggedTensor.from_sparse(value)
    if isinstance(value, tf.RaggedTensor):
        return [row[0] if row else None for row in value.to_list()]
    return list(value.numpy().reshape(len(value), -1)[:, 0].tolist())


def _convert_labels(values: Sequence[Any], label: str, task: Task, where: str, made: Sequence[str]) -> Floats:
    missing = sum(value is None or value != value for value in values)
    if missing:
        raise DataError(
            f"{missing} of {len(values)} evaluation rows have no label {label!r}.",
            "Labels are made with the examples; check label.column and the schema.",
        )
    wrong = next((value for value in values if not _is_label(value, task)), None)
    if wrong is not None:
        shown = wrong.decode(errors="replace") if isinstance(wrong, bytes) else wrong
        wanted = {"binary": "0 or 1", "multiclass": "an index of a class"}.get(task, "a number")
        raise DataError(
            f"The label {label!r} of {where} is {shown!r} in a row, and not {wanted}, which a {task} task has.",
            _suggest_made(label, made),
        )
    return np.array([float(value) for value in values])


def _is_label(value: Any, task: Task) -> bool:
    if isinstance(value, (bytes, str)):
        return False
    if task == "regression":
        return True
    return value in (0, 1) if task == "binary" else float(value).is_integer() and value >= 0


def _suggest_made(label: str, made: Sequence[str]) -> str:
    if not made:
        return "Make it so before the examples are written, or name another task or label."
    named = sorted(made, key=lambda name: (not name.startswith(label), name))
    return f"If preprocessing_fn makes the label, pass its name after the transform. It makes: {', '.join(named[:20])}."
