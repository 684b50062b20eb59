"""Our examples written as the csv files that TFX's example reads: the same rows, split the same way."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from components import subprocesses


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Writes one folder of csv a split.

    Args:
        job: `examples` (an `Examples` artifact's folder), `target`, `leave_out` (columns).

    Returns:
        Rows by split.
    """
    import tensorflow as tf

    rows = {split: _rows(tf, Path(job["examples"], f"Split-{split}")) for split in ("train", "eval")}
    columns = sorted({column for split in rows.values() for row in split for column in row} - set(job["leave_out"]))
    for split, found in rows.items():
        target = Path(job["target"], split, "data.csv")
        target.parent.mkdir(parents=True)
        with open(target, "w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(found)
    return {split: len(found) for split, found in rows.items()}


def _rows(tf: Any, folder: Path) -> list[dict[str, Any]]:
    files = sorted(str(path) for path in folder.iterdir() if path.suffix == ".gz")
    records = tf.data.TFRecordDataset(files, compression_type="GZIP")
    return [_row(tf.train.Example.FromString(record.numpy())) for record in records]


def _row(example: Any) -> dict[str, Any]:
    """One value a column; a missing value has no cell."""
    row = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        values = getattr(feature, kind).value if kind else ()
        if values:
            row[name] = _cell(values[0])
    return row


def _cell(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return str(np.float32(value)) if isinstance(value, float) else value  # the shortest text that reads as the same


if __name__ == "__main__":
    subprocesses.child_main(run)
