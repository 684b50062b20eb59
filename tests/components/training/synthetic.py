"""A small transformed data set, made without TFX: what Transform would have written, in its files' shape.

Raw columns: `Fare (USD)` float, `km` float, `kind` text; transformed: `numeric`, `missing`, `buckets`, `category_000`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from taxiway.components.contract import Task
from taxiway.components.training import ModelConfig, TrainingConfig, TrainingJob

KINDS = ("bus", "taxi", "train")
RAW_SCHEMA = """
feature { name: "Fare (USD)" type: FLOAT presence { min_count: 1 } }
feature { name: "km" type: FLOAT presence { min_fraction: 1 min_count: 1 } shape { } }
feature { name: "kind" type: BYTES presence { min_count: 1 } }
feature { name: "secret" type: FLOAT presence { min_count: 1 } }
feature { name: "label" type: %s presence { min_fraction: 1 min_count: 1 } shape { } }
"""
TRANSFORMED_SCHEMA = """
feature { name: "numeric" type: FLOAT presence { min_fraction: 1 } shape { dim { size: 2 } } }
feature { name: "missing" type: FLOAT presence { min_fraction: 1 } shape { dim { size: 2 } } }
feature { name: "buckets" type: INT int_domain { max: 4 is_categorical: true } presence { min_fraction: 1 }
          shape { dim { size: 2 } } }
feature { name: "category_000" type: INT int_domain { max: 3 is_categorical: true } presence { min_fraction: 1 }
          shape { } }
feature { name: "label" type: %s presence { min_fraction: 1 } shape { } }
"""


def write_dataset(
    folder: Path, task: Task, train_rows: Sequence[int] = (400, 217), eval_rows: int = 203, seed: int = 3
) -> None:
    """Writes `transform_graph/`, `train-NN.gz`, one for each of `train_rows`, and `eval.gz`."""
    write_transform_graph(folder / "transform_graph", task)
    generator = np.random.default_rng(seed)
    for i, rows in enumerate(train_rows):
        write_examples(folder / f"train-{i:02d}.gz", make_rows(generator, rows, task))
    write_examples(folder / "eval.gz", make_rows(generator, eval_rows, task))


def make_rows(generator: np.random.Generator, rows: int, task: Task) -> dict[str, np.ndarray]:
    """Transformed columns whose label can be learned."""
    values = generator.normal(size=(rows, 2)).astype(np.float32)
    kinds = generator.integers(0, 4, rows)
    score = values[:, 0] - 0.5 * values[:, 1] + np.array([-1.0, 0.0, 1.0, 0.3])[kinds]
    noisy = score + generator.normal(scale=0.5, size=rows)
    labels = {"binary": noisy > 0, "multiclass": np.digitize(noisy, [-1, 1]), "regression": 100 * noisy + 500}[task]
    return {
        "numeric": values,
        "missing": np.zeros((rows, 2), np.float32),
        "buckets": np.clip(np.floor(values * 2) + 2, 0, 4).astype(np.int64),
        "category_000": kinds.astype(np.int64),
        "label": labels.astype(np.float32 if task == "regression" else np.int64),
    }


def write_examples(path: Path, columns: dict[str, np.ndarray]) -> None:
    """Serialized `tf.Example`s in a gzip TFRecord file."""
    import tensorflow as tf

    def feature(values: np.ndarray) -> tf.train.Feature:
        if values.dtype.kind == "f":
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    with tf.io.TFRecordWriter(str(path), "GZIP") as out:
        for i in range(len(columns["label"])):
            row = {name: feature(np.atleast_1d(values[i])) for name, values in columns.items()}
            out.write(tf.train.Example(features=tf.train.Features(feature=row)).SerializeToString())


def write_transform_graph(folder: Path, task: Task) -> None:
    """What `tft.TFTransformOutput` reads: both schemas and the graph from raw to transformed columns."""
    import tensorflow as tf

    kind = "FLOAT" if task == "regression" else "INT"
    for name, schema in (("metadata", RAW_SCHEMA), ("transformed_metadata", TRANSFORMED_SCHEMA)):
        (folder / name).mkdir(parents=True)
        (folder / name / "schema.pbtxt").write_text(schema % kind)
    module = tf.Module()
    module.transform_fn = _transform_fn(tf, tf.float32 if task == "regression" else tf.int64)
    tf.saved_model.save(module, str(folder / "transform_fn"))


def _transform_fn(tf: Any, label_dtype: Any) -> Any:
    def dense(column: Any, default: Any) -> Any:
        column = tf.SparseTensor(column.indices, column.values, [column.dense_shape[0], 1])
        return tf.squeeze(tf.sparse.to_dense(column, default), 1)

    def transform(inputs: dict[str, Any]) -> dict[str, Any]:
        fare = dense(inputs["Fare (USD)"], float("nan"))
        values = tf.stack([fare, inputs["km"]], axis=1)
        values.set_shape([None, 2])
        missing = tf.math.is_nan(values)
        kinds = tf.stack([tf.equal(dense(inputs["kind"], ""), k) for k in KINDS], axis=1)
        return {
            "numeric": tf.where(missing, 0.0, values),
            "missing": tf.cast(missing, tf.float32),
            "buckets": tf.cast(tf.clip_by_value(tf.floor(tf.where(missing, 0.0, values) * 2) + 2, 0, 4), tf.int64),
            "category_000": tf.where(tf.reduce_any(kinds, 1), tf.argmax(tf.cast(kinds, tf.int64), 1), 3),
            "label": inputs["label"],
        }

    sparse = {"Fare (USD)": tf.float32, "kind": tf.string, "secret": tf.float32}
    specs = {name: tf.SparseTensorSpec([None, None], dtype) for name, dtype in sparse.items()}
    specs |= {"km": tf.TensorSpec([None], tf.float32, "km"), "label": tf.TensorSpec([None], label_dtype, "label")}
    return tf.function(transform, input_signature=[specs], autograph=False)


def make_job(data: Path, out: Path | None = None, task: Task = "binary", **fields: Any) -> TrainingJob:
    """A job on the data of `write_dataset`; `training` and `model` are dicts of changed settings.

    Without XLA, whose choice by speed would show in the history of a slow machine.
    """
    training = {"epochs": 3, "global_batch_size": 64, "tensorboard": False, "xla": "off"} | fields.pop("training", {})
    model = {"hidden_units": (16, 8), "dropout": 0.0, "embedding_dim": 4} | fields.pop("model", {})
    places = {}
    if out is not None:
        places = {"training_dir": str(out / "training"), "checkpoint_dir": str(out / "checkpoints")}
    return TrainingJob(
        **{
            "transform_graph": str(data / "transform_graph"),
            "train_files": (str(data / "train-*.gz"),),
            "eval_files": (str(data / "eval.gz"),),
            "label": "label",
            "task": task,
            "left_out": ("secret",),
            "training": TrainingConfig.model_validate(training),
            "model": ModelConfig.model_validate(model),
            **places,
            **fields,
        }
    )
