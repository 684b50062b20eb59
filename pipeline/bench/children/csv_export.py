"""Our examples written as the csv files that TFX's example reads: the same rows, split the same way."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from taxiway.components.contract import EVAL_SPLIT, TRAIN_SPLIT, judging_split_dir, split_dir
from taxiway.components.processes import subprocesses


def export_rows(job: dict[str, Any]) -> dict[str, Any]:
    """Writes one folder of csv a split.

    Args:
        job: `examples` (an `Examples` artifact's folder), `target`, `leave_out` (columns).

    Returns:
        Rows by split.
    """
    import tensorflow as tf

    # What TFX's example calls eval chooses nothing in it: it gets the rows on which both are judged.
    folders = {TRAIN_SPLIT: split_dir(job["examples"], TRAIN_SPLIT), EVAL_SPLIT: judging_split_dir(job["examples"])}
    rows = {split: _read_rows(tf, Path(folder)) for split, folder in folders.items()}
    columns = sorted({column for split in rows.values() for row in split for column in row} - set(job["leave_out"]))
    for split, split_rows in rows.items():
        _fill_empty_columns(split_rows, rows["train"] + rows["eval"])
        target = Path(job["target"], split, "data.csv")
        target.parent.mkdir(parents=True)
        with open(target, "w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(split_rows)
    return {split: len(split_rows) for split, split_rows in rows.items()}


def _read_rows(tf: Any, folder: Path) -> list[dict[str, Any]]:
    files = sorted(str(path) for path in folder.iterdir() if path.suffix == ".gz")
    records = tf.data.TFRecordDataset(files, compression_type="GZIP")
    return [_parse_row(tf.train.Example.FromString(record.numpy())) for record in records]


def _fill_empty_columns(rows: list[dict[str, Any]], all_rows: list[dict[str, Any]]) -> None:
    """Writes a 0 into one row for each numeric column that has no value in this split.

    TFX's example ends with a KeyError for a column that is empty in one split's file (the taxi data has one with a
    single value in 15,002 rows). Its preprocessing makes every missing number a 0, so the model sees the same row.
    """
    here = {column for row in rows for column in row}
    samples = {column: value for row in all_rows for column, value in row.items()}
    for column, sample in samples.items():
        if column not in here and rows and isinstance(sample, (int, float)):
            rows[0][column] = type(sample)(0)


def _parse_row(example: Any) -> dict[str, Any]:
    """One value a column; a missing value has no cell."""
    row = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        values = getattr(feature, kind).value if kind else ()
        if values:
            row[name] = _convert_value(values[0])
    return row


def _convert_value(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, float):
        return float(str(np.float32(value)))  # the shortest text that reads as the same float32
    return value


if __name__ == "__main__":
    subprocesses.run_child_main(export_rows)
