"""Launches one node of a run through TFX's launcher, and tells the run how it ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import data_types, launcher, partial_run_utils
from tfx.proto.orchestration import pipeline_pb2

from taxiway.components.errors import TaxiwayError
from taxiway.components.processes import phases

Ended = Literal["done", "cached", "skipped"]


class RunnerHooks(Protocol):
    """Callbacks that a runner calls for each node, from one thread at a time."""

    def node_started(self, node: str) -> None:
        """A node is about to be launched."""

    def node_finished(self, node: str, state: Ended, execution_id: int | None, seconds: float) -> None:
        """A node ended well, was taken from the cache, or was skipped because a condition did not hold."""

    def node_failed(self, node: str, seconds: float, error: BaseException) -> None:
        """A node raised, or was interrupted."""


class NodeError(TaxiwayError):
    """A node did not run: TFX could not find its inputs."""


class LockedHooks:
    """Hooks that are called from one thread at a time, whichever threads the nodes run in."""

    def __init__(self, hooks: RunnerHooks) -> None:
        self._hooks, self._lock = hooks, threading.RLock()

    def node_started(self, node: str) -> None:
        """See `RunnerHooks`."""
        with self._lock:
            self._hooks.node_started(node)

    def node_finished(self, node: str, state: Ended, execution_id: int | None, seconds: float) -> None:
        """See `RunnerHooks`."""
        with self._lock:
            self._hooks.node_finished(node, state, execution_id, seconds)

    def node_failed(self, node: str, seconds: float, error: BaseException) -> None:
        """See `RunnerHooks`."""
        with self._lock:
            self._hooks.node_failed(node, seconds, error)


@dataclass
class RunnerState:
    """One walk of a runner through a pipeline.

    Attributes:
        hooks: Object that is told of every node.
        skipped: Nodes that were skipped. A node that reads from one of them is skipped too: TFX itself checks a node's
            conditions and resolves its inputs in no fixed order, and where it resolves the inputs first, the node
            would count as failed.
        failures: Errors that nodes raised.
        concurrency: Most nodes at a time.
    """

    hooks: RunnerHooks
    skipped: set[str] = field(default_factory=set)
    failures: list[BaseException] = field(default_factory=list)
    concurrency: int = 1


class NodeLauncher:
    """One node of one run, ready to be launched."""

    def __init__(self, node: pipeline_pb2.PipelineNode, ir: pipeline_pb2.Pipeline, deployment: Any) -> None:
        self.id = node.node_info.id
        self._executing: list[float] = []
        self._node, self._ir = node, ir
        configs = deployment.metadata_connection_config
        self._connection = getattr(configs, configs.WhichOneof("connection_config"))
        self._launcher = launcher.Launcher(
            pipeline_node=node,
            mlmd_connection=metadata.Metadata(self._connection),
            pipeline_info=ir.pipeline_info,
            pipeline_runtime_spec=ir.runtime_spec,
            executor_spec=runner_utils.extract_executor_spec(deployment, self.id),
            custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, self.id),
            custom_executor_operators={
                spec: self._time_operator(kind) for spec, kind in launcher.DEFAULT_EXECUTOR_OPERATORS.items()
            },
        )

    def launch_node(self, state: RunnerState) -> None:
        """Launches the node and tells the hooks how it ended."""
        with phases.enter_component(self.id):
            state.hooks.node_started(self.id)
            started = time.monotonic()
            try:
                ended, execution_id = self._launch_or_skip(state.skipped)
            except BaseException as error:
                state.hooks.node_failed(self.id, time.monotonic() - started, error)
                raise
            seconds = time.monotonic() - started
            with phases.record_phase("write", "record the results"):
                state.hooks.node_finished(self.id, ended, execution_id, seconds)

    def _launch_or_skip(self, skipped: set[str]) -> tuple[Ended, int | None]:
        if not skipped.isdisjoint(self._node.upstream_nodes):
            skipped.add(self.id)
            return "skipped", None
        if self._node.execution_options.run.perform_snapshot:
            with metadata.Metadata(self._connection) as handle:
                # Registers the base run's executions in this run; TFX marks the one node that does so.
                partial_run_utils.snapshot(handle, self._ir)
        info = self._launch_timed()
        # TFX's launcher returns this where a condition (`Cond`) does not hold.
        if info is None or not info.execution_id:
            skipped.add(self.id)
            return "skipped", None
        return self._read_state(info)

    def _read_state(self, info: data_types.ExecutionInfo) -> tuple[Ended, int]:
        """The state from ML Metadata: TFX's launcher raises nothing where it finds no inputs."""
        with metadata.Metadata(self._connection) as handle:
            [execution] = handle.store.get_executions_by_id([info.execution_id])
        if execution.last_known_state == execution.FAILED:
            raise NodeError(
                f"{self.id} could not start: TFX did not find what it reads.",
                "Run again with --no-cache; the log names the input.",
            )
        return ("cached" if execution.last_known_state == execution.CACHED else "done"), execution.id

    def _launch_timed(self) -> data_types.ExecutionInfo | None:
        """Launches it; what TFX does before and after the executor is recorded as reading and writing."""
        started = time.time()
        info = self._launcher.launch()
        ended = time.time()
        begun, done = self._executing or (ended, ended)
        phases.write_span("read", "inputs and cache", started, begun)
        phases.write_span("write", "outputs", done, ended)
        return info

    def _time_operator(self, kind: Callable[..., Any]) -> Callable[..., Any]:
        """TFX's operator, which notes when the executor works."""

        def make_operator(**arguments: Any) -> Any:
            operator = kind(**arguments)
            run_executor = operator.run_executor

            def run_timed(*arguments: Any, **more: Any) -> Any:
                started = time.time()
                with phases.record_phase("execute", "executor"):
                    result = run_executor(*arguments, **more)
                self._executing = [started, time.time()]
                return result

            operator.run_executor = run_timed
            return operator

        return make_operator
