"""`taxiway bench serve`: the pushed variant against the trained model, warm against cold, and reloads under load.

Both are served by the embedded server in processes of their own, and asked over gRPC by another process, in turns.
"""

from __future__ import annotations

import contextlib
import json as json_module
import os
import shutil
import statistics
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from taxiway.components import contract
from taxiway.components.errors import TaxiwayError, UsageError
from taxiway.components.processes import subprocesses
from taxiway.components.saved_models.manifest import EXTRA, MANIFEST_FILE
from taxiway.components.serving.server import launch
from taxiway.components.serving.versions.directory import ServingDirectory, Version
from taxiway.pipeline.console import printing
from taxiway.pipeline.root import DEFAULT_ROOT, Root
from taxiway.pipeline.serving import versions
from taxiway.pipeline.tracking.store.metadata_store import RunStore

MODEL = "bench"
WARMUP = "tf_serving_warmup_requests"
CLIENTS = 4
RELOAD_RATE = 50.0
"""Requests a second while versions come and go."""
SIDES = ("trained", "pushed")


def main(
    *,
    json: bool = False,
    root: Path = DEFAULT_ROOT,
    model: str | None = None,
    seconds: float = 3.0,
    reload_seconds: float = 60.0,
) -> int:
    """Runs the benchmark and prints it.

    Args:
        json: Print JSON on standard output, and nothing else there.
        root: Root of a run that has pushed a model.
        model: Name of the model; the only one where None.
        seconds: Seconds of each load.
        reload_seconds: Seconds during which a version is pushed every second under load.

    Returns:
        0, or 1 where a request failed during the reloads.

    Raises:
        UsageError: The root has no pushed model with its trained one.
    """
    live = versions.list_versions(root, model)[0]
    trained = find_trained_model(Root.at(root), live)
    with tempfile.TemporaryDirectory(prefix="taxiway-bench-") as folder:
        bench = ServingBenchmark(Path(folder), {"trained": trained, "pushed": live.path})
        result = {
            "version": 1,
            "model": live.path.parent.name,
            "pushed_version": live.number,
            "variant": live.provenance.get("variant"),
            "server": "embedded",
            **bench.measure_steady(seconds),
            "first_request_ms": bench.measure_first_requests(),
            "reloads": bench.measure_reloads(reload_seconds),
        }
    if json:
        printing.print_json(result)
    else:
        print_figures(result)
    return 1 if result["reloads"]["failures"] else 0


def find_trained_model(root: Root, live: Version) -> Path:
    """The SavedModel that the trainer of the version's run wrote.

    Raises:
        UsageError: The version came from no run, or its artifacts are gone.
    """
    remedy = "Make a run with: taxiway run"
    run_id = live.provenance.get("run_id")
    if not run_id or not (live.path / EXTRA / WARMUP).exists():
        raise UsageError(f"Version {live.number} was not pushed by a run with warm-up requests.", remedy)
    store = RunStore(root.metadata)
    for execution in store.list_run_executions(str(run_id)):
        for artifact in store.list_outputs(execution.id) if execution.node == "Trainer" else ():
            folder = Path(contract.serving_model_dir(artifact.uri))
            if artifact.type == "Model" and folder.is_dir():
                return folder
    raise UsageError(f"The trained model of run {run_id} is gone.", remedy)


class ServingBenchmark:
    """The servers and loads of one benchmark."""

    def __init__(self, folder: Path, models: Mapping[str, Path]) -> None:
        self._folder, self._models = folder, models
        self._log = folder / "log.txt"

    def measure_steady(self, seconds: float) -> dict[str, Any]:
        """Closed loop at two batch sizes, then a fixed rate of half the trained model's throughput."""
        with contextlib.ExitStack() as stack:
            targets = {side: stack.enter_context(self._start_server(self._prepare_base(side))) for side in SIDES}
            closed = {f"batch_{size}": self._run_rounds(targets, seconds, size, rate=0.0) for size in (1, 32)}
            rate = closed["batch_1"]["trained"]["requests_per_second"] / 2
            return {"closed_loop": closed, "fixed_rate": self._run_rounds(targets, seconds, 1, rate)}

    def _run_rounds(self, targets: Mapping[str, str], seconds: float, batch: int, rate: float) -> dict[str, Any]:
        rounds_by_side: dict[str, list[dict[str, Any]]] = {side: [] for side in targets}
        turns = [side for turn in range(3) for side in (SIDES if turn % 2 else reversed(SIDES))]
        measured = self._run_loads([_make_step(targets[side], seconds, batch, rate) for side in turns])
        for side, figures in zip(turns, measured, strict=True):
            rounds_by_side[side].append(figures)
        medians: dict[str, Any] = {side: _take_medians(rounds) for side, rounds in rounds_by_side.items()}
        medians["speedup"] = {
            name: statistics.median(
                t[name] / p[name] for t, p in zip(rounds_by_side["trained"], rounds_by_side["pushed"], strict=True)
            )
            for name in ("p50_ms", "p95_ms", "p99_ms")
        }
        return {**medians, "rate": rate}

    def measure_first_requests(self) -> dict[str, float]:
        """The pushed model's first answer, with warm-up requests and without, in milliseconds."""
        milliseconds = {}
        for name, side in (("warm", "pushed"), ("cold", "cold")):
            with self._start_server(self._prepare_base(side)) as target:
                milliseconds[name] = self._run_loads([_make_step(target, 0.001, 1, 0.0, clients=1)])[0]["max_ms"]
        return milliseconds

    def measure_reloads(self, seconds: float) -> dict[str, Any]:
        """A version pushed every second, every fifth one rolled back, under a fixed rate of requests."""
        base = self._prepare_base("reloads")
        directory, finished, pushes = ServingDirectory(base), threading.Event(), [0]
        warm = {WARMUP: self._models["pushed"] / EXTRA / WARMUP}  # a push brings them; the trainer's folder has none

        def push_repeatedly() -> None:
            while not finished.wait(1.0):
                directory.push(self._models[SIDES[pushes[0] % 2]], {}, extra_files=warm, force=True)
                pushes[0] += 1
                if pushes[0] % 5 == 0:
                    directory.rollback()
                directory.retain_newest(3)

        with self._start_server(base) as target:
            pusher = threading.Thread(target=push_repeatedly)
            pusher.start()
            try:
                (load_figures,) = self._run_loads([_make_step(target, seconds, 1, RELOAD_RATE)])
            finally:
                finished.set()
                pusher.join()
        return {**load_figures, "pushes": pushes[0], "rollbacks": pushes[0] // 5}

    def _prepare_base(self, side: str) -> Path:
        """A serving directory of one version; `cold` is the pushed model without its warm-up requests."""
        base = self._folder / side / MODEL
        if not base.exists():
            shutil.copytree(self._models.get(side, self._models["pushed"]), base / "1")
            (base / "1" / MANIFEST_FILE).unlink(missing_ok=True)  # a changed copy of a push is not what was pushed
            warm = base / "1" / EXTRA / WARMUP
            warm.parent.mkdir(exist_ok=True)
            if side == "cold":
                warm.unlink(missing_ok=True)
            elif not warm.exists():
                shutil.copy(self._models["pushed"] / EXTRA / WARMUP, warm)
        return base

    @contextlib.contextmanager
    def _start_server(self, base: Path) -> Iterator[str]:
        command = launch.build_command(MODEL, base, rest_port=0, grpc_port=0, kind="embedded")
        environment = {**os.environ, **command.environment}
        with open(self._log, "ab") as log:
            process = subprocess.Popen(
                command.argv, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, env=environment
            )
        try:
            line = process.stdout.readline() if process.stdout else b""
            if not line:
                raise TaxiwayError("The server did not start.", self._log.read_text(errors="replace")[-2000:])
            yield f"127.0.0.1:{json_module.loads(line)['grpc_port']}"
        finally:
            subprocesses.end_process(process)

    def _run_loads(self, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Runs the steps one after the other, in one process."""
        job = {"model": MODEL, "warmup": str(self._models["pushed"]), "steps": steps}
        limit = sum(step["seconds"] for step in steps) * 3 + 300
        result = subprocesses.run_module_checked(
            "taxiway.pipeline.bench.children.serve_load", job, self._log, TaxiwayError, timeout_seconds=limit
        )
        return list(result["steps"])


def _make_step(target: str, seconds: float, batch: int, rate: float, clients: int = CLIENTS) -> dict[str, Any]:
    return {"target": target, "seconds": seconds, "batch": batch, "rate": rate, "clients": clients}


def _take_medians(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("p50_ms", "p95_ms", "p99_ms", "requests_per_second", "rows_per_second")
    return {
        **{name: statistics.median(figures[name] for figures in rounds) for name in names},
        "requests": sum(figures["requests"] for figures in rounds),
        "failures": sum(figures["failures"] for figures in rounds),
    }


def print_figures(result: Mapping[str, Any]) -> None:
    """Prints the figures for a person."""
    closed = result["closed_loop"]
    parts = [(f"closed loop, {CLIENTS} clients, {name[6:]} rows a request", part) for name, part in closed.items()]
    parts.append((f"fixed rate, {result['fixed_rate']['rate']:.0f} requests a second", result["fixed_rate"]))
    rows = [(title, side, *_format_cells(part, side)) for title, part in parts for side in (*SIDES, "ratio")]
    columns = ("load", "model", "p50 ms", "p95 ms", "p99 ms", "rows/s", "failed")
    title = f"{result['model']} {result['pushed_version']} ({result['variant']}) against the trained model"
    printing.print_renderable(printing.make_table(title, columns, rows, right=columns[2:]))
    first, reloads, console = result["first_request_ms"], result["reloads"], printing.make_console()
    console.print(f"First request: {first['warm']:.1f} ms warm, {first['cold']:.1f} ms cold.")
    console.print(
        f"{reloads['pushes']} pushes and {reloads['rollbacks']} rollbacks under load: {reloads['failures']} of "
        f"{reloads['requests'] + reloads['failures']} requests failed; p99 {reloads['p99_ms']:.1f} ms."
    )


def _format_cells(part: Mapping[str, Any], side: str) -> tuple[str, ...]:
    if side == "ratio":
        return (*(f"{part['speedup'][name]:.2f}x" for name in ("p50_ms", "p95_ms", "p99_ms")), "", "")
    side_figures = part[side]
    figures = (f"{side_figures[name]:.2f}" for name in ("p50_ms", "p95_ms", "p99_ms"))
    return (*figures, f"{side_figures['rows_per_second']:.0f}", str(side_figures["failures"]))


if __name__ == "__main__":
    raise SystemExit(main())
