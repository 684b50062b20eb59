"""`taxiway bench input`: our reader against TFX's, against record-by-record parsing, and against tensors in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components import subprocesses
from components.errors import TrainingError
from pipeline import output
from pipeline.bench.train import spread

FIRST_TARGETS = {"tfx": 4.0, "raw": 0.8}
"""The first epoch is to reach one of these times the other reader's speed."""
LATER_TARGET = 0.7
"""Later epochs, times tensors in memory."""
NAMES = {
    "ours_first": "ours, first epoch",
    "tfx": "TFX's tf_dataset_factory",
    "per_record": "map(parse_single_example)",
    "raw": "raw TFRecord, nothing parsed",
    "ours_later": "ours, later epochs",
    "memory": "tensors in memory",
}


def main(*, json: bool = False, rows: int = 100_000, rounds: int = 3) -> int:
    """Runs the benchmark and prints it.

    Args:
        json: Print JSON on standard output, and nothing else there.
        rows: Of the file: 18 numbers and a label each.
        rounds: Of each reader, interleaved.

    Returns:
        0 where the targets were met, else 1.

    Raises:
        TrainingError: the measuring process failed.
    """
    with tempfile.TemporaryDirectory(prefix="taxiway-bench-") as folder:
        job = {"folder": folder, "rows": rows, "rounds": rounds}
        outcome = subprocesses.run("pipeline.bench.input_rounds", job, Path(folder, "log"), timeout_seconds=1200)
        subprocesses.raise_again(outcome, TrainingError)
    result = figures(outcome.result or {})
    if json:
        output.print_json(result)
    else:
        show(result)
    return 0 if result["met"] else 1


def figures(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Median and range of each reader's speed, and the ratios that have targets."""
    speed = measured["rows_per_second"]
    pairs = {"first_to_tfx": ("ours_first", "tfx"), "first_to_raw": ("ours_first", "raw")}
    pairs |= {"later_to_memory": ("ours_later", "memory")}
    ratio = {
        name: spread([a / b for a, b in zip(speed[ours], speed[other], strict=True)])
        for name, (ours, other) in pairs.items()
    }
    first = any(ratio[f"first_to_{side}"]["median"] >= target for side, target in FIRST_TARGETS.items())
    return {
        "version": 1,
        "rows": measured["rows"],
        "rows_per_second": {side: spread(values) for side, values in speed.items()},
        "ratio": ratio,
        "targets": {"first_to_tfx": 4.0, "first_to_raw": 0.8, "later_to_memory": LATER_TARGET},
        "met": first and ratio["later_to_memory"]["median"] >= LATER_TARGET,
    }


COLUMNS = ("reader", "rows/s", "range")


def show(result: Mapping[str, Any]) -> None:
    """Prints the figures for a person."""
    rows = [
        [NAMES[side], f"{speed['median']:,.0f}", f"{speed['min']:,.0f} to {speed['max']:,.0f}"]
        for side, speed in result["rows_per_second"].items()
    ]
    title = f"{result['rows']:,} rows, one gzip file, batches of 1024"
    output.print_table(output.table(title, COLUMNS, rows, COLUMNS[1:]))
    ratio = {name: value["median"] for name, value in result["ratio"].items()}
    output.console().print(
        f"first epoch {ratio['first_to_tfx']:.1f} times TFX's reader (target 4) or {ratio['first_to_raw']:.2f} of the "
        f"raw read (0.8); later epochs {ratio['later_to_memory']:.2f} of memory (0.7): "
        f"{'met' if result['met'] else 'NOT met'}"
    )
