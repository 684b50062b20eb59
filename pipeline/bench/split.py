"""`taxiway bench split`: what it costs to number equal rows, against splits that do not.

content     a hash of the row, the label included: all equal rows on one side (biased; what TFX's example generators do)
position    a hash of the row's place in its file: another split for the same rows in another order
occurrence  a hash of the row and its number among equal rows, cut by class: what TabularExampleGen does
"""

from __future__ import annotations

import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from taxiway.components.example_gen.config import SplitConfig
from taxiway.components.example_gen.splits.counting import (
    FileCounter,
    FileSplitter,
    Workspace,
    compare_rows,
    count_ranges,
)
from taxiway.components.example_gen.splits.split import assign_by_place, hash_rows, hash_rows_and_features, mix_bits
from taxiway.components.tables.readers.column_choice import BATCH_ROWS
from taxiway.pipeline.console import printing

LABEL = "y"
TABLES = ("distinct", "discrete")
_CUT = np.uint64(int(SplitConfig().train * 2**64))

Table = Mapping[str, pa.Array]


def main(*, json: bool = False, rows: int = 3_000_000, rounds: int = 3) -> int:
    """Runs the benchmark and prints it.

    Args:
        json: Print JSON on standard output, and nothing else there.
        rows: Rows of each table.
        rounds: Rounds of each way, interleaved.
    """
    result = {"version": 1, "rows": rows, "rounds": rounds, "tables": measure_tables(rows, rounds)}
    if json:
        printing.print_json(result)
    else:
        print_figures(result)
    return 0


def measure_tables(rows: int, rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """By table and way: median processor seconds, rows a second, and peak MiB beside the table."""
    return {name: _measure_table(make_table(name, rows), rounds) for name in TABLES}


def make_table(name: str, rows: int) -> Table:
    """`distinct`: ten columns, no row repeats; `discrete`: three columns of four values, nearly every row repeats."""
    random = np.random.default_rng(3)
    words = pa.array([f"word {i}" for i in range(4)])
    columns = {f"text{i}": words.take(pa.array(random.integers(0, 4, rows))) for i in range(3)}
    if name == "distinct":
        columns |= {f"number{i}": pa.array(random.normal(size=rows)) for i in range(5)}
        columns |= {f"count{i}": pa.array(random.integers(0, 100, rows)) for i in range(2)}
    return {**columns, LABEL: pa.array(random.integers(0, 2, rows))}


def _measure_table(table: Table, rounds: int) -> dict[str, dict[str, float]]:
    ways: dict[str, Callable[[Table], int]] = {
        "content": _split_by_content,
        "position": _split_by_position,
        "occurrence": _split_by_occurrence,
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.process_time()
            way(table)
            seconds[name].append(time.process_time() - started)
    rows = len(table[LABEL])
    return {
        name: {
            "seconds": statistics.median(taken),
            "rows_per_second": rows / statistics.median(taken),
            "peak_mib": _measure_peak(ways[name], table),
        }
        for name, taken in seconds.items()
    }


def _measure_peak(way: Callable[[Table], int], table: Table) -> float:
    tracemalloc.start()
    way(table)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def _iterate_batches(table: Table) -> Iterator[dict[str, pa.Array]]:
    for start in range(0, len(table[LABEL]), BATCH_ROWS):
        yield {name: array.slice(start, BATCH_ROWS) for name, array in table.items()}


def _split_by_content(table: Table) -> int:
    return sum(int((hash_rows(batch, len(batch[LABEL])) < _CUT).sum()) for batch in _iterate_batches(table))


def _split_by_position(table: Table) -> int:
    rows = len(table[LABEL])
    batches = (np.arange(at, min(at + BATCH_ROWS, rows), dtype=np.uint64) for at in range(0, rows, BATCH_ROWS))
    return sum(int((mix_bits(batch) < _CUT).sum()) for batch in batches)


def _split_by_occurrence(table: Table) -> int:
    config, trained = SplitConfig(), 0
    with tempfile.TemporaryDirectory(prefix="taxiway-bench-") as folder:
        workspace, counter = Workspace(folder), FileCounter()
        for batch in _iterate_batches(table):
            counter.add_batch(*hash_rows_and_features(batch, len(batch[LABEL]), LABEL), np.asarray(batch[LABEL]))
        saved = counter.save_hashes(workspace, 0, count_ranges(len(table[LABEL])))
        cuts = np.asarray(compare_rows(workspace, [saved], [[0, 1]], config, ["0", "1"]).cuts, np.uint64)
        splitter = FileSplitter(workspace, 0)
        for batch in _iterate_batches(table):
            split = assign_by_place(splitter.place_rows(len(batch[LABEL])), np.asarray(batch[LABEL]), cuts)
            splitter.record_splits(split)
            trained += int((split == 0).sum())
    return trained


def print_figures(result: Mapping[str, Any]) -> None:
    """Prints the figures for a person."""
    console = printing.make_console()
    rows, rounds = result["rows"], result["rounds"]
    console.print(f"{rows:,} rows, {rounds} rounds, interleaved; processor time, reading not counted")
    for table, ways in result["tables"].items():
        for way, figures in ways.items():
            console.print(
                f"  {table:9} {way:11} {figures['rows_per_second']:>13,.0f} rows/s {figures['seconds']:8.2f} s "
                f"{figures['peak_mib']:8,.0f} MiB"
            )
