"""What distribution gains and costs on this machine: one job with several devices, workers and parameter servers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxiway.components.errors import TrainingError
from taxiway.components.processes import subprocesses
from taxiway.components.training import TrainingJob, train
from taxiway.pipeline.console import printing

BATCH, HIDDEN = 1024, (256, 128)
STEPS, WINDOW, WARM_UP = 600, 50, 3
"""Steps of a run, of the windows in which it is timed, and how many windows are not counted."""


@dataclass(frozen=True)
class DistributionSetup:
    """One distribution strategy with its devices or processes."""

    name: str
    settings: Mapping[str, Any]
    replicas: int


def list_setups(gpus: int) -> list[DistributionSetup]:
    """The setups to measure: 1, 2 and 4 devices (GPUs where there are any, else logical CPUs), workers, servers."""
    devices = [n for n in (1, 2, 4) if not gpus or n <= gpus]
    setups = [DistributionSetup("one device", {"strategy": "one_device"}, 1)]
    kind = "GPU" if gpus else "logical CPU"
    setups += [
        DistributionSetup(f"mirrored, {n} {kind}s", {"strategy": "mirrored", "replicas": n}, n) for n in devices[1:]
    ]
    for n in (1, 2):
        cluster = {"workers": n, "parameter_servers": 1, "threads_per_task": 1}
        setups.append(
            DistributionSetup(
                f"{n} worker process{'es' * (n > 1)}", {"strategy": "multi_worker_mirrored", "cluster": cluster}, n
            )
        )
    for n in (1, 2):
        cluster = {"workers": n, "parameter_servers": 1, "threads_per_task": 1}
        setups.append(
            DistributionSetup(
                f"{n} worker{'s' * (n > 1)}, 1 parameter server",
                {"strategy": "parameter_server", "cluster": cluster},
                n,
            )
        )
    return setups


WORKER = {"strategy": "multi_worker_mirrored", "cluster": {"workers": 1, "threads_per_task": 1}}
"""One worker alone, with the one thread that each worker of the study has."""


def run_study(folder: Path) -> list[dict[str, Any]]:
    """Rows a second of each setup, its efficiency, and where a step's time goes."""
    data = folder / "data"
    module = "taxiway.pipeline.bench.children.train_data"
    gpus = int(subprocesses.run_module_checked(module, {"folder": str(data)}, None, TrainingError)["gpus"])
    alone = {n: measure_step_seconds(folder, data, {"strategy": "one_device"}, BATCH // n, "cached") for n in (1, 2, 4)}
    worker = {n: measure_step_seconds(folder, data, WORKER, BATCH // n, "cached") for n in (1, 2)}
    rows = [measure_setup(folder, data, s, worker if "cluster" in s.settings else alone) for s in list_setups(gpus)]
    for row in rows:
        row["efficiency"] = row["rows_per_second"] / rows[0]["rows_per_second"] / row["replicas"]
    return rows


def measure_setup(folder: Path, data: Path, setup: DistributionSetup, compute: Mapping[int, float]) -> dict[str, Any]:
    """Rows a second of one setup, and the shares of a step's time.

    The share of the input is what a step loses against one that is given the same batch again and again; the share of
    compute is what one device, or a worker alone, needs for a replica's part of the batch; the rest is summing, waiting
    and dispatch (and, where replicas share cores, waiting for a core).
    """
    step = measure_step_seconds(folder, data, setup.settings, BATCH, "memory")
    share: dict[str, float] = {"compute": min(compute[setup.replicas] / step, 1.0)}
    if setup.settings["strategy"] != "parameter_server":  # its workers know one input only
        cached = measure_step_seconds(folder, data, setup.settings, BATCH, "cached")
        share["input"] = min(max(1 - cached / step, 0.0), 1 - share["compute"])
    share["reduce_and_wait"] = 1 - sum(share.values())
    return {"setup": setup.name, "replicas": setup.replicas, "rows_per_second": BATCH / step, "share": share}


def measure_step_seconds(folder: Path, data: Path, settings: Mapping[str, Any], batch: int, mode: str) -> float:
    """Seconds of a step in the fastest window of a run: other work on the machine can only make a window slower."""
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


def print_study(rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints the study as a table with bars, and the advice that follows."""
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
    printing.print_renderable(printing.make_table(f"distribution, global batch {BATCH}", COLUMNS, cells, COLUMNS[1:-1]))
    printing.make_console().print(choose_advice(rows))


def choose_advice(rows: Sequence[Mapping[str, Any]]) -> str:
    """The advice that follows from the table: whether to distribute."""
    best = max(rows, key=lambda row: row["rows_per_second"])
    gain = best["rows_per_second"] / rows[0]["rows_per_second"]
    if best is rows[0] or gain < 1.1:
        return "One device is the fastest here: distribute only what does not fit on it."
    return f"{best['setup']} trains {gain:.1f} times as many rows a second as one device."
