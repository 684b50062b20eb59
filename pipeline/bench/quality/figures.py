"""Ratios, geometric means and ranks of `taxiway bench quality`, and how they are printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from taxiway.pipeline.bench.figures import format_met
from taxiway.pipeline.console import printing

OURS, FORMER = "taxiway", "former"
TARGETS = {"catboost": 1.02, "lightgbm": 0.97}
"""The geometric mean of our error over theirs is at most this."""
RANK_TARGET = 2.5
FORMER_TARGETS = {"error": 1.02, "train_cpu_seconds": 5.0}
"""Ours is at most so many times the former model's, on every table. The former one has no rank."""


def compute_figures(measured: Sequence[Mapping[str, Any]], whole: bool) -> dict[str, Any]:
    """Everything that is printed, as JSON values.

    Args:
        measured: One entry a table and seed: `table`, `task`, `seed`, `rows`, `columns` and `models`, each with
            `error`, `train_cpu_seconds` and `latency_ms`. The targets against `former` count where it is among them.
        whole: Whether all tables were run, so that the targets have a meaning.
    """
    names = list(dict.fromkeys(entry["table"] for entry in measured))
    models = list(measured[0]["models"])
    tables = {name: _summarize_table([e for e in measured if e["table"] == name], models) for name in names}
    ratios = {
        peer: _compute_geometric_mean([table["ratios"][peer] for table in tables.values()])
        for peer in models
        if peer != OURS
    }
    ranked = [model for model in models if model != FORMER]
    ranks = {model: float(np.mean([table["ranks"][model] for table in tables.values()])) for model in ranked}
    met = ranks[OURS] <= RANK_TARGET and all(ratios[peer] <= target for peer, target in TARGETS.items())
    against_former = {"over_former": FORMER_TARGETS} if FORMER in models else {}
    return {
        "version": 1,
        "seeds": sorted({entry["seed"] for entry in measured}),
        "tables": tables,
        "ratio_of_errors": ratios,
        "mean_rank": ranks,
        "targets": {"ratio_of_errors": TARGETS, "mean_rank": RANK_TARGET, **against_former},
        "whole": whole,
        "met": whole and met and all(_keeps_former(table) for table in tables.values()),
        "measured": list(measured),
    }


def _summarize_table(entries: Sequence[Mapping[str, Any]], models: Sequence[str]) -> dict[str, Any]:
    """Means over the seeds; the rank of a model is that of its mean error."""
    errors, seconds = (
        {model: float(np.mean([e["models"][model][what] for e in entries])) for model in models}
        for what in ("error", "train_cpu_seconds")
    )
    former = {"error": errors, "train_cpu_seconds": seconds} if FORMER in models else {}
    return {
        "task": entries[0]["task"],
        "rows": entries[0]["rows"],
        "columns": entries[0]["columns"],
        "errors": errors,
        "ratios": {model: errors[OURS] / error for model, error in errors.items() if model != OURS},
        "ranks": compute_ranks({model: error for model, error in errors.items() if model != FORMER}),
        "train_cpu_seconds": seconds,
        "over_former": {name: values[OURS] / values[FORMER] for name, values in former.items()},
        "latency_ms": {m: _average_latency(entries, m) for m in models},
    }


def _keeps_former(table: Mapping[str, Any]) -> bool:
    """Whether ours is within the targets against the former model, where that was measured."""
    return all(ratio <= FORMER_TARGETS[name] for name, ratio in table["over_former"].items())


def _average_latency(entries: Sequence[Mapping[str, Any]], model: str) -> dict[str, float]:
    found = [entry["models"][model]["latency_ms"] for entry in entries]
    return {rows: float(np.median([latency[rows] for latency in found])) for rows in found[0]}


def compute_ranks(errors: Mapping[str, float]) -> dict[str, float]:
    """1 for the least error; equal errors share the mean of their ranks."""
    values = list(errors.values())
    return {
        model: 1 + sum(other < error for other in values) + (sum(other == error for other in values) - 1) / 2
        for model, error in errors.items()
    }


def _compute_geometric_mean(ratios: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(ratios))))


def print_figures(result: Mapping[str, Any]) -> None:
    """Prints errors, each peer's with the ratio of ours to it, then costs."""
    models, console = [OURS, *result["ratio_of_errors"]], printing.make_console()
    errors = "1 - AUC, 1 - accuracy, RMSE over the deviation; in brackets ours over it"
    title = f"Error on test rows ({errors}), mean of {len(result['seeds'])} seeds"
    console.print(_make_table(title, models, [
        (f"{name}, {table['rows']:,} rows", *(_format_error(table, m) for m in models))
        for name, table in result["tables"].items()
    ] + [
        ("ours over theirs, geometric mean", "", *(f"{ratio:.3f}" for ratio in result["ratio_of_errors"].values())),
        ("mean rank", *(f"{result['mean_rank'][m]:.2f}" if m != FORMER else "-" for m in models)),
    ]))  # fmt: skip
    costs = [(f"{name}", *(_format_cost(table, m) for m in models)) for name, table in result["tables"].items()]
    title = f"Training, CPU seconds{' (ours over it)' if FORMER in models else ''}; predicting 1 and 32 rows, ms"
    console.print(_make_table(title, models, costs))
    if result["whole"]:
        wanted = ", ".join(f"{peer} {target:g}" for peer, target in TARGETS.items())
        if FORMER in models:
            error, seconds = FORMER_TARGETS.values()
            wanted += f", former {error:g} and its training CPU {seconds:g} on every table"
        console.print(f"targets: {wanted}, mean rank {RANK_TARGET:g}: {format_met(result['met'])}")


def _make_table(title: str, models: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:
    heads = ("table", *models)
    return printing.make_table(title, heads, rows, heads[1:])


def _format_error(table: Mapping[str, Any], model: str) -> str:
    ratio = table["ratios"].get(model)
    return f"{table['errors'][model]:.4f}" + (f" ({ratio:.3f})" if ratio is not None else "")


def _format_cost(table: Mapping[str, Any], model: str) -> str:
    latency = " ".join(f"{milliseconds:.2f}" for milliseconds in table["latency_ms"][model].values())
    ratio = f" ({table['over_former']['train_cpu_seconds']:.2f})" if model == FORMER else ""
    return f"{table['train_cpu_seconds'][model]:.1f} s{ratio}  {latency}"
