"""Our side of `taxiway bench quality`: `taxiway init`, `taxiway run` up to the trained model, and its answers."""

from __future__ import annotations

import json
import resource
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from taxiway.components.contract import READING_RULES_FILE, serving_model_dir, training_dir
from taxiway.components.errors import ServingError, TaxiwayError
from taxiway.components.processes import subprocesses
from taxiway.components.training.job import HISTORY_FILE
from taxiway.pipeline.bench.children.quality_data import PART
from taxiway.pipeline.bench.command import run_taxiway
from taxiway.pipeline.bench.quality.tables import Table
from taxiway.pipeline.config import load_config
from taxiway.pipeline.root import Root

TIMEOUT_SECONDS = 3600.0


def measure_ours(folder: Path, table: Table, seed: int, overrides: Sequence[str]) -> dict[str, Any]:
    """Trains on the split in `folder`, as a user would, and measures.

    Returns:
        `error`, `latency_ms`; `train_cpu_seconds`, of the training process's work; `pipeline_cpu_seconds`, of `taxiway
        run` up to the trained model.

    Raises:
        TaxiwayError: A command failed.
    """
    file, root = folder / "table.yaml", Root.at(folder / "root")
    _run_checked("init", str(folder / "rows.parquet"), "--label", table.label, "--task", table.task, "-o", str(file))
    # Training rows first, validation rows after them, as the peers have it: a cut in time by the part's number.
    settings = [f"data.split={{by: time, column: {PART}, cutoff: '1'}}"]
    settings += [f"features.leave_out.{PART}=says only where the row goes", f"training.seed={seed + 1}", *overrides]
    if table.task == "regression":
        settings.append("training.regression_loss=squared")  # the error is RMSE's, whatever the label's tail
    words = [word for setting in settings for word in ("--set", setting)]
    before = _read_children_cpu()
    _run_checked("run", str(file), "--root", str(root.path), "--to", "Trainer", *words)
    pipeline_seconds = _read_children_cpu() - before
    model, rules = find_outputs(root)
    label = load_config(file).label
    job = {"model": serving_model_dir(str(model)), "rules": str(rules), "test": str(folder / "test.parquet"),
           "task": table.task, "label": table.label, "classes": list(_order_classes(label))}  # fmt: skip
    scored = subprocesses.run_module_checked(
        "taxiway.pipeline.bench.children.quality_ours", job, None, ServingError, timeout_seconds=TIMEOUT_SECONDS
    )
    return scored | {"train_cpu_seconds": _read_training_cpu(model), "pipeline_cpu_seconds": pipeline_seconds}


def _order_classes(label: Any) -> Sequence[str]:
    """Labels by class index: of a binary label the positive one is class 1."""
    if label.task == "binary" and label.positive:
        return sorted(label.classes, key=lambda name: name == label.positive)
    return tuple(label.classes)


def find_outputs(root: Root) -> tuple[Path, Path]:
    """The model's artifact of the one run under a root, and the rules by which its rows were read."""
    (model,) = (root.artifacts / "Trainer" / "model").iterdir()
    (rules,) = (root.artifacts / "ExampleGen").rglob(Path(READING_RULES_FILE).name)
    return model, rules


def _read_training_cpu(model: Path) -> float:
    history = json.loads(Path(training_dir(str(model)), HISTORY_FILE).read_text(encoding="utf-8"))
    return float(history["cpu_seconds"])


def _read_children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run_checked(*words: str) -> subprocess.CompletedProcess[str]:
    done = run_taxiway(words, TIMEOUT_SECONDS)
    if done.returncode:
        raise TaxiwayError(
            f"`taxiway {words[0]}` ended with exit code {done.returncode}:\n{(done.stderr or done.stdout).strip()}",
            "Mend it first.",
        )
    return done
