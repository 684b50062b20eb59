"""`taxiway bench train`: the training loop against Keras's and against a bare one, and what distribution costs.

The loops take turns in one process (`train_rounds.py`). The study of distribution trains the same job as
`taxiway run` does, in processes and clusters of its own.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taxiway.components.errors import TrainingError
from taxiway.components.processes import subprocesses
from taxiway.pipeline.bench import train_study
from taxiway.pipeline.bench.figures import compute_spread
from taxiway.pipeline.console import printing

BATCHES = {128: 1000, 1024: 400}
"""Steps of a round, by batch size."""
TARGETS = {"fit": 4.0, "fit_tuned": 1.2, "bare": 0.8}
"""Our steps per second must be at least these multiples of the other loop's, at batch 128."""
LOSS_TOLERANCE = 0.15
"""Relative: the sides shuffle differently."""


def main(*, json: bool = False, rounds: int = 9, study: bool = True) -> int:
    """Runs the benchmark and prints it.

    Args:
        json: Print JSON on standard output, and nothing else there.
        rounds: Rounds of each side, interleaved.
        study: Whether to train, too, with several devices, workers and parameter servers.

    Returns:
        0 where every target was met, else 1.
    """
    with tempfile.TemporaryDirectory(prefix="taxiway-bench-") as folder:
        loops = compare_loops(rounds)
        distribution = train_study.run_study(Path(folder)) if study else []
    result = {"version": 1, "loops": loops, "distribution": distribution, "met": all(r["met"] for r in loops)}
    if json:
        printing.print_json(result)
    else:
        print_figures(result)
    return 0 if result["met"] else 1


def compare_loops(rounds: int) -> list[dict[str, Any]]:
    """The loops at each batch size.

    Raises:
        TrainingError: The measuring process failed.
    """
    job = {"batches": list(BATCHES), "steps": {str(b): s for b, s in BATCHES.items()}, "rounds": rounds}
    result = subprocesses.run_module_checked(
        "taxiway.pipeline.bench.children.train_rounds", job, None, TrainingError, timeout_seconds=1200
    )
    return [compute_figures(int(batch), measured) for batch, measured in result.items()]


def compute_figures(batch: int, measured: Mapping[str, Any]) -> dict[str, Any]:
    """Median and range of the steps per second and of our ratio to each other side, round by round.

    Ours is the faster of our loop with XLA and without: what `training.xla: auto`, the default, would keep.
    """
    speed = measured["steps_per_second"]
    ours = max((side for side in speed if side in OURS), key=lambda side: statistics.median(speed[side]))
    ratios = {
        side: compute_spread([a / b for a, b in zip(speed[ours], speed[side], strict=True)])
        for side in speed
        if side != ours
    }
    losses = measured["loss"]
    same = all(abs(loss / losses["fit"] - 1) <= LOSS_TOLERANCE for loss in losses.values())
    fast = batch != min(BATCHES) or all(ratios[side]["median"] >= target for side, target in TARGETS.items())
    return {
        "batch": batch,
        "steps": measured["steps"],
        "ours": ours,
        "steps_per_second": {side: compute_spread(values) for side, values in speed.items()},
        "ratio": ratios,
        "targets": TARGETS if batch == min(BATCHES) else {},
        "loss": losses,
        "same_loss": same,
        "met": fast and same,
    }


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


def print_figures(result: Mapping[str, Any]) -> None:
    """Prints the figures for a person."""
    for at in result["loops"]:
        printing.print_renderable(
            printing.make_table(f"batch {at['batch']}", LOOP_COLUMNS, format_loop_rows(at), LOOP_COLUMNS[1:])
        )
    if result["distribution"]:
        train_study.print_study(result["distribution"])
    printing.make_console().print("every target met" if result["met"] else "NOT every target met")


LOOP_COLUMNS = ("loop", "steps/s", "range", "ours is", "target", "loss after the same steps")


def format_loop_rows(at: Mapping[str, Any]) -> list[list[str]]:
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
