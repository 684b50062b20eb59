"""The record of a run that left no summary, told from what the store knows and its artifacts hold.

So are emulated and Kubeflow runs, runs of other tools, and runs that died before their first word. Neither TFX nor
TensorFlow is imported.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from components.errors import TaxiwayError
from pipeline import results
from pipeline.layout import Root
from pipeline.record import (
    BLOCKS,
    GateRecord,
    MetricValues,
    NodeRecord,
    NodeState,
    PushRecord,
    RunRecord,
    VariantRecord,
)
from pipeline.recorded import ERROR, FIRST_ID, PARAMETERS
from pipeline.store import ArtifactRecord, ExecutionRecord, Store

NODE_STATES: dict[str, NodeState] = {
    "COMPLETE": "done",
    "CACHED": "cached",
    "FAILED": "failed",
    "CANCELED": "interrupted",
    "RUNNING": "running",
    "NEW": "running",
}
ELSEWHERE = "kubeflow"
"""The orchestrator of runs that only records tell of: a cluster's, or the emulation of one."""

UNDER_WAY = "no node failed, no gate blocked, nothing was pushed: it is under way, was stopped, or pushes nothing"
"""Records are written when a node ends: nobody tells that another is about to begin."""
CONFIGURED = {"DataGate": "gates", "ModelOptimizer": "optimization", "Pusher": "serving"}
"""Nodes that are told a whole section of the configuration."""


def run(root: Root, run_id: str, store: Store | None) -> RunRecord:
    """A run by what it wrote.

    Args:
        root: Where it ran.
        run_id: Its id.
        store: What the root knows; None where it knows nothing.
    """
    executions = store.executions(run_id) if store else []
    if store is None or not executions:
        return _without_nodes(root, run_id)
    outputs = store.outputs_of([execution.id for execution in executions])
    gates = {each.node: gate for each in executions if (gate := _gate(each.node, outputs[each.id]))}
    model = _model(executions)
    written = [artifact for execution in executions for artifact in outputs[execution.id]]
    push = results.push(written, root.serving / model)
    return RunRecord(
        run_id=run_id,
        **_ended(executions, list(gates.values()), push),
        orchestrator=ELSEWHERE if executions[0].id >= FIRST_ID else "",
        model=model,
        main_metric=_main_metric(executions, written),
        started=min(execution.started for execution in executions),
        ended=max(execution.ended for execution in executions),
        nodes=tuple(_node(execution, gates.get(execution.node)) for execution in executions),
        gates=tuple(gates.values()),
        metrics={e.node: values for e in executions if (values := _metrics(outputs[e.id]))},
        variants=_variants(written),
        push=push,
    )


def _without_nodes(root: Root, run_id: str) -> RunRecord:
    folder = root.run(run_id)
    return RunRecord(
        run_id=run_id,
        state="interrupted",
        orchestrator="",
        reason="it ended before its first node",
        started=folder.stat().st_mtime if folder.exists() else 0.0,
    )


def _ended(executions: Sequence[ExecutionRecord], gates: Sequence[GateRecord], push: PushRecord | None) -> Any:
    """State, exit code and reason."""
    failed = next((each for each in executions if each.state == "FAILED"), None)
    blocking = next((gate for gate in gates if not gate.passed), None)
    if failed:
        return {
            "state": "failed",
            "exit_code": 1,
            "reason": f"{failed.node}: {failed.properties.get(ERROR) or 'failed'}",
        }
    if any(NODE_STATES.get(each.state, "interrupted") in ("running", "interrupted") for each in executions):
        return {"state": "interrupted", "reason": ""}
    if blocking:
        return {"state": "blocked", "exit_code": 3, "reason": f"{blocking.gate}: {blocking.reason}"}
    if push and not (push.pushed or push.already_live):
        return {"state": "blocked", "exit_code": 3, "reason": f"Pusher: {push.reason}"}
    unknown = "" if push or executions[0].id < FIRST_ID else UNDER_WAY
    return {"state": "live" if push else "done", "exit_code": 0, "reason": unknown}


def _node(execution: ExecutionRecord, gate: GateRecord | None) -> NodeRecord:
    said = "" if gate is None else "passed" if gate.passed else f"{BLOCKS}{gate.reason}"
    return NodeRecord(
        node=execution.node,
        state=NODE_STATES.get(execution.state, "interrupted"),
        seconds=round(execution.seconds, 3),
        reason=said or str(execution.properties.get(ERROR) or ""),
        execution_id=execution.id,
        started=execution.started,
    )


def _gate(node: str, outputs: Sequence[ArtifactRecord]) -> GateRecord | None:
    """What a gate decided; where its files cannot be read, what its artifact's properties say."""
    try:
        return results.gate(node, outputs)
    except (TaxiwayError, OSError, ValueError):
        return results.gate_of_properties(node, outputs)


def _metrics(outputs: Sequence[ArtifactRecord]) -> tuple[MetricValues, ...]:
    evaluation = results.of_type(outputs, "ModelEvaluation")
    with contextlib.suppress(TaxiwayError, OSError, ValueError):
        return results.evaluation(evaluation.uri) if evaluation else ()
    return ()


def _variants(written: Sequence[ArtifactRecord]) -> tuple[VariantRecord, ...]:
    report = results.of_type(written, "taxiway.OptimizationReport")
    with contextlib.suppress(TaxiwayError, OSError, ValueError):
        return results.variants(report.uri) if report else ()
    return ()


def _model(executions: Sequence[ExecutionRecord]) -> str:
    """The model's name: the Pusher was told it, else the pipeline bears it."""
    told = (execution.properties.get("model_name") for execution in executions)
    return str(next((name for name in told if name), executions[0].pipeline))


def _main_metric(executions: Sequence[ExecutionRecord], written: Sequence[ArtifactRecord]) -> str:
    """The optimizer's metric, else the first that the Evaluator had a threshold for."""
    told = next((str(each.properties["metric"]) for each in executions if each.properties.get("metric")), "")
    report, evaluation = (results.of_type(written, kind) for kind in ("taxiway.OptimizationReport", "ModelEvaluation"))
    with contextlib.suppress(TaxiwayError, OSError, ValueError):
        told = told or str(results.read_json(report.uri).get("metric", "") if report else "")
        told = told or next(iter(results.judged(evaluation.uri)), "") if evaluation else told
    return told


def config(executions: Iterable[ExecutionRecord]) -> dict[str, Any]:
    """As much of the run's configuration as its executions were told, in the sections of a configuration file."""
    found: dict[str, Any] = {}
    for execution in executions:
        known = {name: _json(execution.properties.get(name)) for name in ("data", "label", "config", "custom_config")}
        told = known["custom_config"] if isinstance(known["custom_config"], dict) else {}
        found |= {name: told[name] for name in ("preprocessing", "model", "training") if name in told}
        found |= {name: known[name] for name in ("data", "label") if isinstance(known[name], dict)}
        if execution.node in CONFIGURED and known["config"]:
            found[CONFIGURED[execution.node]] = known["config"]
        if execution.properties.get(PARAMETERS):
            found.setdefault("parameters", {}).update(_json(execution.properties[PARAMETERS]) or {})
    return found


def _json(text: Any) -> Any:
    with contextlib.suppress(ValueError, TypeError):
        return json.loads(text)
    return None
