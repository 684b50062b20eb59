"""A trained Taxiway model with everything that the optimizer reads, made without TFX.

python -m tests.components.optimizer.trained FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from tests.components.training.synthetic import (
    KINDS,
    RAW_SCHEMA,
    make_job,
    make_rows,
    write_examples,
    write_transform_graph,
)

ROWS = {"train": 4000, "eval": 2500}


def make(folder: str) -> None:
    """Writes `transform_graph/`, `examples/`, `transformed_examples/`, `schema/` and `model/`."""
    from components.training.run import run_training

    root = Path(folder)
    write_transform_graph(root / "transform_graph", "binary")
    (root / "schema").mkdir()
    (root / "schema" / "schema.pbtxt").write_text(RAW_SCHEMA % "INT")
    generator = np.random.default_rng(11)
    for split, count in ROWS.items():
        rows = make_rows(generator, count, "binary")
        for kind, write in (("transformed_examples", write_examples), ("examples", write_raw)):
            (root / kind / f"Split-{split}").mkdir(parents=True)
            write(root / kind / f"Split-{split}" / "data-00000-of-00001.gz", rows)
    job = make_job(
        root,
        train_files=(str(root / "transformed_examples" / "Split-train" / "*"),),
        eval_files=(str(root / "transformed_examples" / "Split-eval" / "*"),),
        training={"epochs": 4},
        model={"hidden_units": (64, 32)},
        export_dir=str(root / "model" / "Format-Serving"),
        training_dir=str(root / "model" / "training"),
    )
    run_training(job)


def write_raw(path: Path, rows: dict[str, Any]) -> None:
    """The raw rows behind transformed ones."""
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path), "GZIP") as out:
        for i in range(len(rows["label"])):
            kind = rows["category_000"][i]
            feature = {
                "Fare (USD)": _floats(rows["numeric"][i, 0]),
                "km": _floats(rows["numeric"][i, 1]),
                "kind": tf.train.Feature(bytes_list=tf.train.BytesList(value=[(*KINDS, "ship")[kind].encode()])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[rows["label"][i]])),
            }
            out.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())


def _floats(value: float) -> Any:
    import tensorflow as tf

    return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))


if __name__ == "__main__":
    make(sys.argv[1])
