"""The data of the distribution study, written in a process of its own: 18 numbers and a label, as Transform writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from taxiway.components.processes import subprocesses
from taxiway.pipeline.bench.children.train_rounds import FEATURES, make_rows

SCHEMA = """
feature { name: "numeric" type: FLOAT presence { min_fraction: 1 } shape { dim { size: %d } } }
feature { name: "label" type: INT presence { min_fraction: 1 } shape { } }
"""


def write_data(content: dict[str, Any]) -> dict[str, Any]:
    """Writes the files; says how many GPUs there are."""
    folder = Path(content["folder"])
    metadata = folder / "transform_graph" / "transformed_metadata"
    metadata.mkdir(parents=True)
    (metadata / "schema.pbtxt").write_text(SCHEMA % FEATURES)
    x, y = make_rows()
    for name, rows in (("train", slice(0, 18_000)), ("eval", slice(18_000, None))):
        with tf.io.TFRecordWriter(str(folder / f"{name}.gz"), "GZIP") as out:
            for values, label in zip(x[rows], y[rows], strict=True):
                out.write(make_example(values, label).SerializeToString())
    return {"gpus": len(tf.config.list_physical_devices("GPU"))}


def make_example(values: Any, label: Any) -> tf.train.Example:
    """One row."""
    feature = {
        "numeric": tf.train.Feature(float_list=tf.train.FloatList(value=values)),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature))


if __name__ == "__main__":
    subprocesses.run_child_main(write_data)
