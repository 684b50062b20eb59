"""`taxiway bench input`: our reader against TFX's, against record-by-record parsing, and against tensors in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from taxiway.components.errors import TrainingError
from taxiway.components.processes import subprocesses
from taxiway.pipeline.bench.figures import compute_spread, format_met
from taxiway.pipeline.console import printing

FIRST_TARGETS = {"tfx": 4.0, "raw": 0.8}
"""The first epoch must reach one of these multiples of another reader's speed."""
LATER_TARGET = 0.7
"""Later epochs must reach this multiple of the speed of tensors in memory."""
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
        rows: Rows of the file, with 18 numbers and a label each.
        rounds: Rounds of each reader, interleaved.

    Returns:
        0 where the targets were met, else 1.

    Raises:
        TrainingError: The measuring process failed.
    """
    with tempfile.TemporaryDirectory(prefix="taxiway-bench-") as folder:
        job = {"folder": folder, "rows": rows, "rounds": rounds}
        measured = subprocesses.run_module_checked(
            "taxiway.pipeline.bench.children.input_rounds", job, None, TrainingError, timeout_seconds=1200
        )
    result = compute_figures(measured)
    if json:
        printing.print_json(result)
    else:
        print_figures(result)
    return 0 if result["met"] else 1


def compute_figures(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Median and range of each reader's speed, and the ratios that have targets."""
    speed = measured["rows_per_second"]
    ratio = {f"first_to_{side}": _compute_ratio(speed["ours_first"], speed[side]) for side in FIRST_TARGETS}
    first = any(ratio[f"first_to_{side}"]["median"] >= target for side, target in FIRST_TARGETS.items())
    ratio["later_to_memory"] = _compute_ratio(speed["ours_later"], speed["memory"])
    first_targets = {f"first_to_{side}": target for side, target in FIRST_TARGETS.items()}
    return {
        "version": 1,
        "rows": measured["rows"],
        "rows_per_second": {side: compute_spread(values) for side, values in speed.items()},
        "ratio": ratio,
        "targets": {**first_targets, "later_to_memory": LATER_TARGET},
        "met": first and ratio["later_to_memory"]["median"] >= LATER_TARGET,
    }


def _compute_ratio(ours: Sequence[float], other: Sequence[float]) -> dict[str, float]:
    return compute_spread([a / b for a, b in zip(ours, other, strict=True)])


COLUMNS = ("reader", "rows/s", "range")


def print_figures(result: Mapping[str, Any]) -> None:
    """Prints the figures for a person."""
    rows = [
        [NAMES[side], f"{speed['median']:,.0f}", f"{speed['min']:,.0f} to {speed['max']:,.0f}"]
        for side, speed in result["rows_per_second"].items()
    ]
    title = f"{result['rows']:,} rows, one gzip file, batches of 1024"
    printing.print_renderable(printing.make_table(title, COLUMNS, rows, COLUMNS[1:]))
    first = " or ".join(_format_ratio(result, "first", side) for side in FIRST_TARGETS)
    later = _format_ratio(result, "later", "memory")
    printing.make_console().print(f"first epoch: {first}; later epochs: {later}; {format_met(result['met'])}")


def _format_ratio(result: Mapping[str, Any], epoch: str, other: str) -> str:
    name = f"{epoch}_to_{other}"
    return f"{result['ratio'][name]['median']:.2f} times {NAMES[other]} (target {result['targets'][name]:g})"
