"""A trained Taxiway model with everything that the optimizer reads, made without TFX.

python -m tests.components.optimizer.trained FOLDER [KIND]
"""

from __future__ import annotations

import json
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


def make(folder: str, kind: str = "wide_and_deep") -> None:
    """Writes `transform_graph/`, `examples/`, `transformed_examples/`, `schema/` and `model/`."""
    from taxiway.components.training.run import run_training

    root = Path(folder)
    write_transform_graph(root / "transform_graph", "binary")
    (root / "schema").mkdir()
    (root / "schema" / "schema.pbtxt").write_text(RAW_SCHEMA % "INT")
    if kind == "tabular":
        describe_views(root / "transform_graph")
    generator = np.random.default_rng(11)
    for split, count in ROWS.items():
        rows = make_rows(generator, count, "binary")
        for name, write in (("transformed_examples", write_examples), ("examples", write_raw)):
            (root / name / f"Split-{split}").mkdir(parents=True)
            write(root / name / f"Split-{split}" / "data-00000-of-00001.gz", rows)
    job = make_job(
        root,
        train_files=(str(root / "transformed_examples" / "Split-train" / "*"),),
        eval_files=(str(root / "transformed_examples" / "Split-eval" / "*"),),
        training={"epochs": 4, "decision": {"goal": "f1"}},
        class_labels=("no", "yes"),
        model={"kind": kind, "hidden_units": (64, 32)},
        export_dir=str(root / "model" / "Format-Serving"),
        training_dir=str(root / "model" / "training"),
    )
    run_training(job)


def describe_views(graph: Path) -> None:
    """Says that the features are the built-in preprocessing's views, so that every layer of the kind is built."""
    views = {"position": "numeric", "rank": "numeric", "robust": "numeric", "missing": "missing"}
    words = {"categories": "category_000", "vocabulary": "words", "unseen_ids": 1}
    (graph / "columns.json").write_text(json.dumps({"version": 3, "views": views, "quantile_bins": 8, **words}))
    (graph / "transform_fn" / "assets").mkdir(exist_ok=True)
    (graph / "transform_fn" / "assets" / "words").write_text("\n".join(f"0:{kind}" for kind in KINDS))


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
    make(*sys.argv[1:])
