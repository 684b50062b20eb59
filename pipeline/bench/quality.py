"""AUC of a SavedModel on serialized examples, exact, in a process of its own: `python -m pipeline.bench.quality`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from components import subprocesses
from components.measures.areas import area_under_roc, count_by_score

BATCH_ROWS = 1024
TIP_SHARE = np.float32(0.2)
"""The label of TFX's example: the tip is more than this share of the fare."""


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Scores every example.

    Args:
        job: `model` (a SavedModel with `serving_default`), `output` (name of its output of scores), `examples` (a
            folder of gzipped TFRecords), `label` (an int64 column; empty: computed from `tips` and `fare`).

    Returns:
        `auc`, `rows`, `positives`.
    """
    import tensorflow as tf

    files = sorted(str(path) for path in Path(job["examples"]).iterdir() if path.suffix == ".gz")
    raw = [record.numpy() for record in tf.data.TFRecordDataset(files, compression_type="GZIP")]
    score = tf.saved_model.load(job["model"]).signatures["serving_default"]
    batches = [tf.constant(raw[start : start + BATCH_ROWS]) for start in range(0, len(raw), BATCH_ROWS)]
    scores = np.concatenate([score(examples=batch)[job["output"]].numpy().reshape(-1) for batch in batches])
    truth = _labels(tf, raw, job["label"])
    return {
        "auc": float(area_under_roc(*count_by_score(truth, scores))),
        "rows": len(raw),
        "positives": int(truth.sum()),
    }


def _labels(tf: Any, raw: list[bytes], label: str) -> np.ndarray:
    if label:
        column = tf.io.parse_example(raw, {label: tf.io.FixedLenFeature([], tf.int64)})[label]
        return column.numpy().astype(bool)
    spec = {name: tf.io.FixedLenFeature([], tf.float32, 0.0) for name in ("tips", "fare")}
    columns = {name: values.numpy() for name, values in tf.io.parse_example(raw, spec).items()}
    return columns["tips"] > columns["fare"] * TIP_SHARE


if __name__ == "__main__":
    subprocesses.child_main(run)
