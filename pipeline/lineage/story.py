"""The graph told as a story: one step for each execution, in the order of the data, with the facts that a person asks
for; and the paragraph that answers why a version is live."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from components.errors import TaxiwayError, UsageError
from pipeline import output, record
from pipeline.layout import Root
from pipeline.lineage.graph import LineageGraph
from pipeline.lineage.nodes import Node
from pipeline.recorded import ERROR, PARAMETERS
from pipeline.store import Store

Facts = dict[str, Any]
HYPER_PARAMETERS = ("epochs", "max_steps", "global_batch_size", "optimizer", "schedule", "precision", "seed")
SPLITS = ("train", "eval")
RETOLD = 20
"""So many runs without a summary, the newest, are told from their artifacts."""
CODE = ("taxiway_code", "code_fingerprint", "module_file", "preprocessing_fn", "run_fn")


@dataclass(frozen=True)
class Step:
    """One execution of the story.

    Attributes:
        node: The pipeline's node.
        run: The run that it belongs to.
        state: ML Metadata's.
        started: Seconds since 1970.
        seconds: Wall time; None where it did not end.
        execution: ML Metadata's id.
        facts: What a person asks for, by name.
        outputs: Type and id of what it wrote.
    """

    node: str
    run: str
    state: str
    started: float
    seconds: float | None
    execution: int | None
    facts: Facts = field(default_factory=dict)
    outputs: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Why:
    """Why a version is (or was) live: a paragraph, and the numbers that it rests on."""

    version: str
    paragraph: str
    numbers: Facts

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def steps(graph: LineageGraph, root: Root) -> list[Step]:
    """The executions of a graph in the order in which they began, with facts from the store and the runs' records."""
    if graph.told:
        return [Step(**{**step, "outputs": tuple(step["outputs"])}) for step in graph.told]
    records = _records(graph.where(kind="execution"), root)
    return [_step(graph, node, records.get(node.run)) for node in graph.where(kind="execution")]


def _records(executions: Iterable[Node], root: Root) -> dict[str, record.RunRecord]:
    """The records of the runs that took part; a missing or damaged one costs its figures only."""
    found = {}
    newest_last = dict.fromkeys(node.run for node in executions if node.run)
    for run in newest_last:
        with contextlib.suppress(TaxiwayError):
            summary = record.read(root.run(run))
            if summary:
                found[run] = summary
    untold = [run for run in newest_last if run not in found][-RETOLD:]
    with contextlib.suppress(TaxiwayError):
        found |= _retold(untold, root) if untold else {}
    return found


def _retold(runs: Iterable[str], root: Root) -> dict[str, record.RunRecord]:
    from pipeline import retold  # its readers of artifacts cost a tenth of a second

    store = Store.of(root)
    return {run: retold.run(root, run, store) for run in runs}


def _step(graph: LineageGraph, execution: Node, run: record.RunRecord | None) -> Step:
    written = sorted(graph.children(execution.key), key=lambda node: node.key)
    facts: Facts = {}
    for node in written:
        reader = FACTS.get(node.type)
        facts |= reader(node, execution) if reader else {}
    facts |= _read_data(graph, execution) | _told(execution) | _code(execution) | _judged(execution.name, run)
    return Step(
        node=execution.name,
        run=execution.run,
        state=execution.state,
        started=execution.time,
        seconds=execution.seconds,
        execution=execution.id,
        facts={name: value for name, value in facts.items() if value not in (None, "", {}, [])},
        outputs=tuple(f"{node.type} {node.id}" for node in written),
    )


# ---- facts, by the type of what was written ----


def _examples(node: Node, execution: Node) -> Facts:
    known = node.properties
    counts = {name.removeprefix("rows_"): count for name, count in known.items() if name.startswith("rows_")}
    rows = {name: counts[name] for name in sorted(counts, key=_row_order) if counts[name] or name in SPLITS}
    return {"span": known.get("span"), "fingerprint": known.get("input_fingerprint"), "rows": rows}


def _row_order(name: str) -> tuple[int, str]:
    return (SPLITS.index(name) if name in SPLITS else len(SPLITS)), name


def _anomalies(node: Node, execution: Node) -> Facts:
    blessed = node.properties.get("blessed")
    if not isinstance(blessed, dict):
        return {}
    wrong = [split for split, sound in sorted(blessed.items()) if not sound]
    return {"anomalies": f"in {', '.join(wrong)}" if wrong else "none"}


def _statistics(node: Node, execution: Node) -> Facts:
    with contextlib.suppress(ValueError, TypeError):
        return {"splits": json.loads(node.properties.get("split_names") or "[]")}
    return {}


def _schema(node: Node, execution: Node) -> Facts:
    if "path" not in execution.properties:
        return {}
    how = "curated" if execution.properties.get("edited") else "inferred"
    return {"schema": f"{how}, {execution.properties['path']}" if execution.properties["path"] else how}


def _verdict(node: Node, execution: Node) -> Facts:
    reason = node.properties.get("reason")
    return {"verdict": "passed" if node.properties.get("passed") == 1 else f"blocks: {reason}"}


def _transform(node: Node, execution: Node) -> Facts:
    return {"preprocessing": _flat(_custom(execution).get("preprocessing", {}))}


def _model(node: Node, execution: Node) -> Facts:
    known = node.properties
    if "kind" in known:  # the baseline's
        live = f"version {known.get('version')}, live then" if known["kind"] == "live" else "naive"
        return {"baseline": live, "why": known.get("reason")}
    names = ("strategy", "replicas", "steps", "rows", "restarts", "best_step", "stopped", "chosen")
    training = _flat(_custom(execution).get("training", {}))
    return {
        **{name: known.get(name) for name in names},
        "hyper-parameters": {
            name: value for name, value in training.items() if name.partition(".")[0] in HYPER_PARAMETERS
        },
    }


def _blessing(node: Node, execution: Node) -> Facts:
    blessed = node.properties.get("blessed") == 1
    return {"blessed": "yes" if blessed else "no", "why": node.properties.get("reason")}


def _optimization(node: Node, execution: Node) -> Facts:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        decision = json.loads(Path(node.uri, "report.json").read_text(encoding="utf-8")).get("decision", {})
        chosen, reasons = decision.get("chosen"), decision.get("reasons") or [""]
        return {"chosen": chosen, "decision": str(reasons[0]).removeprefix(f"{chosen}: ")}  # the first is the choice's
    return {"chosen": node.properties.get("chosen")}


def _pushed(node: Node, execution: Node) -> Facts:
    known = node.properties
    if known.get("pushed") != 1:
        return {"push": f"nothing: {known.get('reason', 'not blessed')}"}
    return {"push": f"version {known.get('pushed_version')}", "digest": known.get("digest")}


FACTS: Mapping[str, Callable[[Node, Node], Facts]] = {
    "Examples": _examples,
    "ExampleStatistics": _statistics,
    "Schema": _schema,
    "ExampleAnomalies": _anomalies,
    "taxiway.Verdict": _verdict,
    "TransformGraph": _transform,
    "Model": _model,
    "ModelBlessing": _blessing,
    "InfraBlessing": _blessing,
    "taxiway.OptimizationReport": _optimization,
    "PushedModel": _pushed,
}


def _read_data(graph: LineageGraph, execution: Node) -> Facts:
    return {"files": [node.uri for node in graph.parents(execution.key) if node.type == "rows"]}


def _told(execution: Node) -> Facts:
    """What a cluster told a node beside its own properties, and why it failed."""
    with contextlib.suppress(ValueError):
        parameters = dict(json.loads(execution.properties.get(PARAMETERS) or "{}"))
        parameters.pop("root", None)  # where everybody looks already
        return {"parameters": parameters, "error": execution.properties.get(ERROR)}
    return {}


def _code(execution: Node) -> Facts:
    return {name.removeprefix("taxiway_").replace("_", " "): execution.properties.get(name) for name in CODE}


def _judged(node: str, run: record.RunRecord | None) -> Facts:
    """Gate and metrics that the run's record has for a node."""
    if run is None:
        return {}
    gate = next((gate for gate in run.gates if gate.gate == node), None)
    overall = next((values for values in run.metrics.get(node, ()) if values.slice == record.OVERALL), None)
    facts: Facts = {"gate": gate.reason} if gate and not gate.passed else {}
    if overall:
        facts["metrics"] = overall.candidate
        facts["baseline's"] = overall.baseline
    return facts


def _custom(execution: Node) -> Facts:
    """What an execution was told in `custom_config`."""
    with contextlib.suppress(ValueError, TypeError):
        content = json.loads(execution.properties.get("custom_config") or "{}")
        return content if isinstance(content, dict) else {}
    return {}


def _flat(value: Any, prefix: str = "") -> Facts:
    """Nested sections as `{"a.b": scalar}`, without empty ones."""
    if not isinstance(value, dict):
        return {prefix: value} if prefix and value not in (None, "", [], ()) else {}
    found: Facts = {}
    for name, inner in value.items():
        found |= _flat(inner, f"{prefix}.{name}" if prefix else name)
    return found


# ---- why ----


def why(graph: LineageGraph, root: Root) -> Why:
    """Why the version in a graph's focus is live.

    Raises:
        UsageError: The focus is no version.
    """
    version = next((graph.nodes[key] for key in graph.focus if graph.nodes[key].kind == "version"), None)
    if version is None:
        raise UsageError("--why asks about a version.", "Name one; see: taxiway versions.")
    told = {step.node: step for step in steps(graph, root)}
    numbers = _numbers(version, told)
    sentences = [
        _is_live(version),
        _from_data(told),
        _trained(told),
        _judgement(told, version),
        _variant(told, version),
    ]
    return Why(version.name, " ".join(sentence for sentence in sentences if sentence), numbers)


def _is_live(version: Node) -> str:
    moment = output.moment(version.time)
    state = {"live": "is live", "gone": "was taken away by retention", "quarantined": "was rolled back"}
    state["a copy"] = "lies here as a copy"
    how = f"pushed {moment} by run {version.run}" if version.run else f"pushed {moment}"
    if version.properties.get("rollback_of"):
        back = version.properties
        reason = f" ({back['rollback_reason']})" if back.get("rollback_reason") else ""
        how = f"published {moment} by a rollback of version {back['rollback_of']}{reason}; its bytes are version "
        how += f"{back.get('bytes_of')}'s, of run {version.run}"
    return f"Version {version.properties['version']} of {version.key.partition(':')[2].rpartition('/')[0]} " + (
        f"{state.get(version.type, 'is an earlier version')}: {how}."
    )


def _from_data(told: Mapping[str, Step]) -> str:
    facts = told["ExampleGen"].facts if "ExampleGen" in told else {}
    if not facts:
        return ""
    rows, files = facts.get("rows", {}), facts.get("files", [])
    counted = f"{rows['train']:,} rows (and {rows.get('eval', 0):,} to evaluate)" if "train" in rows else "rows"
    return f"It learned from {counted} of span {facts.get('span', 0)}, read from {', '.join(files) or 'unknown files'}."


def _trained(told: Mapping[str, Step]) -> str:
    facts = told["Trainer"].facts if "Trainer" in told else {}
    if "steps" not in facts:
        return ""
    restarts = facts.get("restarts") or 0
    again = f" with {restarts} restart{'s' * (restarts > 1)}" if restarts else ""
    return f"Training took {facts['steps']:,} steps ({facts.get('strategy', 'one_device')}){again}."


def _judgement(told: Mapping[str, Step], version: Node) -> str:
    baseline = told["Baseline"].facts.get("baseline") if "Baseline" in told else None
    metric, metrics = version.properties.get("metric"), told["Evaluator"].facts if "Evaluator" in told else {}
    candidate = (metrics.get("metrics") or version.properties.get("metrics") or {}).get(metric)
    was = (metrics.get("baseline's") or {}).get(metric)
    if candidate is None:
        quality = version.properties.get("quality")
        return f"Its {metric} is {quality:.4f}." if metric and isinstance(quality, float) else ""
    against = f" against {was:.4f} of the baseline" if was is not None else ""
    return f"Its {metric} was {candidate:.4f}{against}{f' ({baseline})' if baseline else ''}, and every gate passed."


def _variant(told: Mapping[str, Step], version: Node) -> str:
    facts = told["ModelOptimizer"].facts if "ModelOptimizer" in told else {}
    chosen = facts.get("chosen") or version.properties.get("variant")
    return (
        f"The optimizer chose {chosen}{': ' + facts['decision'].rstrip('.') if facts.get('decision') else ''}."
        if chosen
        else ""
    )


def _numbers(version: Node, told: Mapping[str, Step]) -> Facts:
    wanted = {"ExampleGen": ("span", "fingerprint", "rows"), "Trainer": ("steps", "restarts")}
    wanted |= {
        "Evaluator": ("metrics", "baseline's"),
        "OptimizedEvaluator": ("metrics",),
        "ModelOptimizer": ("chosen",),
    }
    numbers: Facts = {"version": version.properties["version"], "digest": version.properties.get("digest")}
    for node, names in wanted.items():
        facts = told[node].facts if node in told else {}
        numbers |= {f"{node} {name}": facts[name] for name in names if name in facts}
    return numbers
