"""The record of a run that left no summary, made from the store and the run's artifacts.

These are emulated and Kubeflow runs, runs of other tools, and runs that died before their first summary. Neither TFX
nor TensorFlow is imported.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from taxiway.components.errors import StoreError, TaxiwayError
from taxiway.components.files.versioned_report import OPTIMIZATION_REPORT
from taxiway.pipeline.exit_codes import EXIT_FAILED
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking import artifact_files, artifact_results
from taxiway.pipeline.tracking.run_record import (
    BLOCKS,
    GateRecord,
    MetricValues,
    NodeRecord,
    NodeState,
    PushRecord,
    RunRecord,
    VariantRecord,
    decide_ending,
)
from taxiway.pipeline.tracking.store.execution_store import ERROR, FIRST_ID, PARAMETERS
from taxiway.pipeline.tracking.store.metadata_store import RunStore, StoredArtifact, StoredExecution

NODE_STATES: dict[str, NodeState] = {
    "COMPLETE": "done",
    "CACHED": "cached",
    "FAILED": "failed",
    "CANCELED": "interrupted",
    "RUNNING": "running",
    "NEW": "running",
}
ELSEWHERE = "kubeflow"
"""The orchestrator of runs that are known from execution records: a cluster, or the emulation of one."""

UNDER_WAY = "no node failed, no gate blocked, nothing was pushed: it is under way, was stopped, or pushes nothing"
"""A record is written when its node ends: nothing says whether another node will begin."""
CONFIGURED = {"DataGate": "gates", "ModelOptimizer": "optimization", "Pusher": "serving"}
"""Section of the configuration that a node has as its property `config`, by node."""


def reconstruct_run(root: Root, run_id: str, store: RunStore | None) -> RunRecord:
    """The record of one run.

    Args:
        root: Root under which it ran.
        run_id: Id of the run.
        store: Store of the root; None where it has none.
    """
    executions = store.list_run_executions(run_id) if store else []
    if store is None or not executions:
        return _make_empty_run(root, run_id)
    outputs, unread = fetch_results(store.list_outputs_of([execution.id for execution in executions]))
    gates = {each.node: gate for each in executions if (gate := _read_gate(each.node, outputs[each.id]))}
    model = _find_model_name(executions)
    written = [artifact for execution in executions for artifact in outputs[execution.id]]
    push = _read_push(written, root.serving / model)
    return RunRecord(
        run_id=run_id,
        **_find_outcome(executions, list(gates.values()), push),
        orchestrator=ELSEWHERE if executions[0].id >= FIRST_ID else "",
        model=model,
        main_metric=_find_main_metric(executions, written),
        started=min(execution.started for execution in executions),
        ended=max(execution.ended for execution in executions),
        nodes=tuple(_make_node_record(execution, gates.get(execution.node)) for execution in executions),
        gates=tuple(gates.values()),
        metrics={e.node: values for e in executions if (values := _read_metrics(outputs[e.id]))},
        variants=_read_variants(written),
        push=push,
        unread=unread,
    )


def fetch_results(
    outputs: Mapping[int, Sequence[StoredArtifact]],
) -> tuple[dict[int, list[StoredArtifact]], str]:
    """Outputs by execution, results that lie in an object store downloaded: their URIs are those of the copies.

    Returns:
        The outputs, and why results were not read, the first reason; empty where all were.
    """
    problems: dict[str, None] = {}
    fetched = {execution: [_fetch_result(each, problems) for each in written] for execution, written in outputs.items()}
    return fetched, next(iter(problems), "")  # the others say the same, as a rule


def _fetch_result(artifact: StoredArtifact, problems: dict[str, None]) -> StoredArtifact:
    names = artifact_results.RESULT_FILES.get(artifact.type)
    if names and artifact.state == "LIVE":
        try:
            return dataclasses.replace(artifact, uri=str(artifact_files.find_folder(artifact.uri, names)))
        except StoreError as error:
            problems[str(error)] = None
    return artifact


def _make_empty_run(root: Root, run_id: str) -> RunRecord:
    folder = root.run_folder(run_id)
    return RunRecord(
        run_id=run_id,
        state="interrupted",
        orchestrator="",
        reason="it ended before its first node",
        started=folder.stat().st_mtime if folder.exists() else 0.0,
    )


def _find_outcome(executions: Sequence[StoredExecution], gates: Sequence[GateRecord], push: PushRecord | None) -> Any:
    """State, exit code and reason."""
    failed = next((each for each in executions if each.state == "FAILED"), None)
    if failed:
        reason = f"{failed.node}: {failed.properties.get(ERROR) or 'failed'}"
        return {"state": "failed", "exit_code": EXIT_FAILED, "reason": reason}
    if any(NODE_STATES.get(each.state, "interrupted") in ("running", "interrupted") for each in executions):
        return {"state": "interrupted", "reason": ""}
    state, exit_code, reason = decide_ending(gates, push)
    if state == "done" and executions[0].id >= FIRST_ID:
        reason = UNDER_WAY
    return {"state": state, "exit_code": exit_code, "reason": reason}


def _make_node_record(execution: StoredExecution, gate: GateRecord | None) -> NodeRecord:
    said = "" if gate is None else "passed" if gate.passed else f"{BLOCKS}{gate.reason}"
    return NodeRecord(
        node=execution.node,
        state=NODE_STATES.get(execution.state, "interrupted"),
        seconds=round(execution.seconds, 3),
        reason=said or str(execution.properties.get(ERROR) or ""),
        execution_id=execution.id,
        started=execution.started,
    )


def _read_gate(node: str, outputs: Sequence[StoredArtifact]) -> GateRecord | None:
    """What a gate decided, from its files; where they cannot be read, from its artifact's properties."""
    try:
        return artifact_results.read_gate(node, outputs)
    except (TaxiwayError, OSError, ValueError):
        return artifact_results.read_gate_properties(node, outputs)


def _read_push(written: Sequence[StoredArtifact], serving_dir: Path) -> PushRecord | None:
    """What was pushed, from its file; where it cannot be read, from its artifact's properties."""
    try:
        return artifact_results.read_push(written, serving_dir)
    except (TaxiwayError, OSError, ValueError):
        return artifact_results.read_push_properties(written, serving_dir)


def _read_metrics(outputs: Sequence[StoredArtifact]) -> tuple[MetricValues, ...]:
    evaluation = artifact_results.find_artifact(outputs, "ModelEvaluation")
    with contextlib.suppress(TaxiwayError, OSError, ValueError):
        return artifact_results.read_evaluation(evaluation.uri) if evaluation else ()
    return ()


def _read_variants(written: Sequence[StoredArtifact]) -> tuple[VariantRecord, ...]:
    report = artifact_results.find_artifact(written, "taxiway.OptimizationReport")
    with contextlib.suppress(TaxiwayError, OSError, ValueError):
        return artifact_results.read_variants(report.uri) if report else ()
    return ()


def _find_model_name(executions: Sequence[StoredExecution]) -> str:
    """The model's name: a property of the Pusher, else the pipeline's name."""
    names = (execution.properties.get("model_name") for execution in executions)
    return str(next((name for name in names if name), executions[0].pipeline))


def _find_main_metric(executions: Sequence[StoredExecution], written: Sequence[StoredArtifact]) -> str:
    """The optimizer's metric, else the first that the Evaluator had a threshold for."""
    metric = next((str(each.properties["metric"]) for each in executions if each.properties.get("metric")), "")
    report, evaluation = (
        artifact_results.find_artifact(written, kind) for kind in ("taxiway.OptimizationReport", "ModelEvaluation")
    )
    with contextlib.suppress(TaxiwayError, OSError, ValueError):
        metric = metric or str(
            artifact_results.read_json(OPTIMIZATION_REPORT, report.uri).get("metric", "") if report else ""
        )
        metric = (
            metric or next(iter(artifact_results.read_judged_metrics(evaluation.uri)), "") if evaluation else metric
        )
    return metric


def reconstruct_config(executions: Iterable[StoredExecution]) -> dict[str, Any]:
    """The run's configuration as far as its executions' properties hold it, in the sections of a configuration file."""
    config: dict[str, Any] = {}
    for execution in executions:
        properties = {
            name: _parse_json(execution.properties.get(name)) for name in ("data", "label", "config", "custom_config")
        }
        trainer_config = properties["custom_config"] if isinstance(properties["custom_config"], dict) else {}
        config |= {
            name: trainer_config[name] for name in ("preprocessing", "model", "training") if name in trainer_config
        }
        config |= {name: properties[name] for name in ("data", "label") if isinstance(properties[name], dict)}
        if execution.node in CONFIGURED and properties["config"]:
            config[CONFIGURED[execution.node]] = properties["config"]
        if execution.properties.get(PARAMETERS):
            config.setdefault("parameters", {}).update(_parse_json(execution.properties[PARAMETERS]) or {})
    return config


def _parse_json(text: Any) -> Any:
    with contextlib.suppress(ValueError, TypeError):
        return json.loads(text)
    return None
