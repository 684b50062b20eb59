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

from components import contract, subprocesses
from components.errors import TaxiwayError, UsageError
from components.serving import serve
from components.serving.directory import ServingDirectory, Version
from components.serving.manifest import EXTRA, MANIFEST_FILE
from pipeline import output, served
from pipeline.layout import DEFAULT_ROOT, Root

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
        root: Of a run that has pushed a model.
        model: The model's name; None: the only one.
        seconds: Of each load.
        reload_seconds: How long a version is pushed every second under load.

    Returns:
        0, or 1 where a request failed during the reloads.

    Raises:
        UsageError: The root has no pushed model with its trained one.
    """
    live = served.versions(root, model)[0]
    trained = trained_model(Root.at(root), live)
    with tempfile.TemporaryDirectory(prefix="taxiway-bench-") as folder:
        bench = Bench(Path(folder), {"trained": trained, "pushed": live.path})
        result = {
            "version": 1,
            "model": live.path.parent.name,
            "pushed_version": live.number,
            "variant": live.provenance.get("variant"),
            "server": "embedded",
            **bench.steady(seconds),
            "first_request_ms": bench.first_requests(),
            "reloads": bench.reloads(reload_seconds),
        }
    if json:
        output.print_json(result)
    else:
        show(result)
    return 1 if result["reloads"]["failures"] else 0


def trained_model(root: Root, live: Version) -> Path:
    """The SavedModel that the trainer of the version's run wrote.

    Raises:
        UsageError: The version came from no run, or its artifacts are gone.
    """
    from pipeline.store import Store

    remedy = "Make a run with: taxiway run"
    run_id = live.provenance.get("run_id")
    if not run_id or not (live.path / EXTRA / WARMUP).exists():
        raise UsageError(f"Version {live.number} was not pushed by a run with warm-up requests.", remedy)
    store = Store(root.metadata)
    for execution in store.executions(str(run_id)):
        for artifact in store.outputs(execution.id) if execution.node == "Trainer" else ():
            folder = Path(contract.serving_model_dir(artifact.uri))
            if artifact.type == "Model" and folder.is_dir():
                return folder
    raise UsageError(f"The trained model of run {run_id} is gone.", remedy)


class Bench:
    """The servers and loads of one benchmark."""

    def __init__(self, folder: Path, models: Mapping[str, Path]) -> None:
        self._folder, self._models = folder, models
        self._log = folder / "log.txt"

    def steady(self, seconds: float) -> dict[str, Any]:
        """Closed loop at two batch sizes, then a fixed rate of half the trained model's throughput."""
        with contextlib.ExitStack() as stack:
            targets = {side: stack.enter_context(self._server(self._base(side))) for side in SIDES}
            closed = {f"batch_{size}": self._rounds(targets, seconds, size, rate=0.0) for size in (1, 32)}
            rate = closed["batch_1"]["trained"]["requests_per_second"] / 2
            return {"closed_loop": closed, "fixed_rate": self._rounds(targets, seconds, 1, rate)}

    def _rounds(self, targets: Mapping[str, str], seconds: float, batch: int, rate: float) -> dict[str, Any]:
        found: dict[str, list[dict[str, Any]]] = {side: [] for side in targets}
        turns = [side for turn in range(3) for side in (SIDES if turn % 2 else reversed(SIDES))]
        measured = self._loads([_step(targets[side], seconds, batch, rate) for side in turns])
        for side, figures in zip(turns, measured, strict=True):
            found[side].append(figures)
        medians: dict[str, Any] = {side: _median(rounds) for side, rounds in found.items()}
        medians["speedup"] = {
            name: statistics.median(t[name] / p[name] for t, p in zip(found["trained"], found["pushed"], strict=True))
            for name in ("p50_ms", "p95_ms", "p99_ms")
        }
        return {**medians, "rate": rate}

    def first_requests(self) -> dict[str, float]:
        """The pushed model's first answer, with warm-up requests and without, in milliseconds."""
        found = {}
        for name, side in (("warm", "pushed"), ("cold", "cold")):
            with self._server(self._base(side)) as target:
                found[name] = self._loads([_step(target, 0.001, 1, 0.0, clients=1)])[0]["max_ms"]
        return found

    def reloads(self, seconds: float) -> dict[str, Any]:
        """A version pushed every second, every fifth one rolled back, under a fixed rate of requests."""
        base = self._base("reloads")
        directory, done, pushes = ServingDirectory(base), threading.Event(), [0]
        warm = {WARMUP: self._models["pushed"] / EXTRA / WARMUP}  # a push brings them; the trainer's folder has none

        def push() -> None:
            while not done.wait(1.0):
                directory.push(self._models[SIDES[pushes[0] % 2]], {}, extra_files=warm, force=True)
                pushes[0] += 1
                if pushes[0] % 5 == 0:
                    directory.rollback()
                directory.retain(3)

        with self._server(base) as target:
            pusher = threading.Thread(target=push)
            pusher.start()
            try:
                (found,) = self._loads([_step(target, seconds, 1, RELOAD_RATE)])
            finally:
                done.set()
                pusher.join()
        return {**found, "pushes": pushes[0], "rollbacks": pushes[0] // 5}

    def _base(self, side: str) -> Path:
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
    def _server(self, base: Path) -> Iterator[str]:
        command = serve.command(MODEL, base, rest_port=0, grpc_port=0, kind="embedded")
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
            process.terminate()
            process.wait(60)

    def _loads(self, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Runs the steps one after the other, in one process."""
        job = {"model": MODEL, "warmup": str(self._models["pushed"]), "steps": steps}
        limit = sum(step["seconds"] for step in steps) * 3 + 300
        outcome = subprocesses.run("pipeline.bench.serve_load", job, self._log, timeout_seconds=limit)
        subprocesses.raise_again(outcome, TaxiwayError)
        return list((outcome.result or {})["steps"])


def _step(target: str, seconds: float, batch: int, rate: float, clients: int = CLIENTS) -> dict[str, Any]:
    return {"target": target, "seconds": seconds, "batch": batch, "rate": rate, "clients": clients}


def _median(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("p50_ms", "p95_ms", "p99_ms", "requests_per_second", "rows_per_second")
    return {
        **{name: statistics.median(found[name] for found in rounds) for name in names},
        "requests": sum(found["requests"] for found in rounds),
        "failures": sum(found["failures"] for found in rounds),
    }


def show(result: Mapping[str, Any]) -> None:
    """Prints the figures for a person."""
    closed = result["closed_loop"]
    parts = [(f"closed loop, {CLIENTS} clients, {name[6:]} rows a request", part) for name, part in closed.items()]
    parts.append((f"fixed rate, {result['fixed_rate']['rate']:.0f} requests a second", result["fixed_rate"]))
    rows = [(title, side, *_cells(part, side)) for title, part in parts for side in (*SIDES, "ratio")]
    columns = ("load", "model", "p50 ms", "p95 ms", "p99 ms", "rows/s", "failed")
    title = f"{result['model']} {result['pushed_version']} ({result['variant']}) against the trained model"
    output.print_table(output.table(title, columns, rows, right=columns[2:]))
    first, reloads, console = result["first_request_ms"], result["reloads"], output.console()
    console.print(f"First request: {first['warm']:.1f} ms warm, {first['cold']:.1f} ms cold.")
    console.print(
        f"{reloads['pushes']} pushes and {reloads['rollbacks']} rollbacks under load: {reloads['failures']} of "
        f"{reloads['requests'] + reloads['failures']} requests failed; p99 {reloads['p99_ms']:.1f} ms."
    )


def _cells(part: Mapping[str, Any], side: str) -> tuple[str, ...]:
    if side == "ratio":
        return (*(f"{part['speedup'][name]:.2f}x" for name in ("p50_ms", "p95_ms", "p99_ms")), "", "")
    found = part[side]
    figures = (f"{found[name]:.2f}" for name in ("p50_ms", "p95_ms", "p99_ms"))
    return (*figures, f"{found['rows_per_second']:.0f}", str(found["failures"]))


if __name__ == "__main__":
    raise SystemExit(main())
