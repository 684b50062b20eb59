"""Every model on every table and seed; see the package."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxiway.components.errors import TrainingError, UsageError
from taxiway.components.processes import subprocesses
from taxiway.pipeline.bench.quality import figures
from taxiway.pipeline.bench.quality.kept_results import KeptResults, describe_our_state, describe_peers_state
from taxiway.pipeline.bench.quality.ours import TIMEOUT_SECONDS, measure_ours
from taxiway.pipeline.bench.quality.tables import Table, choose_tables, fetch_packages
from taxiway.pipeline.console import printing

PEER_MODULES = ("lightgbm", "xgboost", "catboost", "sklearn", "pandas")
DEFAULT_CACHE = Path("~/.cache/taxiway/bench-quality")


def main(
    *,
    json: bool = False,
    tables: str = "",
    seeds: int = 3,
    cache: Path = DEFAULT_CACHE,
    results: Path | None = None,
    former: bool = False,
    overrides: Sequence[str] = (),
) -> int:
    """Runs the benchmark and prints it.

    Args:
        json: Print JSON on standard output, and nothing else there.
        tables: Names of tables, comma-separated; empty: all.
        seeds: Seeds of the splits and the models.
        cache: Folder of the downloaded packages.
        results: Folder where each result is kept, and taken from where it was measured in the same state.
        former: Measure `wide_and_deep` too, trained as by a configuration that names no kind, and judge ours by it.
        overrides: Settings of ours, as `--set` takes them; the former model has none of them.

    Returns:
        0 where the targets were met on all tables, or only some were run; else 1.

    Raises:
        UsageError: The extra is not installed, there is no such table, or a table's package cannot be had.
        TaxiwayError: A model failed.
    """
    chosen = choose_tables(tables)
    check_peers()
    packages = fetch_packages(chosen, cache.expanduser())
    kept = KeptResults(results)
    # Seed by seed: an interrupted benchmark has all tables first.
    measured = [
        _measure_table(name, table, packages[table.package], seed, overrides, kept, former)
        for seed in range(seeds)
        for name, table in chosen.items()
    ]
    result = figures.compute_figures(measured, whole=not tables)
    if json:
        printing.print_json(result)
    else:
        figures.print_figures(result)
    return 0 if result["met"] or tables else 1


def check_peers() -> None:
    """Raises `UsageError` where the peers are not installed: they are in an extra, and the product needs none."""
    lacking = [name for name in PEER_MODULES if importlib.util.find_spec(name) is None]
    if lacking:
        raise UsageError(
            f"The benchmark compares with models that are not installed: {', '.join(lacking)}.",
            f"Install the extra `bench` into this environment: {sys.executable} -m pip install '.[bench]' "
            "(in a checkout), or 'taxiway[bench]'.",
        )


def _measure_table(
    name: str, table: Table, package: str, seed: int, overrides: Sequence[str], kept: KeptResults, former: bool
) -> dict[str, Any]:
    def measure_taxiway(side: str, settings: Sequence[str]) -> dict[str, Any]:
        with _make_split(table, package, seed) as split:
            state = describe_our_state(table, settings)
            return kept.measure_once(f"{name}-{seed}-{side}", state, lambda: split.measure_taxiway(settings))

    with _make_split(table, package, seed) as split:
        peers = kept.measure_once(f"{name}-{seed}-peers", describe_peers_state(table), split.measure_peers)
    models = {figures.OURS: measure_taxiway("ours", overrides), **peers["models"]}
    if former:
        models[figures.FORMER] = measure_taxiway("former", list_former_settings(seed))
    shown = ", ".join(f"{model} {found['error']:.4f}" for model, found in models.items())
    print(f"{name}, seed {seed}: {shown}", file=sys.stderr, flush=True)
    return {"table": name, "task": table.task, "seed": seed, **peers["size"], "models": models}


def list_former_settings(seed: int) -> tuple[str, ...]:
    """Both sections as a configuration has them that says nothing in them: `wide_and_deep`, six epochs."""
    return "model={}", f"training={{seed: {seed + 1}}}"


@contextlib.contextmanager
def _make_split(table: Table, package: str, seed: int) -> Iterator[_Split]:
    """A split in a folder of its own, which goes in the end."""
    with tempfile.TemporaryDirectory(prefix="taxiway-bench-") as folder:
        yield _Split(table, package, seed, folder)


@dataclass(frozen=True)
class _Split:
    """One split of a table; its files are written when a side is measured."""

    table: Table
    package: str
    seed: int
    folder: str

    def write_files(self) -> dict[str, Any]:
        """Writes them. Returns the table's size."""
        table = self.table
        job = {"package": self.package, "item": table.item, "label": table.label, "left_out": table.left_out,
               "seed": table.seed + self.seed * 10_000, "folder": self.folder}  # fmt: skip
        return _run_child("quality_data", job)

    def measure_peers(self) -> dict[str, Any]:
        size, table = self.write_files(), self.table
        job = {"folder": self.folder, "task": table.task, "label": table.label, "seed": self.seed}
        return {"size": size, "models": _run_child("quality_peers", job)}

    def measure_taxiway(self, overrides: Sequence[str]) -> dict[str, Any]:
        self.write_files()
        return measure_ours(Path(self.folder), self.table, self.seed, overrides)


def _run_child(name: str, job: dict[str, Any]) -> dict[str, Any]:
    module = f"taxiway.pipeline.bench.children.{name}"
    return subprocesses.run_module_checked(module, job, None, TrainingError, timeout_seconds=TIMEOUT_SECONDS)
