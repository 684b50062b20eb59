"""Servables that stack optional columns, and rows that try their parser: one makes each column dense by itself, as
TFX's examples do, the other all of a kind at once, as the built-in preprocessing does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

COLUMNS = {
    **{f"number_{i}": tf.float32 for i in range(4)},
    **{f"count_{i}": tf.int64 for i in range(4)},
    **{f"code_{i}": tf.int64 for i in range(4)},
    **{f"word_{i}": tf.string for i in range(2)},
}


def save(folder: str, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """A servable that answers with what a function makes of the parsed columns."""
    spec = {name: tf.io.VarLenFeature(dtype) for name, dtype in COLUMNS.items()}
    module = tf.Module()
    module.serve = tf.function(
        lambda examples: answer(tf.io.parse_example(examples, spec)),
        input_signature=[tf.TensorSpec([None], tf.string, "examples")],
        autograph=False,
    )
    tf.saved_model.save(module, folder, signatures={"serving_default": module.serve})


NUMBERS = ("count_3", "number_1", "count_0", "number_0", "number_2")
TEXTS = ("word_1", "code_2", "word_0", "code_0", "code_1")
PLAIN = ("count_1", "count_2", "code_3")


def answer_columns(raw: dict[str, Any]) -> dict[str, Any]:
    """Numbers along both axes, and texts made of two dtypes; casts, texts, and columns that nothing changes."""
    numbers = [_convert_to_float(raw[name]) for name in NUMBERS]
    return {
        "probabilities": tf.stack(numbers, axis=1),
        "turned": tf.stack([*reversed(numbers), _convert_to_float(raw["number_3"])], axis=0),
        "texts": tf.stack([_convert_to_text(raw[name]) for name in TEXTS], axis=1),
        "plain": tf.stack([_take_first(raw[name], 7) for name in PLAIN], axis=1),
    }


def answer_groups(raw: dict[str, Any]) -> dict[str, Any]:
    """The same."""
    turned = (*reversed(NUMBERS), "number_3")
    return {
        "probabilities": _densify(raw, NUMBERS, float("nan"), _cast, 1),
        "turned": _densify(raw, turned, float("nan"), _cast, 0),
        "texts": _densify(raw, TEXTS, "__missing__", _write_values, 1),
        "plain": _densify(raw, PLAIN, 7, tf.identity, 1),
    }


def answer_crossed(raw: dict[str, Any]) -> dict[str, Any]:
    """The same operations, but each of two columns has the other's places."""
    one, other = (raw[name] for name in ("code_0", "code_1"))
    crossed = {
        "one": tf.SparseTensor(other.indices, one.values, other.dense_shape),
        "other": tf.SparseTensor(one.indices, other.values, one.dense_shape),
    }
    return {"probabilities": _densify(crossed, ("one", "other"), 0, tf.identity, 1)}


def _densify(raw: dict[str, Any], names: Sequence[str], default: Any, convert: Callable[[Any], Any], axis: int) -> Any:
    from taxiway.components.transform.dense_columns import densify_columns

    return densify_columns([raw[name] for name in names], default, convert, axis)


def _cast(values: Any) -> Any:
    return tf.cast(values, tf.float64)


def _take_first(column: Any, default: Any) -> Any:
    shape = tf.stack([column.dense_shape[0], tf.maximum(column.dense_shape[1], 1)])
    padded = tf.SparseTensor(column.indices, column.values, shape)
    return tf.sparse.to_dense(padded, tf.constant(default, column.dtype))[:, 0]


def _convert_to_float(column: Any) -> Any:
    cast = tf.SparseTensor(column.indices, tf.cast(column.values, tf.float64), column.dense_shape)
    return _take_first(cast, float("nan"))


def _convert_to_text(column: Any) -> Any:
    text = tf.SparseTensor(column.indices, _write_values(column.values), column.dense_shape)
    return _take_first(text, "__missing__")


def _write_values(values: Any) -> Any:
    return values if values.dtype == tf.string else tf.strings.as_string(values)


def make_rows() -> Any:
    """Serialized rows; some lack columns, one holds what no float64 holds."""
    random = np.random.default_rng(3)
    rows = [{name: _draw(random, dtype) for name, dtype in COLUMNS.items() if random.random() > 0.2} for _ in range(20)]
    rows.append({"count_0": _hold(int64_list=[2**53 + 1]), "code_0": _hold(int64_list=[-(2**63) + 1])})
    return np.array([_serialize(row) for row in rows], dtype=object)


def _draw(random: Any, dtype: Any) -> Any:
    if dtype == tf.float32:
        return _hold(float_list=[float(random.normal())])
    if dtype == tf.int64:
        return _hold(int64_list=[int(random.integers(-9, 99))])
    return _hold(bytes_list=[b"word %d" % random.integers(0, 9)])


def _hold(**values: list[Any]) -> Any:
    lists = {"float_list": tf.train.FloatList, "int64_list": tf.train.Int64List, "bytes_list": tf.train.BytesList}
    return tf.train.Feature(**{kind: lists[kind](value=content) for kind, content in values.items()})


def _serialize(row: dict[str, Any]) -> bytes:
    return bytes(tf.train.Example(features=tf.train.Features(feature=row)).SerializeToString())


def compare(folder: Path) -> dict[str, Any]:
    """Writes the servable frozen, with lean inputs and with fused columns; their operations, and what is equal."""
    from taxiway.components.optimizer.graphs import saved_model
    from taxiway.components.optimizer.variants.fused_columns import compare_answers, fuse_inputs, list_odd_batches
    from taxiway.components.optimizer.variants.lean_inputs import shorten_inputs

    save(str(folder / "trained"), answer_columns)
    models = {"frozen": saved_model.load_flat(str(folder / "trained"))}
    models["lean"] = shorten_inputs(models["frozen"])[0]
    models["fused"], columns = fuse_inputs(models["lean"])
    for name, model in models.items():
        saved_model.write_flat(model, str(folder / name))
    batches = list(list_odd_batches(make_rows()))
    paths = [str(folder / name) for name in ("trained", "fused")]
    return {
        "columns": columns,
        "ops": {name: saved_model.count_executed_ops(str(folder / name), "serving_default") for name in models},
        "equal": dict(compare_answers(*paths, batches)),
        "notices": _notices(paths, batches[0][1]),
    }


def compare_groups(folder: Path) -> dict[str, Any]:
    """Writes the servable that treats columns by groups with lean inputs; its operations, and what is equal."""
    from taxiway.components.optimizer.graphs import saved_model
    from taxiway.components.optimizer.graphs.column_groups import parse_groups_densely
    from taxiway.components.optimizer.variants.fused_columns import compare_answers, list_odd_batches
    from taxiway.components.optimizer.variants.lean_inputs import shorten_inputs

    paths = {name: str(folder / name) for name in ("columns", "groups", "lean", "crossed")}
    save(paths["columns"], answer_columns)
    save(paths["groups"], answer_groups)
    save(paths["crossed"], answer_crossed)
    lean, done = shorten_inputs(saved_model.load_flat(paths["groups"]))
    saved_model.write_flat(lean, paths["lean"])
    batches, crossed = list(list_odd_batches(make_rows())), saved_model.load_flat(paths["crossed"])
    return {
        "columns": done["columns"],
        "ops": saved_model.count_executed_ops(paths["lean"], "serving_default"),
        "equal": {name: dict(compare_answers(paths["columns"], paths[name], batches)) for name in ("groups", "lean")},
        "crossed": parse_groups_densely(crossed.graph, sorted(saved_model.list_kept_nodes(crossed.meta_graph)))[1],
    }


def _notices(paths: list[str], rows: Any) -> bool:
    """Whether the comparison sees other answers: those to the rows in another order."""
    from taxiway.components.optimizer.variants.fused_columns import answer_rows
    from taxiway.components.saved_models.session import SavedModelSession

    with SavedModelSession(paths[0], threads=1) as first, SavedModelSession(paths[1], threads=1) as second:
        return bool(answer_rows(first, rows) != answer_rows(second, rows[::-1]))
