"""The executions of a graph as a list of steps, oldest first, each with its facts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from taxiway.components.errors import TaxiwayError
from taxiway.pipeline.lineage.facts import Facts, collect_facts
from taxiway.pipeline.lineage.graph import NodeGraph
from taxiway.pipeline.lineage.nodes import Node
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking import run_record
from taxiway.pipeline.tracking.store.metadata_store import RunStore

MOST_RECONSTRUCTED = 20
"""At most so many runs without a summary, the newest, are reconstructed from their artifacts."""


@dataclass(frozen=True)
class LineageStep:
    """One execution, with its facts.

    Attributes:
        node: Id of the pipeline's node.
        run: Id of its run.
        state: ML Metadata's state.
        started: Start, seconds since 1970.
        seconds: Wall time; None where it did not end.
        execution: ML Metadata's id.
        facts: Facts by name; see `facts.collect_facts`.
        outputs: Type and id of each artifact that it wrote.
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


def list_steps(graph: NodeGraph, root: Root) -> list[LineageStep]:
    """The executions of a graph, oldest first, with facts from the store and from the records of their runs."""
    if graph.steps:
        return [LineageStep(**{**step, "outputs": tuple(step["outputs"])}) for step in graph.steps]
    records = _read_run_records(graph.where(kind="execution"), root)
    return [_build_step(graph, node, records.get(node.run)) for node in graph.where(kind="execution")]


def _read_run_records(executions: Iterable[Node], root: Root) -> dict[str, run_record.RunRecord]:
    """The records of the runs of executions; for a missing or damaged one the steps lack metrics and gates."""
    records = {}
    runs = dict.fromkeys(node.run for node in executions if node.run)
    for run in runs:
        with contextlib.suppress(TaxiwayError):
            summary = run_record.read_summary(root.run_folder(run))
            if summary:
                records[run] = summary
    unrecorded = [run for run in runs if run not in records][-MOST_RECONSTRUCTED:]
    with contextlib.suppress(TaxiwayError):
        records |= _reconstruct_records(unrecorded, root) if unrecorded else {}
    return records


def _reconstruct_records(runs: Iterable[str], root: Root) -> dict[str, run_record.RunRecord]:
    from taxiway.pipeline.tracking import reconstruction  # its readers of artifacts cost a tenth of a second

    store = RunStore.open_root(root)
    return {run: reconstruction.reconstruct_run(root, run, store) for run in runs}


def _build_step(graph: NodeGraph, execution: Node, run: run_record.RunRecord | None) -> LineageStep:
    outputs = sorted(graph.children(execution.key), key=lambda node: node.key)
    return LineageStep(
        node=execution.name,
        run=execution.run,
        state=execution.state,
        started=execution.time,
        seconds=execution.seconds,
        execution=execution.id,
        facts=collect_facts(graph, execution, outputs, run),
        outputs=tuple(f"{node.type} {node.id}" for node in outputs),
    )
