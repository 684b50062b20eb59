"""`taxiway bench pipeline`: our pipeline against TFX's own taxi example, on the same rows, split the same way.

Each side runs in a fresh process under a fresh root, the sides take turns. TFX's example is trained on as many rows as
ours saw. The rows of our ExampleGen are handed to it as csv, so both are judged on the same evaluation rows.
"""

from __future__ import annotations

import json as json_module
import os
import resource
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taxiway.components import contract
from taxiway.components.errors import TaxiwayError
from taxiway.components.processes import subprocesses
from taxiway.pipeline.bench.command import run_taxiway
from taxiway.pipeline.bench.figures import compute_spread, format_met
from taxiway.pipeline.config import load_config
from taxiway.pipeline.console import printing
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking.run_record import RunRecord
from taxiway.pipeline.tracking.store.metadata_store import RunStore

TIMEOUT_SECONDS = 1800.0
SHARED_TARGET, WHOLE_TARGET = 0.35, 0.8
TIPS = "tips"
"""TFX's example computes its label from this column itself."""

COUNTERPARTS = {
    "ExampleGen": "CsvExampleGen",
    "StatisticsGen": "StatisticsGen",
    "SchemaGen": "SchemaGen",
    "ExampleValidator": "ExampleValidator",
    "Transform": "Transform",
    "Trainer": "Trainer",
    "Baseline": "latest_blessed_model_resolver",
    "Evaluator": "Evaluator",
    "Pusher": "Pusher",
}
"""Our node and the one of TFX's example that does its job; our other nodes have none."""


@dataclass
class SideResults:
    """What was measured on one side.

    Attributes:
        seconds: Seconds by node, one value a run.
        wall: Wall time of the whole process, imports included, one value a run.
        cpu: Processor seconds of the whole process and its children, one value a run: what other work on the machine
            changes least.
        auc: AUC on the evaluation rows, one value a run.
    """

    seconds: dict[str, list[float]] = field(default_factory=dict)
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    auc: list[float] = field(default_factory=list)

    def add_run(self, seconds: Mapping[str, float], wall: float, cpu: float, quality: Mapping[str, Any]) -> None:
        for node, value in seconds.items():
            self.seconds.setdefault(node, []).append(value)
        self.wall.append(wall)
        self.cpu.append(cpu)
        self.auc.append(quality["auc"])

    def sum_nodes(self, nodes: Sequence[str]) -> list[float]:
        """Seconds of these nodes together, one value a run."""
        columns = [self.seconds[node] for node in nodes if node in self.seconds]
        return [sum(values) for values in zip(*columns, strict=True)]


def main(*, json: bool = False, runs: int = 3, config: Path | None = None, overrides: Sequence[str] = ()) -> int:
    """Runs the benchmark and prints it.

    Args:
        json: Print JSON on standard output, and nothing else there.
        runs: Number of runs of each side.
        config: Our configuration; the taxi example's where None.
        overrides: Settings as `--set` takes them.

    Returns:
        0, or 1 where a target is missed.
    """
    ours, peer, rows = SideResults(), SideResults(), {}
    with tempfile.TemporaryDirectory(prefix="taxiway-bench-") as folder:
        for number in range(1, runs + 1):
            rows = _run_round(Path(folder, str(number)), config, overrides, ours, peer)
            print(f"round {number} of {runs}: ours {ours.wall[-1]:.0f} s, TFX {peer.wall[-1]:.0f} s", file=sys.stderr)
    result = compute_figures(ours, peer, rows)
    if json:
        printing.print_json(result)
    else:
        print_figures(result)
    return 0 if all(result["met"].values()) else 1


def _run_round(
    folder: Path, config: Path | None, overrides: Sequence[str], ours: SideResults, peer: SideResults
) -> dict[str, Any]:
    folder.mkdir()
    settings = load_config(config, overrides)
    used = _count_cpu_seconds()
    run, wall, root = _run_ours(folder, config, overrides)
    cpu = _count_cpu_seconds() - used
    examples, model = _find_outputs(root, run)
    label = settings.label.column
    quality = _run_child(
        "model_quality",
        {
            "model": contract.serving_model_dir(model),
            "output": contract.PROBABILITIES,
            "examples": contract.judging_split_dir(str(examples)),
            "label": label,
        },
    )
    ours.add_run({node.node: node.seconds or 0.0 for node in run.nodes}, wall, cpu, quality)

    leave_out = [label] if label != TIPS else []
    _run_child("csv_export", {"examples": examples, "target": str(folder / "csv"), "leave_out": leave_out})
    seen = count_rows_seen(Path(model), settings.training.global_batch_size)
    (folder / "peer").mkdir()
    started, used = time.monotonic(), _count_cpu_seconds()
    theirs = _run_child("tfx_taxi", {"root": str(folder / "peer"), "data": str(folder / "csv"), "train_rows": seen})
    wall, cpu = time.monotonic() - started, _count_cpu_seconds() - used
    judged = {"model": theirs["model"], "output": "outputs", "examples": theirs["examples"], "label": ""}
    peer.add_run(theirs["seconds"], wall, cpu, _run_child("model_quality", judged))
    return {"train_rows_seen": {"ours": seen, "tfx": theirs["train_rows"]}, "eval_rows": quality["rows"]}


def _count_cpu_seconds() -> float:
    """Processor seconds of all children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run_ours(folder: Path, config: Path | None, overrides: Sequence[str]) -> tuple[RunRecord, float, Root]:
    root = Root.at(folder / "ours")
    words = ["run", *([str(config)] if config else []), "--root", str(root.path), "--json"]
    for override in overrides:
        words += ["--set", override]
    started = time.monotonic()
    process = run_taxiway(words, TIMEOUT_SECONDS)
    wall = time.monotonic() - started
    if process.returncode:
        raise TaxiwayError(
            f"Our run ended with exit code {process.returncode}:\n{process.stderr.strip()}", "Mend it first."
        )
    return RunRecord.model_validate(json_module.loads(process.stdout)), wall, root


def _find_outputs(root: Root, run: RunRecord) -> tuple[str, str]:
    """Folders of the examples and of the trained model."""
    store = RunStore(root.metadata)
    outputs = {node.node: store.list_outputs(node.execution_id) for node in run.nodes if node.execution_id}
    return outputs["ExampleGen"][0].uri, next(each.uri for each in outputs["Trainer"] if each.type == "Model")


def count_rows_seen(model: Path, batch_size: int) -> int:
    """Training rows that the trainer has seen, from what it recorded."""
    history = json_module.loads(Path(contract.training_dir(str(model)), "history.json").read_text(encoding="utf-8"))
    return int(history["evaluations"][-1]["step"]) * batch_size


def _run_child(name: str, job: Mapping[str, Any]) -> dict[str, Any]:
    module = f"taxiway.pipeline.bench.children.{name}"
    return subprocesses.run_module_checked(module, job, None, TaxiwayError, timeout_seconds=TIMEOUT_SECONDS)


def compute_figures(ours: SideResults, peer: SideResults, rows: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that is printed, as JSON values. Ratios are ours over TFX's, run by run, below 1 is faster."""
    shared = _compute_ratio(ours.sum_nodes(list(COUNTERPARTS)), peer.sum_nodes(list(COUNTERPARTS.values())))
    whole = _compute_ratio(ours.wall, peer.wall)
    auc = {"ours": compute_spread(ours.auc), "tfx": compute_spread(peer.auc)}
    nodes = {node: {"ours": compute_spread(values)} for node, values in ours.seconds.items()}
    for node, counterpart in COUNTERPARTS.items():
        if node in nodes and counterpart in peer.seconds:
            nodes[node] |= {"tfx": compute_spread(peer.seconds[counterpart])}
    return {
        "version": 1,
        "runs": len(ours.wall),
        "cores": os.cpu_count(),
        **rows,
        "nodes": nodes,
        "shared": {**shared, "target": SHARED_TARGET},
        "whole": {**whole, "target": WHOLE_TARGET},
        "cpu": _compute_ratio(ours.cpu, peer.cpu),
        "auc": auc,
        "met": {
            "shared": shared["ratio"]["median"] <= SHARED_TARGET,
            "whole": whole["ratio"]["median"] <= WHOLE_TARGET,
            "auc": auc["ours"]["median"] >= auc["tfx"]["median"],
        },
    }


def _compute_ratio(ours: Sequence[float], peer: Sequence[float]) -> dict[str, Any]:
    pairs = [a / b for a, b in zip(ours, peer, strict=True)]
    return {"ours": compute_spread(ours), "tfx": compute_spread(peer), "ratio": compute_spread(pairs)}


def print_figures(result: Mapping[str, Any]) -> None:
    """Prints the figures as a table and the three verdicts."""
    rows = [
        (node, _format_seconds_range(sides["ours"]), _format_seconds_range(sides.get("tfx")), _format_ratio(sides))
        for node, sides in result["nodes"].items()
    ]
    console = printing.make_console()
    title = f"{result['runs']} runs of each side, interleaved; {result['cores']} cores; median [range]"
    console.print(printing.make_table(title, ("node", "ours", "TFX's example", "ratio"), rows, right=("ours", "ratio")))
    for name, words in (("shared", "shared components together"), ("whole", "whole process")):
        part = result[name]
        console.print(
            f"{words}: {_format_seconds_range(part['ours'])} against {_format_seconds_range(part['tfx'])}, "
            f"ratio {_format_range(part['ratio'], 2)}, target {part['target']} {format_met(result['met'][name])}"
        )
    cpu = result["cpu"]
    console.print(
        f"processor seconds of the whole: {_format_range(cpu['ours'], 0)} against {_format_range(cpu['tfx'], 0)}, "
        f"ratio {_format_range(cpu['ratio'], 2)}; other work on the machine changes them less than wall time"
    )
    auc = result["auc"]
    console.print(
        f"AUC on the same {result['eval_rows']:,} rows after {result['train_rows_seen']['ours']:,} rows seen: "
        f"{_format_range(auc['ours'], 4)} against {_format_range(auc['tfx'], 4)} {format_met(result['met']['auc'])}"
    )


def _format_seconds_range(values: Mapping[str, float] | None) -> str:
    return "–" if values is None else f"{_format_range(values, 1)} s"


def _format_range(values: Mapping[str, float], digits: int) -> str:
    return f"{values['median']:.{digits}f} \\[{values['min']:.{digits}f}, {values['max']:.{digits}f}]"


def _format_ratio(sides: Mapping[str, Any]) -> str:
    if "tfx" not in sides or not sides["tfx"]["median"]:
        return "–"
    return f"{sides['ours']['median'] / sides['tfx']['median']:.2f}"
