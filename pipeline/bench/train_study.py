"""What distribution buys and costs on this machine: the same job with several devices, workers, parameter servers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components import subprocesses
from components.errors import TrainingError
from components.training import TrainingJob, train
from pipeline import output

BATCH, HIDDEN = 1024, (256, 128)
STEPS, WINDOW, WARM_UP = 600, 50, 3
"""Steps of a run, of the windows in which it is timed, and how many windows are not counted."""


@dataclass(frozen=True)
class Setup:
    """One way to distribute."""

    name: str
    settings: Mapping[str, Any]
    replicas: int


def setups(gpus: int) -> list[Setup]:
    """What is tried: 1, 2 and 4 devices (as many GPUs as there are, else logical CPUs), workers, parameter servers."""
    devices = [n for n in (1, 2, 4) if not gpus or n <= gpus]
    found = [Setup("one device", {"strategy": "one_device"}, 1)]
    kind = "GPU" if gpus else "logical CPU"
    found += [Setup(f"mirrored, {n} {kind}s", {"strategy": "mirrored", "replicas": n}, n) for n in devices[1:]]
    for n in (1, 2):
        cluster = {"workers": n, "parameter_servers": 1, "threads_per_task": 1}
        found.append(
            Setup(f"{n} worker process{'es' * (n > 1)}", {"strategy": "multi_worker_mirrored", "cluster": cluster}, n)
        )
    for n in (1, 2):
        cluster = {"workers": n, "parameter_servers": 1, "threads_per_task": 1}
        found.append(
            Setup(
                f"{n} worker{'s' * (n > 1)}, 1 parameter server",
                {"strategy": "parameter_server", "cluster": cluster},
                n,
            )
        )
    return found


WORKER = {"strategy": "multi_worker_mirrored", "cluster": {"workers": 1, "threads_per_task": 1}}
"""One worker alone, with the one thread that each worker of the study has."""


def run(folder: Path) -> list[dict[str, Any]]:
    """Rows a second of each setup, its efficiency, and where a step's time goes."""
    data = folder / "data"
    outcome = subprocesses.run("pipeline.bench.train_data", {"folder": str(data)}, folder / "data.log")
    subprocesses.raise_again(outcome, TrainingError)
    gpus = int((outcome.result or {})["gpus"])
    alone = {n: seconds_per_step(folder, data, {"strategy": "one_device"}, BATCH // n, "cached") for n in (1, 2, 4)}
    worker = {n: seconds_per_step(folder, data, WORKER, BATCH // n, "cached") for n in (1, 2)}
    rows = [measure(folder, data, s, worker if "cluster" in s.settings else alone) for s in setups(gpus)]
    for row in rows:
        row["efficiency"] = row["rows_per_second"] / rows[0]["rows_per_second"] / row["replicas"]
    return rows


def measure(folder: Path, data: Path, setup: Setup, compute: Mapping[int, float]) -> dict[str, Any]:
    """One setup.

    The share of the input is what a step loses against one that is given the same batch again and again; the share of
    compute is what one device, or a worker alone, needs for a replica's part of the batch; the rest is summing, waiting
    and dispatch (and, where replicas share cores, waiting for a core).
    """
    step = seconds_per_step(folder, data, setup.settings, BATCH, "memory")
    share: dict[str, float] = {"compute": min(compute[setup.replicas] / step, 1.0)}
    if setup.settings["strategy"] != "parameter_server":  # its workers know one input only
        cached = seconds_per_step(folder, data, setup.settings, BATCH, "cached")
        share["input"] = min(max(1 - cached / step, 0.0), 1 - share["compute"])
    share["reduce_and_wait"] = 1 - sum(share.values())
    return {"setup": setup.name, "replicas": setup.replicas, "rows_per_second": BATCH / step, "share": share}


def seconds_per_step(folder: Path, data: Path, settings: Mapping[str, Any], batch: int, mode: str) -> float:
    """In the fastest window of a run: what other work on the machine takes only ever adds to the others."""
    out = folder / "run"
    shutil.rmtree(out, ignore_errors=True)
    training = {
        "epochs": 1000,
        "max_steps": STEPS,
        "steps_per_loop": WINDOW,
        "evaluate_every_steps": WINDOW,
        "global_batch_size": batch,
        "input": {"mode": mode},
        "tensorboard": False,
        "xla": "off",  # a choice by speed would differ from setup to setup
        **settings,
    }
    job = TrainingJob.model_validate(
        {
            "transform_graph": str(data / "transform_graph"),
            "train_files": (str(data / "train.gz"),),
            "eval_files": (str(data / "eval.gz"),),
            "label": "label",
            "task": "binary",
            "training": training,
            "model": {"hidden_units": HIDDEN, "dropout": 0.0},
            "training_dir": str(out / "training"),
            "checkpoint_dir": str(out / "checkpoints"),
        }
    )
    train(job, folder / "study.log")
    history = json.loads((out / "training" / "history.json").read_text())
    return batch / max(e["rows_per_second"] for e in history["evaluations"][WARM_UP:])


COLUMNS = ("setup", "rows/s", "efficiency", "input", "compute", "sum and wait", "")


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """A table with bars, and what it says."""
    fastest = max(row["rows_per_second"] for row in rows)
    cells = [
        [
            row["setup"],
            f"{row['rows_per_second']:,.0f}",
            f"{row['efficiency']:.0%}",
            f"{row['share']['input']:.0%}" if "input" in row["share"] else None,
            f"{row['share']['compute']:.0%}",
            f"{row['share']['reduce_and_wait']:.0%}",
            "█" * round(30 * row["rows_per_second"] / fastest),
        ]
        for row in rows
    ]
    output.print_table(output.table(f"distribution, global batch {BATCH}", COLUMNS, cells, COLUMNS[1:-1]))
    output.console().print(advice(rows))


def advice(rows: Sequence[Mapping[str, Any]]) -> str:
    """What the table says about when to distribute."""
    best = max(rows, key=lambda row: row["rows_per_second"])
    gain = best["rows_per_second"] / rows[0]["rows_per_second"]
    if best is rows[0] or gain < 1.1:
        return "One device is the fastest here: distribute only what does not fit on it."
    return f"{best['setup']} trains {gain:.1f} times as many rows a second as one device."
