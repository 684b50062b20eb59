"""`taxiway bench pipeline`: our pipeline against TFX's own taxi example, on the same rows, split the same way.

Each side runs in a fresh process under a fresh root, the sides take turns. TFX's example is trained on as many rows as
ours saw. The rows of our ExampleGen are handed to it as csv, so both are judged on the same evaluation rows.
"""

from __future__ import annotations

import json as json_module
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components import contract, subprocesses
from components.errors import TaxiwayError
from pipeline import config as configuration
from pipeline import output
from pipeline.layout import Root
from pipeline.record import RunRecord
from pipeline.store import Store

TIMEOUT_SECONDS = 1800.0
SHARED_TARGET, WHOLE_TARGET = 0.6, 1.6
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
class Side:
    """What the runs of one side gave.

    Attributes:
        seconds: By node, one value a run.
        wall: Wall time of the whole process, imports included, one value a run.
        auc: On the evaluation rows, one value a run.
    """

    seconds: dict[str, list[float]] = field(default_factory=dict)
    wall: list[float] = field(default_factory=list)
    auc: list[float] = field(default_factory=list)

    def add(self, seconds: Mapping[str, float], wall: float, quality: Mapping[str, Any]) -> None:
        for node, value in seconds.items():
            self.seconds.setdefault(node, []).append(value)
        self.wall.append(wall)
        self.auc.append(quality["auc"])

    def together(self, nodes: Sequence[str]) -> list[float]:
        """Seconds of these nodes together, one value a run."""
        columns = [self.seconds[node] for node in nodes if node in self.seconds]
        return [sum(values) for values in zip(*columns, strict=True)]


def main(*, json: bool = False, runs: int = 3, config: Path | None = None, overrides: Sequence[str] = ()) -> int:
    """Runs the benchmark and prints it.

    Args:
        json: Print JSON on standard output, and nothing else there.
        runs: Runs of each side.
        config: Ours; the taxi example's where None.
        overrides: As `--set`.

    Returns:
        0, or 1 where a target is missed.
    """
    ours, peer, rows = Side(), Side(), {}
    with tempfile.TemporaryDirectory(prefix="taxiway-bench-") as folder:
        for number in range(1, runs + 1):
            rows = _round(Path(folder, str(number)), config, overrides, ours, peer)
            print(f"round {number} of {runs}: ours {ours.wall[-1]:.0f} s, TFX {peer.wall[-1]:.0f} s", file=sys.stderr)
    result = figures(ours, peer, rows)
    if json:
        output.print_json(result)
    else:
        show(result)
    return 0 if all(result["met"].values()) else 1


def _round(folder: Path, config: Path | None, overrides: Sequence[str], ours: Side, peer: Side) -> dict[str, Any]:
    folder.mkdir()
    settings = configuration.load(config, overrides)
    run, wall, root = _run_ours(folder, config, overrides)
    examples, model = _outputs(root, run)
    label = settings.label.column
    quality = _child(
        "quality",
        folder,
        {
            "model": contract.serving_model_dir(model),
            "output": contract.PROBABILITIES,
            "examples": f"{examples}/Split-eval",
            "label": label,
        },
    )
    ours.add({node.node: node.seconds or 0.0 for node in run.nodes}, wall, quality)

    leave_out = [label] if label != TIPS else []
    _child("export", folder, {"examples": examples, "target": str(folder / "csv"), "leave_out": leave_out})
    seen = rows_seen(Path(model), settings.training.global_batch_size)
    (folder / "peer").mkdir()
    started = time.monotonic()
    theirs = _child("peer", folder, {"root": str(folder / "peer"), "data": str(folder / "csv"), "train_rows": seen})
    wall = time.monotonic() - started
    judged = {"model": theirs["model"], "output": "outputs", "examples": theirs["examples"], "label": ""}
    peer.add(theirs["seconds"], wall, _child("quality", folder, judged))
    return {"train_rows_seen": {"ours": seen, "tfx": theirs["train_rows"]}, "eval_rows": quality["rows"]}


def _run_ours(folder: Path, config: Path | None, overrides: Sequence[str]) -> tuple[RunRecord, float, Root]:
    root = Root.at(folder / "ours")
    command = [sys.executable, "-m", "pipeline", "run", *([str(config)] if config else [])]
    command += ["--root", str(root.path), "--json"]
    for override in overrides:
        command += ["--set", override]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    wall = time.monotonic() - started
    if done.returncode:
        raise TaxiwayError(f"Our run ended with exit code {done.returncode}:\n{done.stderr.strip()}", "Mend it first.")
    return RunRecord.model_validate(json_module.loads(done.stdout)), wall, root


def _outputs(root: Root, run: RunRecord) -> tuple[str, str]:
    """Folders of the examples and of the trained model."""
    store = Store(root.metadata)
    found = {node.node: store.outputs(node.execution_id) for node in run.nodes if node.execution_id}
    return found["ExampleGen"][0].uri, next(each.uri for each in found["Trainer"] if each.type == "Model")


def rows_seen(model: Path, batch_size: int) -> int:
    """Training rows that the trainer has seen, from what it recorded."""
    history = json_module.loads(Path(contract.training_dir(str(model)), "history.json").read_text(encoding="utf-8"))
    return int(history["evaluations"][-1]["step"]) * batch_size


def _child(name: str, folder: Path, job: Mapping[str, Any]) -> dict[str, Any]:
    log = folder / f"{name}.log"
    outcome = subprocesses.run(f"pipeline.bench.{name}", job, log, timeout_seconds=TIMEOUT_SECONDS)
    if outcome.result is None:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise TaxiwayError(f"The benchmark's part {name!r} failed: {outcome.error}", tail)
    return outcome.result


def figures(ours: Side, peer: Side, rows: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that is printed, as JSON values. Ratios are ours over TFX's, run by run, below 1 is faster."""
    shared = _ratio(ours.together(list(COUNTERPARTS)), peer.together(list(COUNTERPARTS.values())))
    whole = _ratio(ours.wall, peer.wall)
    auc = {"ours": spread(ours.auc), "tfx": spread(peer.auc)}
    nodes = {node: {"ours": spread(values)} for node, values in ours.seconds.items()}
    for node, counterpart in COUNTERPARTS.items():
        if node in nodes and counterpart in peer.seconds:
            nodes[node] |= {"tfx": spread(peer.seconds[counterpart])}
    return {
        "version": 1,
        "runs": len(ours.wall),
        "cores": os.cpu_count(),
        **rows,
        "nodes": nodes,
        "shared": {**shared, "target": SHARED_TARGET},
        "whole": {**whole, "target": WHOLE_TARGET},
        "auc": auc,
        "met": {
            "shared": shared["ratio"]["median"] <= SHARED_TARGET,
            "whole": whole["ratio"]["median"] <= WHOLE_TARGET,
            "auc": auc["ours"]["median"] >= auc["tfx"]["median"],
        },
    }


def _ratio(ours: Sequence[float], peer: Sequence[float]) -> dict[str, Any]:
    pairs = [a / b for a, b in zip(ours, peer, strict=True)]
    return {"ours": spread(ours), "tfx": spread(peer), "ratio": spread(pairs)}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and range."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def show(result: Mapping[str, Any]) -> None:
    """Prints the figures as a table and the three verdicts."""
    rows = [
        (node, _seconds(sides["ours"]), _seconds(sides.get("tfx")), _over(sides))
        for node, sides in result["nodes"].items()
    ]
    console = output.console()
    title = f"{result['runs']} runs of each side, interleaved; {result['cores']} cores; median [range]"
    console.print(output.table(title, ("node", "ours", "TFX's example", "ratio"), rows, right=("ours", "ratio")))
    for name, words in (("shared", "shared components together"), ("whole", "whole process")):
        part = result[name]
        console.print(
            f"{words}: {_seconds(part['ours'])} against {_seconds(part['tfx'])}, "
            f"ratio {_range(part['ratio'], 2)}, target {part['target']} {_met(result['met'][name])}"
        )
    auc = result["auc"]
    console.print(
        f"AUC on the same {result['eval_rows']:,} rows after {result['train_rows_seen']['ours']:,} rows seen: "
        f"{_range(auc['ours'], 4)} against {_range(auc['tfx'], 4)} {_met(result['met']['auc'])}"
    )


def _seconds(values: Mapping[str, float] | None) -> str:
    return "–" if values is None else f"{_range(values, 1)} s"


def _range(values: Mapping[str, float], digits: int) -> str:
    return f"{values['median']:.{digits}f} \\[{values['min']:.{digits}f}, {values['max']:.{digits}f}]"


def _over(sides: Mapping[str, Any]) -> str:
    if "tfx" not in sides or not sides["tfx"]["median"]:
        return "–"
    return f"{sides['ours']['median'] / sides['tfx']['median']:.2f}"


def _met(met: bool) -> str:
    return "[green]met[/]" if met else "[red]missed[/]"
