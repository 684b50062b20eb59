"""Why a version is live: one paragraph, and the numbers behind it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from taxiway.components.contract import EVAL_SPLIT, TEST_SPLIT
from taxiway.components.errors import StoreError, UsageError
from taxiway.pipeline.console import printing
from taxiway.pipeline.lineage.facts import Facts
from taxiway.pipeline.lineage.graph import NodeGraph
from taxiway.pipeline.lineage.nodes import Node
from taxiway.pipeline.lineage.steps import LineageStep, list_steps
from taxiway.pipeline.lineage.traversal import LineageReader
from taxiway.pipeline.root import Root

SERVING_VERDICT = "taxiway.ServingVerdict"
"""Type of the artifacts that `taxiway monitor` records."""
HELD_BACK = {EVAL_SPLIT: "choose", TEST_SPLIT: "judge"}
"""What the rows of a split were for, beside training."""


@dataclass(frozen=True)
class VersionExplanation:
    """Why a version is, or was, live: a paragraph, and the numbers behind it."""

    version: str
    paragraph: str
    numbers: Facts

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def explain_version(graph: NodeGraph, root: Root) -> VersionExplanation:
    """Explains why the version in a graph's focus is live.

    Raises:
        UsageError: The focus holds no version.
    """
    version = next((graph.nodes[key] for key in graph.focus if graph.nodes[key].kind == "version"), None)
    if version is None:
        raise UsageError("--why asks about a version.", "Name one; see: taxiway versions.")
    steps = {step.node: step for step in list_steps(graph, root)}
    verdict = _find_verdict(version, root)
    numbers = _collect_numbers(version, steps) | _collect_verdict(verdict)
    sentences = [
        _explain_state(version),
        _explain_data(steps),
        _explain_settings(steps),
        _explain_training(steps),
        _explain_quality(steps, version),
        _explain_variant(steps, version),
        _explain_traffic(verdict),
    ]
    return VersionExplanation(version.name, " ".join(sentence for sentence in sentences if sentence), numbers)


def _explain_state(version: Node) -> str:
    moment = printing.format_time(version.time)
    state = {"live": "is live", "gone": "was taken away by retention", "quarantined": "was rolled back"}
    state["candidate"] = "is a candidate beside the live version"
    state["a copy"] = "lies here as a copy"
    how = f"pushed {moment} by run {version.run}" if version.run else f"pushed {moment}"
    if version.properties.get("rollback_of"):
        back = version.properties
        reason = f" ({back['rollback_reason']})" if back.get("rollback_reason") else ""
        how = f"published {moment} by a rollback of version {back['rollback_of']}{reason}; its bytes are version "
        how += f"{back.get('bytes_of')}'s, of run {version.run}"
    if version.properties.get("promoted_from"):
        own = version.properties
        reason = f" ({own['promotion_reason']})" if own.get("promotion_reason") else ""
        how = (
            f"published {moment} by the promotion of the candidate {own['promoted_from']}{reason}, of run {version.run}"
        )
    return f"Version {version.properties['version']} of {version.key.partition(':')[2].rpartition('/')[0]} " + (
        f"{state.get(version.type, 'is an earlier version')}: {how}."
    )


def _explain_data(steps: Mapping[str, LineageStep]) -> str:
    facts = steps["ExampleGen"].facts if "ExampleGen" in steps else {}
    if not facts:
        return ""
    rows, files = facts.get("rows", {}), facts.get("files", [])
    held = [f"{rows[split]:,} to {use}" for split, use in HELD_BACK.items() if rows.get(split)]
    beside = f" (and {', '.join(held)})" if held else ""
    counted = f"{rows['train']:,} rows{beside}" if "train" in rows else "rows"
    span = f" of span {facts['span']}" if facts.get("span") else ""  # data without spans are called 0
    return f"It learned from {counted}{span}, read from {', '.join(files) or 'unknown files'}."


def _explain_training(steps: Mapping[str, LineageStep]) -> str:
    facts = steps["Trainer"].facts if "Trainer" in steps else {}
    if "steps" not in facts:
        return ""
    restarts = facts.get("restarts") or 0
    again = f" with {restarts} restart{'s' * (restarts > 1)}" if restarts else ""
    return f"Training took {facts['steps']:,} steps ({facts.get('strategy', 'one_device')}){again}."


def _explain_settings(steps: Mapping[str, LineageStep]) -> str:
    facts = steps["Tuner"].facts if "Tuner" in steps else {}
    if "settings" not in facts:
        return ""
    return (
        f"Its settings were the best of {facts['trials']} trials by {facts['metric']} on the eval split "
        f"({facts['value']:.4g}): {facts['settings']}."
    )


def _explain_quality(steps: Mapping[str, LineageStep], version: Node) -> str:
    baseline = steps["Baseline"].facts.get("baseline") if "Baseline" in steps else None
    metric, metrics = version.properties.get("metric"), steps["Evaluator"].facts if "Evaluator" in steps else {}
    candidate = (metrics.get("metrics") or version.properties.get("metrics") or {}).get(metric)
    was = (metrics.get("baseline's") or {}).get(metric)
    if candidate is None:
        quality = version.properties.get("quality")
        return f"Its {metric} is {quality:.4f}." if metric and isinstance(quality, float) else ""
    against = f" against {was:.4f} of the baseline" if was is not None else ""
    return f"Its {metric} was {candidate:.4f}{against}{f' ({baseline})' if baseline else ''}, and every gate passed."


def _explain_variant(steps: Mapping[str, LineageStep], version: Node) -> str:
    facts = steps["ModelOptimizer"].facts if "ModelOptimizer" in steps else {}
    chosen = facts.get("chosen") or version.properties.get("variant")
    return (
        f"The optimizer chose {chosen}{': ' + facts['decision'].rstrip('.') if facts.get('decision') else ''}."
        if chosen
        else ""
    )


def _find_verdict(version: Node, root: Root) -> Node | None:
    """The verdict of `taxiway monitor` on the version's newest window; None where the store knows none."""
    model = version.key.partition(":")[2].rpartition("/")[0]
    own = (model, version.properties["version"])
    with contextlib.suppress(StoreError):
        verdicts = LineageReader.open_root(root).list_artifacts_of_type(SERVING_VERDICT)
        made = [
            node for node in verdicts if (node.properties.get("model"), node.properties.get("model_version")) == own
        ]
        return max(made, key=lambda node: (node.properties.get("window_end", 0), node.time), default=None)
    return None


def _explain_traffic(verdict: Node | None) -> str:
    if verdict is None:
        return ""
    facts = verdict.properties
    start, end = (printing.format_time(facts.get(name)) for name in ("window_start", "window_end"))
    judged = {"right": "is right", "wrong": "is wrong"}.get(str(facts.get("status")), "was not judged")
    return f"Its newest window of requests, {start} to {end}, {judged}: {facts.get('reason', '')}."


def _collect_verdict(verdict: Node | None) -> Facts:
    names = ("status", "rows", "window_end") if verdict else ()
    return {f"Monitor {name}": verdict.properties.get(name) for name in names if verdict}


def _collect_numbers(version: Node, steps: Mapping[str, LineageStep]) -> Facts:
    wanted = {"ExampleGen": ("span", "fingerprint", "rows"), "Trainer": ("steps", "restarts")}
    wanted |= {
        "Tuner": ("settings", "metric", "value", "trials"),
        "Evaluator": ("metrics", "baseline's"),
        "OptimizedEvaluator": ("metrics",),
        "ModelOptimizer": ("chosen",),
    }
    numbers: Facts = {"version": version.properties["version"], "digest": version.properties.get("digest")}
    for node, names in wanted.items():
        facts = steps[node].facts if node in steps else {}
        numbers |= {f"{node} {name}": facts[name] for name in names if name in facts}
    return numbers
