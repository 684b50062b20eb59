"""AUC of a SavedModel on serialized examples, exact, in a process of its own.

`python -m taxiway.pipeline.bench.children.model_quality` is the child.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from taxiway.components.contract import SERVING_DEFAULT
from taxiway.components.metrics.curve_areas import compute_roc_auc, count_by_score
from taxiway.components.processes import subprocesses

BATCH_ROWS = 1024
TIP_SHARE = np.float32(0.2)
"""The label of TFX's example: the tip is more than this share of the fare."""


def measure_auc(job: dict[str, Any]) -> dict[str, Any]:
    """Scores every example.

    Args:
        job: `model` (a SavedModel with `serving_default`), `output` (name of its output of scores), `examples` (a
            folder of gzipped TFRecords), `label` (an int64 column; empty: computed from `tips` and `fare`).

    Returns:
        `auc`, `rows`, `positives`.
    """
    import tensorflow as tf

    from taxiway.components.saved_models.session import SavedModelSession

    files = sorted(str(path) for path in Path(job["examples"]).iterdir() if path.suffix == ".gz")
    raw = [record.numpy() for record in tf.data.TFRecordDataset(files, compression_type="GZIP")]
    batches = [np.array(raw[start : start + BATCH_ROWS], object) for start in range(0, len(raw), BATCH_ROWS)]
    with SavedModelSession(job["model"]) as session:
        score = session.bind_output(SERVING_DEFAULT, job["output"])
        scores = np.concatenate([score(batch).reshape(-1) for batch in batches])
    truth = _read_labels(tf, raw, job["label"])
    return {
        "auc": float(compute_roc_auc(*count_by_score(truth, scores))),
        "rows": len(raw),
        "positives": int(truth.sum()),
    }


def _read_labels(tf: Any, raw: list[bytes], label: str) -> np.ndarray:
    if label:
        column = tf.io.parse_example(raw, {label: tf.io.FixedLenFeature([], tf.int64)})[label]
        return column.numpy().astype(bool)
    spec = {name: tf.io.FixedLenFeature([], tf.float32, 0.0) for name in ("tips", "fare")}
    columns = {name: values.numpy() for name, values in tf.io.parse_example(raw, spec).items()}
    return columns["tips"] > columns["fare"] * TIP_SHARE


if __name__ == "__main__":
    subprocesses.run_child_main(measure_auc)
