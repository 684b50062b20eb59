"""Facts about one execution: from its properties, from the artifacts that it wrote, and from the run's record."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from taxiway.components.contract import EVAL_SPLIT, SPLITS, TRAIN_SPLIT
from taxiway.components.errors import TaxiwayError
from taxiway.components.files.versioned_report import OPTIMIZATION_REPORT
from taxiway.pipeline.lineage.graph import NodeGraph
from taxiway.pipeline.lineage.nodes import Node
from taxiway.pipeline.tracking import run_record
from taxiway.pipeline.tracking.artifact_files import find_file
from taxiway.pipeline.tracking.nested_settings import flatten_settings
from taxiway.pipeline.tracking.store.execution_store import ERROR, PARAMETERS

Facts = dict[str, Any]
HYPER_PARAMETERS = ("epochs", "max_steps", "global_batch_size", "optimizer", "schedule", "precision", "seed")
CODE = ("taxiway_code", "code_fingerprint", "module_file", "preprocessing_fn", "run_fn")


def collect_facts(
    graph: NodeGraph, execution: Node, outputs: Iterable[Node], run: run_record.RunRecord | None
) -> Facts:
    """Facts by name; what is not known has no entry.

    Args:
        graph: Graph that holds the execution.
        execution: Node of the execution.
        outputs: Artifacts that it wrote.
        run: Record of its run; None where there is none.
    """
    facts: Facts = {}
    for artifact in outputs:
        describe = FACTS.get(artifact.type)
        facts |= describe(artifact, execution) if describe else {}
    facts |= _describe_search(graph, execution, facts.get("hyper-parameters", {}))
    facts |= _list_input_files(graph, execution) | _describe_parameters(execution)
    facts |= _describe_code(execution) | _describe_evaluation(execution.name, run)
    return {name: value for name, value in facts.items() if value not in (None, "", {}, [])}


# ---- by the type of the artifact ----


def _describe_examples(node: Node, execution: Node) -> Facts:
    properties = node.properties
    counts = {name.removeprefix("rows_"): count for name, count in properties.items() if name.startswith("rows_")}
    rows = {
        name: counts[name]
        for name in sorted(counts, key=_rank_split)
        if counts[name] or name in (TRAIN_SPLIT, EVAL_SPLIT)
    }
    return {"span": properties.get("span"), "fingerprint": properties.get("input_fingerprint"), "rows": rows}


def _rank_split(name: str) -> tuple[int, str]:
    return (SPLITS.index(name) if name in SPLITS else len(SPLITS)), name


def _describe_anomalies(node: Node, execution: Node) -> Facts:
    blessed = node.properties.get("blessed")
    if not isinstance(blessed, dict):
        return {}
    wrong = [split for split, sound in sorted(blessed.items()) if not sound]
    return {"anomalies": f"in {', '.join(wrong)}" if wrong else "none"}


def _describe_statistics(node: Node, execution: Node) -> Facts:
    with contextlib.suppress(ValueError, TypeError):
        return {"splits": json.loads(node.properties.get("split_names") or "[]")}
    return {}


def _describe_schema(node: Node, execution: Node) -> Facts:
    if "path" not in execution.properties:
        return {}
    how = "curated" if execution.properties.get("edited") else "inferred"
    return {"schema": f"{how}, {execution.properties['path']}" if execution.properties["path"] else how}


def _describe_verdict(node: Node, execution: Node) -> Facts:
    reason = node.properties.get("reason")
    return {"verdict": "passed" if node.properties.get("passed") == 1 else f"blocks: {reason}"}


def _describe_transform(node: Node, execution: Node) -> Facts:
    return {"preprocessing": _read_section(execution, "preprocessing")}


def _describe_model(node: Node, execution: Node) -> Facts:
    properties = node.properties
    if "kind" in properties:  # the baseline's
        live = f"version {properties.get('version')}, live then" if properties["kind"] == "live" else "naive"
        return {"baseline": live, "why": properties.get("reason")}
    names = (
        "strategy",
        "replicas",
        "steps",
        "rows",
        "restarts",
        "best_step",
        "stopped",
        "temperature",
        "threshold",
        "chosen",
    )
    training = _read_section(execution, "training")
    return {
        **{name: properties.get(name) for name in names},
        "hyper-parameters": {
            name: value for name, value in training.items() if name.partition(".")[0] in HYPER_PARAMETERS
        },
    }


def _describe_blessing(node: Node, execution: Node) -> Facts:
    blessed = node.properties.get("blessed") == 1
    return {"blessed": "yes" if blessed else "no", "why": node.properties.get("reason")}


def _describe_optimization(node: Node, execution: Node) -> Facts:
    with contextlib.suppress(TaxiwayError, OSError, ValueError, AttributeError):
        decision = OPTIMIZATION_REPORT.read_report(find_file(node.uri, "report.json")).get("decision", {})
        chosen, reasons = decision.get("chosen"), decision.get("reasons") or [""]
        return {"chosen": chosen, "decision": str(reasons[0]).removeprefix(f"{chosen}: ")}  # the first is the choice's
    return {"chosen": node.properties.get("chosen")}


def _describe_push(node: Node, execution: Node) -> Facts:
    properties = node.properties
    if properties.get("pushed") != 1:
        return {"push": f"nothing: {properties.get('reason', 'not blessed')}"}
    return {"push": f"version {properties.get('pushed_version')}", "digest": properties.get("digest")}


def _describe_hyperparameters(node: Node, execution: Node) -> Facts:
    names = ("settings", "metric", "value", "trials", "best_trial")
    return {name: node.properties.get(name) for name in names}


FACTS: Mapping[str, Callable[[Node, Node], Facts]] = {
    "Examples": _describe_examples,
    "ExampleStatistics": _describe_statistics,
    "Schema": _describe_schema,
    "ExampleAnomalies": _describe_anomalies,
    "taxiway.Verdict": _describe_verdict,
    "TransformGraph": _describe_transform,
    "HyperParameters": _describe_hyperparameters,
    "Model": _describe_model,
    "ModelBlessing": _describe_blessing,
    "InfraBlessing": _describe_blessing,
    "taxiway.OptimizationReport": _describe_optimization,
    "PushedModel": _describe_push,
}

# ---- by the execution ----


def _list_input_files(graph: NodeGraph, execution: Node) -> Facts:
    return {"files": [node.uri for node in graph.parents(execution.key) if node.type == "rows"]}


def _describe_search(graph: NodeGraph, execution: Node, configured: Facts) -> Facts:
    """Settings that a Tuner handed to an execution: they won over the configured values, which are no facts then."""
    handed = [node for node in graph.parents(execution.key) if node.type == "HyperParameters"]
    settings = ", ".join(str(node.properties.get("settings", "")) for node in handed)
    kept = {name: value for name, value in configured.items() if f"training.{name} " not in settings}
    return {"tuned": settings, "hyper-parameters": kept} if handed else {}


def _describe_parameters(execution: Node) -> Facts:
    """Run parameters that a cluster passed to a node, and why the node failed."""
    with contextlib.suppress(ValueError):
        parameters = dict(json.loads(execution.properties.get(PARAMETERS) or "{}"))
        parameters.pop("root", None)  # every command names it already
        return {"parameters": parameters, "error": execution.properties.get(ERROR)}
    return {}


def _describe_code(execution: Node) -> Facts:
    return {name.removeprefix("taxiway_").replace("_", " "): execution.properties.get(name) for name in CODE}


def _describe_evaluation(node: str, run: run_record.RunRecord | None) -> Facts:
    """The gate's reason where it blocked, and the metrics that the run's record holds for a node."""
    if run is None:
        return {}
    gate = next((gate for gate in run.gates if gate.gate == node), None)
    overall = run.find_overall(node)
    facts: Facts = {"gate": gate.reason} if gate and not gate.passed else {}
    if overall:
        facts["metrics"] = overall.candidate
        facts["baseline's"] = overall.baseline
    return facts


def _read_section(execution: Node, section: str) -> Facts:
    """A section of the `custom_config` that an execution was given, flat and without empty values."""
    with contextlib.suppress(ValueError, AttributeError):
        settings = json.loads(execution.properties.get("custom_config") or "{}").get(section) or {}
        return {name: value for name, value in flatten_settings(settings).items() if value not in (None, "", [], {})}
    return {}
