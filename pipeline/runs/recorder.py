"""Keeps a run's record while its nodes run: the runner's hooks update the summary file and the display."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from taxiway.components.errors import TaxiwayError
from taxiway.pipeline.console.progress import RunDisplay
from taxiway.pipeline.exit_codes import EXIT_FAILED
from taxiway.pipeline.lineage import lineage_file_writer
from taxiway.pipeline.root import Root
from taxiway.pipeline.runs.peak_memory import PeakMemory
from taxiway.pipeline.tracking import artifact_results, recovery, run_record
from taxiway.pipeline.tracking.run_record import BLOCKS, GateRecord, NodeRecord, PushRecord, RunRecord
from taxiway.pipeline.tracking.store.metadata_store import RunStore, StoredArtifact


class RunRecorder:
    """The runner's hooks. `record` is the run so far; every change is written at once."""

    def __init__(
        self,
        run: RunRecord,
        root: Root,
        display: RunDisplay,
        before_node: Callable[[], None] = lambda: None,
        after_node: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        """Args:
        run: Record of the run as it begins.
        root: Root under which the run writes.
        display: Display of the nodes.
        before_node: Function that is called before each node; an exception that it raises ends the run.
        after_node: Function that is called with each node that has ended, and its state.
        """
        self.record = run
        self.display = display
        self._root = root
        self._memory = PeakMemory()
        self._before_node, self._after_node = before_node, after_node

    def __enter__(self) -> RunRecorder:
        self._memory.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._memory.__exit__()

    # ---- the plan ----

    def record_plan(self, nodes: Sequence[str], left_out: Mapping[str, bool], base_run: str | None) -> None:
        """The nodes in order; those that a partial run leaves out, True where `base_run` has their artifacts."""
        self._change_run(nodes=tuple(_plan_node(node, left_out, base_run) for node in nodes))

    # ---- the runner's hooks ----

    def node_started(self, node: str) -> None:
        self._before_node()
        if not any(each.state == "running" for each in self.record.nodes):  # beside others a node shares their peak
            self._memory.reset_peak()
        self._change_node(node, state="running", started=time.time())
        if node == lineage_file_writer.PUSHER:
            lineage_file_writer.prepare_lineage(self._root, self.record.run_id)
        self.display.start_node(node)

    def node_finished(self, node: str, state: Any, execution_id: int | None, seconds: float) -> None:
        if execution_id and state == "done":
            recovery.record_digests(self._root, execution_id)
        outputs = RunStore(self._root.metadata).list_outputs(execution_id) if execution_id else []
        self._read_results(node, outputs)
        self._end_node(
            node,
            state=state,
            seconds=None if state == "skipped" else seconds,
            execution_id=execution_id,
            reason=self._explain_end(node, state),
            peak_memory_mb=self._memory.peak_mb(),
        )
        self._after_node(node, state)

    def node_failed(self, node: str, seconds: float, error: BaseException) -> None:
        failed = isinstance(error, Exception) and not self._is_interrupted()
        self._end_node(
            node,
            state="failed" if failed else "interrupted",
            seconds=seconds,
            reason=describe_error(error) if failed else "",
            peak_memory_mb=self._memory.peak_mb(),
        )

    def _is_interrupted(self) -> bool:
        """Whether the run was interrupted, even where a library has wrapped that: Beam makes it a RuntimeError."""
        try:
            self._before_node()
        except KeyboardInterrupt:
            return True
        return False

    # ---- how it ends ----

    def record_end(self) -> None:
        """Every node has ended: the model is live, a gate blocked, or this part of the pipeline does not push."""
        self._finish_run(*run_record.decide_ending(self.record.gates, self.record.push))

    def record_failure(self, error: Exception, resume: str) -> None:
        """A node failed, or the run before its first node."""
        recovery.end_open_executions(self._root, "FAILED")
        node = next((node.node for node in self.record.nodes if node.state == "failed"), "")
        reason = f"{node}: {describe_error(error)}" if node else describe_error(error)
        code = error.exit_code if isinstance(error, TaxiwayError) else EXIT_FAILED
        self._skip_waiting(f"{node} failed" if node else "the run failed")
        self._finish_run("failed", code, reason, resume)

    def record_interruption(self, exit_code: int, resume: str) -> None:
        """SIGINT or SIGTERM."""
        recovery.end_open_executions(self._root, "CANCELED")
        running = [node.node for node in self.record.nodes if node.state in ("running", "interrupted")]
        for node in running:
            self._change_node(node, state="interrupted", reason="")
        self._skip_waiting("the run was interrupted")
        where = f" in {running[0]}" if running else ""
        self._finish_run("interrupted", exit_code, f"interrupted{where}", resume)

    # ---- inside ----

    def _read_results(self, node: str, outputs: Sequence[StoredArtifact]) -> None:
        """Reads a node's results from its outputs."""
        gate = artifact_results.read_gate(node, outputs)
        if gate:
            self._change_run(gates=self._sort_gates((*self.record.gates, gate)))
        evaluation = artifact_results.find_artifact(outputs, "ModelEvaluation")
        if evaluation:
            self._change_run(metrics={**self.record.metrics, node: artifact_results.read_evaluation(evaluation.uri)})
        report = artifact_results.find_artifact(outputs, "taxiway.OptimizationReport")
        if report:
            self._change_run(variants=artifact_results.read_variants(report.uri))
        push = artifact_results.read_push(outputs, self._root.serving / self.record.model)
        if push:
            self._change_run(push=push)

    def _sort_gates(self, gates: Sequence[GateRecord]) -> tuple[GateRecord, ...]:
        """In the order of the plan, in whichever the nodes end; those of no planned node last."""
        places = {each.node: i for i, each in enumerate(self.record.nodes)}
        return tuple(sorted(gates, key=lambda gate: places.get(gate.gate, len(places))))

    def _explain_end(self, node: str, state: str) -> str:
        """The reason beside a node that has ended: what a gate decided, why the node was skipped."""
        gate = next((gate for gate in self.record.gates if gate.gate == node), None)
        if gate:
            return "passed" if gate.passed else f"{BLOCKS}{gate.reason}"
        if node == "Pusher" and self.record.push and state == "done":
            return _describe_push(self.record.push)
        return _explain_skip(self.record.find_blocking_gate()) if state == "skipped" else ""

    def _skip_waiting(self, reason: str) -> None:
        nodes = [
            node.model_copy(update={"state": "skipped", "reason": reason}) if node.state == "waiting" else node
            for node in self.record.nodes
        ]
        self._change_run(nodes=tuple(nodes))

    def _finish_run(self, state: str, code: int, reason: str, resume: str = "") -> None:
        self._change_run(state=state, exit_code=code, reason=reason, resume=resume, ended=time.time())

    def _end_node(self, node: str, **changes: Any) -> None:
        self._change_node(node, **changes)
        self.display.end_node(next(each for each in self.record.nodes if each.node == node))

    def _change_node(self, node: str, **changes: Any) -> None:
        nodes = [each.model_copy(update=changes) if each.node == node else each for each in self.record.nodes]
        self._change_run(nodes=tuple(nodes))

    def _change_run(self, **changes: Any) -> None:
        self.record = self.record.model_copy(update=changes)
        run_record.write_summary(self.record, self._root.run_folder(self.record.run_id))


def describe_error(error: BaseException) -> str:
    """An error in a paragraph: ours as they are, others with their class and the first lines of their message."""
    if isinstance(error, TaxiwayError):
        return str(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines[:3])[:600]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _plan_node(node: str, left_out: Mapping[str, bool], base_run: str | None) -> NodeRecord:
    if node not in left_out:
        return NodeRecord(node=node)
    is_replaced = left_out[node] and base_run
    reason = f"not in this part; artifacts are of run {base_run}" if is_replaced else "not in this part"
    return NodeRecord(node=node, state="skipped", reason=reason)


def _describe_push(push: PushRecord) -> str:
    return push.reason if push.is_live or push.candidate else f"{BLOCKS}{push.reason}"


def _explain_skip(gate: GateRecord | None) -> str:
    return f"{gate.gate} blocked" if gate else "a node that it reads from was skipped"
