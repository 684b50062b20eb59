"""`taxiway bench train`: the training loop against Keras's and against a bare one, and what distribution costs.

The loops take turns in one process (`train_rounds.py`). The study of distribution trains the same job as
`taxiway run` does, in processes and clusters of its own.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from components import subprocesses
from components.errors import TrainingError
from pipeline import output
from pipeline.bench import train_study

BATCHES = {128: 1000, 1024: 400}
"""Steps of a round, by batch size."""
TARGETS = {"fit": 4.0, "fit_tuned": 1.2, "bare": 0.8}
"""What our steps per second are to be, times those of the other loop, at batch 128."""
LOSS_TOLERANCE = 0.15
"""Relative: the sides shuffle differently."""


def main(*, json: bool = False, rounds: int = 9, study: bool = True) -> int:
    """Runs the benchmark and prints it.

    Args:
        json: Print JSON on standard output, and nothing else there.
        rounds: Of each side, interleaved.
        study: Also trains with several devices, workers and parameter servers.

    Returns:
        0 where every target was met, else 1.
    """
    with tempfile.TemporaryDirectory(prefix="taxiway-bench-") as folder:
        loops = compare(Path(folder), rounds)
        distribution = train_study.run(Path(folder)) if study else []
    result = {"version": 1, "loops": loops, "distribution": distribution, "met": all(r["met"] for r in loops)}
    if json:
        output.print_json(result)
    else:
        show(result)
    return 0 if result["met"] else 1


def compare(folder: Path, rounds: int) -> list[dict[str, Any]]:
    """The loops at each batch size.

    Raises:
        TrainingError: the measuring process failed.
    """
    job = {"batches": list(BATCHES), "steps": {str(b): s for b, s in BATCHES.items()}, "rounds": rounds}
    outcome = subprocesses.run("pipeline.bench.train_rounds", job, folder / "rounds.log", timeout_seconds=1200)
    subprocesses.raise_again(outcome, TrainingError)
    return [figures(int(batch), measured) for batch, measured in (outcome.result or {}).items()]


def figures(batch: int, measured: Mapping[str, Any]) -> dict[str, Any]:
    """Median and range of the steps per second and of our ratio to each other side, round by round.

    Ours is the faster of our loop with XLA and without: what `training.xla: auto`, the default, would keep.
    """
    speed = measured["steps_per_second"]
    ours = max((side for side in speed if side in OURS), key=lambda side: statistics.median(speed[side]))
    ratios = {
        side: spread([a / b for a, b in zip(speed[ours], speed[side], strict=True)]) for side in speed if side != ours
    }
    losses = measured["loss"]
    same = all(abs(loss / losses["fit"] - 1) <= LOSS_TOLERANCE for loss in losses.values())
    fast = batch != min(BATCHES) or all(ratios[side]["median"] >= target for side, target in TARGETS.items())
    return {
        "batch": batch,
        "steps": measured["steps"],
        "ours": ours,
        "steps_per_second": {side: spread(values) for side, values in speed.items()},
        "ratio": ratios,
        "targets": TARGETS if batch == min(BATCHES) else {},
        "loss": losses,
        "same_loss": same,
        "met": fast and same,
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


OURS = ("ours_xla", "ours_plain")
NAMES = {
    "ours_xla": "our loop, XLA",
    "ours_plain": "our loop, no XLA",
    "fit": "model.fit",
    "fit_tuned": "fit, 50 steps per execution",
    "fit_tuned_xla": "the same, XLA",
    "bare": "bare TensorFlow",
    "bare_xla": "the same, XLA",
}


def show(result: Mapping[str, Any]) -> None:
    """Prints the figures for a person."""
    for at in result["loops"]:
        output.print_table(output.table(f"batch {at['batch']}", LOOP_COLUMNS, loop_rows(at), LOOP_COLUMNS[1:]))
    if result["distribution"]:
        train_study.show(result["distribution"])
    output.console().print("every target met" if result["met"] else "NOT every target met")


LOOP_COLUMNS = ("loop", "steps/s", "range", "ours is", "target", "loss after the same steps")


def loop_rows(at: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for side, speed in at["steps_per_second"].items():
        ratio, target = at["ratio"].get(side), at["targets"].get(side)
        rows.append(
            [
                NAMES[side] + (" (ours)" if side == at["ours"] else ""),
                f"{speed['median']:.0f}",
                f"{speed['min']:.0f} to {speed['max']:.0f}",
                f"{ratio['median']:.2f}x ({ratio['min']:.2f} to {ratio['max']:.2f})" if ratio else "",
                f"{target:g}x" if target else "",
                f"{at['loss'][side]:.4f}",
            ]
        )
    return rows
