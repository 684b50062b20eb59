"""Keeps a run's record while the runner works: what the hooks say becomes the summary file and the display."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from components.errors import TaxiwayError
from pipeline import record, recovery, results
from pipeline.display import Display
from pipeline.layout import Root
from pipeline.lineage import carried
from pipeline.peak_memory import PeakMemory
from pipeline.record import BLOCKS, GateRecord, NodeRecord, PushRecord, RunRecord
from pipeline.store import ArtifactRecord, Store


class Recorder:
    """The runner's hooks. `record` is the run as it stands; every change is on the disk at once."""

    def __init__(
        self, run: RunRecord, root: Root, display: Display, before_node: Callable[[], None] = lambda: None
    ) -> None:
        """Args:
        run: The run as it begins.
        root: Where everything that it writes goes.
        display: Told of every change.
        before_node: Called before a node starts; what it raises ends the run.
        """
        self.record = run
        self.display = display
        self._root = root
        self._memory = PeakMemory()
        self._before_node = before_node

    def __enter__(self) -> Recorder:
        self._memory.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._memory.__exit__()

    # ---- the plan ----

    def planned(self, nodes: Sequence[str], left_out: Mapping[str, bool], base_run: str | None) -> None:
        """The nodes in order; those that a partial run leaves out, True where `base_run` stands in for them."""
        self._change(nodes=tuple(_planned(node, left_out, base_run) for node in nodes))

    # ---- what the runner says ----

    def node_started(self, node: str) -> None:
        self._before_node()
        self._memory.restart()
        self._change_node(node, state="running", started=time.time())
        if node == carried.PUSHER:
            carried.prepare(self._root, self.record.run_id)
        self.display.started(node)

    def node_finished(self, node: str, state: Any, execution_id: int | None, seconds: float) -> None:
        if execution_id and state == "done":
            recovery.seal(self._root, execution_id)
        outputs = Store(self._root.metadata).outputs(execution_id) if execution_id else []
        self._read(node, outputs)
        self._end(
            node,
            state=state,
            seconds=None if state == "skipped" else seconds,
            execution_id=execution_id,
            reason=self._why(node, state),
            peak_memory_mb=self._memory.peak_mb(),
        )

    def node_failed(self, node: str, seconds: float, error: BaseException) -> None:
        failed = isinstance(error, Exception) and not self._interrupted()
        self._end(
            node,
            state="failed" if failed else "interrupted",
            seconds=seconds,
            reason=paragraph(error) if failed else "",
            peak_memory_mb=self._memory.peak_mb(),
        )

    def _interrupted(self) -> bool:
        """Whether the run is to end, whatever a library made of that: Beam wraps it in a RuntimeError."""
        try:
            self._before_node()
        except KeyboardInterrupt:
            return True
        return False

    # ---- how it ends ----

    def ended(self) -> None:
        """The runner came to its end: live, blocked by a gate, or a part that does not push."""
        gate, push = self.record.blocking(), self.record.push
        if gate:
            self._finish("blocked", 3, f"{gate.gate}: {gate.reason}")
        elif push and not (push.pushed or push.already_live):
            self._finish("blocked", 3, f"Pusher: {push.reason}")
        else:
            self._finish("live" if push else "done", 0, "")

    def failed(self, error: Exception, resume: str) -> None:
        """A node, or what comes before the nodes, raised."""
        recovery.end_open_executions(self._root, "FAILED")
        node = next((node.node for node in self.record.nodes if node.state == "failed"), "")
        reason = f"{node}: {paragraph(error)}" if node else paragraph(error)
        code = error.exit_code if isinstance(error, TaxiwayError) else 1
        self._skip_waiting(f"{node} failed" if node else "the run failed")
        self._finish("failed", code, reason, resume)

    def interrupted(self, exit_code: int, resume: str) -> None:
        """SIGINT or SIGTERM."""
        recovery.end_open_executions(self._root, "CANCELED")
        running = [node.node for node in self.record.nodes if node.state in ("running", "interrupted")]
        for node in running:
            self._change_node(node, state="interrupted", reason="")
        self._skip_waiting("the run was interrupted")
        where = f" in {running[0]}" if running else ""
        self._finish("interrupted", exit_code, f"interrupted{where}", resume)

    # ---- inside ----

    def _read(self, node: str, outputs: Sequence[ArtifactRecord]) -> None:
        """Takes the numbers out of what a node wrote."""
        gate = results.gate(node, outputs)
        if gate:
            self._change(gates=(*self.record.gates, gate))
        evaluation = results.of_type(outputs, "ModelEvaluation")
        if evaluation:
            self._change(metrics={**self.record.metrics, node: results.evaluation(evaluation.uri)})
        report = results.of_type(outputs, "taxiway.OptimizationReport")
        if report:
            self._change(variants=results.variants(report.uri))
        push = results.push(outputs, self._root.serving / self.record.model)
        if push:
            self._change(push=push)

    def _why(self, node: str, state: str) -> str:
        """The words beside an ended node: what a gate decided, why it was skipped."""
        gate = next((gate for gate in self.record.gates if gate.gate == node), None)
        if gate:
            return "passed" if gate.passed else f"{BLOCKS}{gate.reason}"
        if node == "Pusher" and self.record.push and state == "done":
            return _push_words(self.record.push)
        return _behind(self.record.blocking()) if state == "skipped" else ""

    def _skip_waiting(self, reason: str) -> None:
        nodes = [
            node.model_copy(update={"state": "skipped", "reason": reason}) if node.state == "waiting" else node
            for node in self.record.nodes
        ]
        self._change(nodes=tuple(nodes))

    def _finish(self, state: str, code: int, reason: str, resume: str = "") -> None:
        self._change(state=state, exit_code=code, reason=reason, resume=resume, ended=time.time())

    def _end(self, node: str, **changes: Any) -> None:
        self._change_node(node, **changes)
        self.display.ended(next(each for each in self.record.nodes if each.node == node))

    def _change_node(self, node: str, **changes: Any) -> None:
        nodes = [each.model_copy(update=changes) if each.node == node else each for each in self.record.nodes]
        self._change(nodes=tuple(nodes))

    def _change(self, **changes: Any) -> None:
        self.record = self.record.model_copy(update=changes)
        record.write(self.record, self._root.run(self.record.run_id))


def paragraph(error: BaseException) -> str:
    """An error in a paragraph: our own as they are, others with their class and the beginning of what they say."""
    if isinstance(error, TaxiwayError):
        return str(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines[:3])[:600]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _planned(node: str, left_out: Mapping[str, bool], base_run: str | None) -> NodeRecord:
    if node not in left_out:
        return NodeRecord(node=node)
    stands_in = left_out[node] and base_run
    reason = f"not in this part; run {base_run} stands in" if stands_in else "not in this part"
    return NodeRecord(node=node, state="skipped", reason=reason)


def _push_words(push: PushRecord) -> str:
    return push.reason if push.pushed or push.already_live else f"{BLOCKS}{push.reason}"


def _behind(gate: GateRecord | None) -> str:
    return f"{gate.gate} blocked" if gate else "a node that it reads from was skipped"
