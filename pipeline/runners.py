"""Where the pipeline runs on this machine: node after node in this process, or on TFX's BeamDagRunner.

The same pipeline object goes to both. It is compiled once to TFX's intermediate representation, and that is what is
changed for a run: the run's id, which nodes may come from the cache, which part runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from tfx.dsl.compiler import constants
from tfx.orchestration import metadata
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.orchestration.beam import beam_dag_runner
from tfx.orchestration.local import local_dag_runner, runner_utils
from tfx.orchestration.portable import (
    data_types,
    launcher,
    partial_run_utils,
    runtime_parameter_utils,
    tfx_runner,
)
from tfx.proto.orchestration import pipeline_pb2

from components import patterns
from components.errors import TaxiwayError, UsageError, close_matches
from pipeline.store import Store

CODE_PROPERTY = "taxiway_code"
"""Execution property that holds the digest of a node's code."""

Ended = Literal["done", "cached", "skipped"]


class Hooks(Protocol):
    """Who wants to know what the runner does. Calls come from one thread at a time."""

    def node_started(self, node: str) -> None:
        """A node is about to be launched."""

    def node_finished(self, node: str, state: Ended, execution_id: int | None, seconds: float) -> None:
        """A node ended well, was taken from the cache, or was skipped because a condition did not hold."""

    def node_failed(self, node: str, seconds: float, error: BaseException) -> None:
        """A node raised, or was interrupted."""


class NodeError(TaxiwayError):
    """A node did not run: TFX could not find what it reads."""


@dataclass(frozen=True)
class PartialRun:
    """Which part of the pipeline runs. `base_run` is the run whose artifacts stand in for the nodes left out."""

    from_node: str | None = None
    to_node: str | None = None
    base_run: str | None = None


def compile_pipeline(
    pipeline: tfx_pipeline.Pipeline, run_id: str, *, never_cached: Collection[str] = ()
) -> pipeline_pb2.Pipeline:
    """The pipeline as TFX's intermediate representation, ready to run under `run_id`.

    Args:
        pipeline: What `create_pipeline` made.
        run_id: Replaces the run id parameter, so that ML Metadata knows the run under the name that we print.
        never_cached: Nodes that run whatever was done before: they look at what is no input, such as the serving
            directory.
    """
    ir = tfx_runner._make_pipeline_proto(pipeline)
    for node in ir.nodes:
        if node.pipeline_node.node_info.id in never_cached:
            node.pipeline_node.execution_options.caching_options.enable_cache = False
    runtime_parameter_utils.substitute_runtime_parameter(ir, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id})
    return ir


def executors(ir: pipeline_pb2.Pipeline) -> dict[str, str]:
    """Dotted path of each node's executor class; nodes without one (resolvers, importers) are left out."""
    specs = runner_utils.extract_local_deployment_config(ir).executor_specs
    found = {}
    for node, spec in specs.items():
        kind = spec.WhichOneof("spec")
        if kind == "beam_executable_spec":
            found[node] = spec.beam_executable_spec.python_executor_spec.class_path
        elif kind == "python_class_executable_spec":
            found[node] = spec.python_class_executable_spec.class_path
    return found


def add_to_cache_keys(ir: pipeline_pb2.Pipeline, fingerprints: Mapping[str, str]) -> None:
    """Makes the digest of each node's code an execution property, in place: TFX's cache key knows those only."""
    for node in ir.nodes:
        digest = fingerprints.get(node.pipeline_node.node_info.id)
        if digest:
            node.pipeline_node.parameters.parameters[CODE_PROPERTY].field_value.string_value = digest


def node_ids(ir: pipeline_pb2.Pipeline) -> list[str]:
    """The nodes, in the order in which they run."""
    return [node.pipeline_node.node_info.id for node in ir.nodes]


def left_out(ir: pipeline_pb2.Pipeline) -> dict[str, bool]:
    """The nodes that a partial run leaves out; True where an earlier run's artifacts stand in for them."""
    never = pipeline_pb2.NodeExecutionOptions.Skip.NEVER
    options = {node.pipeline_node.node_info.id: node.pipeline_node.execution_options for node in ir.nodes}
    return {
        node: option.skip.reuse_artifacts_mode != never for node, option in options.items() if option.HasField("skip")
    }


def mark_part(ir: pipeline_pb2.Pipeline, part: PartialRun, store: Store | None) -> PartialRun:
    """Marks in `ir` which nodes run, and finds the run that the others' artifacts come from.

    Args:
        ir: Changed in place.
        part: First and last node.
        store: What ran before; None where nothing did.

    Returns:
        The part, with its `base_run`.

    Raises:
        UsageError: There is no such node, or no earlier run has what the part reads.
    """
    known = node_ids(ir)
    for option, node in (("--from", part.from_node), ("--to", part.to_node)):
        if node is not None and node not in known:
            raise UsageError(f"{option} {node!r}: the pipeline has no such node.", close_matches(node, known))
    partial_run_utils.mark_pipeline(
        ir,
        from_nodes=[part.from_node] if part.from_node else None,
        to_nodes=[part.to_node] if part.to_node else None,
    )
    if all(node in left_out(ir) for node in known):
        raise UsageError(
            f"Nothing lies between --from {part.from_node} and --to {part.to_node}.", f"In order: {', '.join(known)}."
        )
    needed = _needed(ir)
    if not needed:
        return part
    base = _base_run(needed, store)
    partial_run_utils.set_base_pipeline_run_strategy(ir.runtime_spec.snapshot_settings, base)
    return PartialRun(part.from_node, part.to_node, base)


def _needed(ir: pipeline_pb2.Pipeline) -> set[str]:
    required = pipeline_pb2.NodeExecutionOptions.Skip.REQUIRED
    options = {node.pipeline_node.node_info.id: node.pipeline_node.execution_options for node in ir.nodes}
    return {
        node
        for node, option in options.items()
        if option.HasField("skip") and option.skip.reuse_artifacts_mode == required
    }


def _base_run(needed: set[str], store: Store | None) -> str:
    """The newest run that has all the needed nodes."""
    for run_id in reversed(store.run_ids()) if store else ():
        ended_well = {e.node for e in store.executions(run_id) if e.state in ("COMPLETE", "CACHED")}  # type: ignore[union-attr]
        if needed <= ended_well:
            return run_id
    raise UsageError(
        f"No earlier run under this root completed {', '.join(sorted(needed))}, which the chosen part reads.",
        "Run without --from first.",
    )


def run(ir: pipeline_pb2.Pipeline, hooks: Hooks, orchestrator: Literal["local", "beam"] = "local") -> None:
    """Runs a compiled pipeline to its end.

    Args:
        ir: From `compile_pipeline`, perhaps marked by `mark_part`.
        hooks: Told of every node.
        orchestrator: `local` or `beam`.

    Raises:
        Exception: What the failed node raised, unchanged. Ctrl-C passes through TFX and leaves the node's execution
            RUNNING in ML Metadata: `pipeline.recovery` ends it.
    """
    patterns.read_names_first()
    RUNNERS[orchestrator](hooks).run_with_ir(ir)


@dataclass
class _Walk:
    """One walk of a runner through a pipeline.

    Attributes:
        hooks: Told of every node.
        skipped: Nodes that were skipped. What reads from one of them is skipped too: TFX itself judges a node's
            conditions and looks for its inputs in no fixed order, and where it looks for the inputs first, the node
            would count as failed.
        failures: What nodes raised.
    """

    hooks: Hooks
    skipped: set[str] = field(default_factory=set)
    failures: list[BaseException] = field(default_factory=list)


class LocalRunner(local_dag_runner.LocalDagRunner):
    """TFX's local runner, telling its hooks of every node."""

    def __init__(self, hooks: Hooks) -> None:
        super().__init__()
        self._hooks = hooks

    def run_with_ir(
        self, pipeline: pipeline_pb2.Pipeline, run_options: pipeline_pb2.RunOptions | None = None, **_: Any
    ) -> None:
        """Launches the nodes in topological order, in which the IR has them. `run_options` is in the IR already."""
        deployment = runner_utils.extract_local_deployment_config(pipeline)
        walk = _Walk(self._hooks)
        for node in pipeline.nodes:
            if not node.pipeline_node.execution_options.HasField("skip"):
                _Node(node.pipeline_node, pipeline, deployment).launch(walk)


_beam_walks: dict[str, _Walk] = {}
"""Beam copies its functions through pickle; what they share stays here, by run id. The runner is in this process."""


class _NodeDoFn(beam_dag_runner.PipelineNodeAsDoFn):
    def _run_node(self) -> None:
        run_id = self._pipeline_runtime_spec.pipeline_run_id.field_value.string_value
        walk = _beam_walks[run_id]
        try:
            _Node(self._pipeline_node, self._pipeline, self._deployment_config).launch(walk)
        except Exception as error:  # Beam wraps it in its own words: `BeamRunner` raises the node's
            walk.failures.append(error)
            raise


class BeamRunner(beam_dag_runner.BeamDagRunner):
    """TFX's Beam runner, telling its hooks of every node."""

    _PIPELINE_NODE_DO_FN_CLS = _NodeDoFn

    def __new__(cls, hooks: Hooks) -> BeamRunner:  # the base's `__new__` takes other arguments
        return object.__new__(cls)

    def __init__(self, hooks: Hooks) -> None:
        super().__init__()
        self._hooks = hooks

    def run_with_ir(
        self, pipeline: pipeline_pb2.Pipeline, run_options: pipeline_pb2.RunOptions | None = None, **_: Any
    ) -> None:
        """As the base class; a failed node's own error is raised, not Beam's."""
        run_id = pipeline.runtime_spec.pipeline_run_id.field_value.string_value
        walk = _beam_walks[run_id] = _Walk(self._hooks)
        try:
            super().run_with_ir(pipeline)
        except Exception:
            if walk.failures:
                raise walk.failures[0] from None
            raise
        finally:
            del _beam_walks[run_id]


RUNNERS: dict[str, Callable[[Hooks], LocalRunner | BeamRunner]] = {"local": LocalRunner, "beam": BeamRunner}


class _Node:
    """One node of one run, ready to be launched."""

    def __init__(self, node: pipeline_pb2.PipelineNode, ir: pipeline_pb2.Pipeline, deployment: Any) -> None:
        self.id = node.node_info.id
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
        )

    def launch(self, walk: _Walk) -> None:
        hooks = walk.hooks
        hooks.node_started(self.id)
        started = time.monotonic()
        try:
            state, execution_id = self._launch(walk.skipped)
        except BaseException as error:
            hooks.node_failed(self.id, time.monotonic() - started, error)
            raise
        hooks.node_finished(self.id, state, execution_id, time.monotonic() - started)

    def _launch(self, skipped: set[str]) -> tuple[Ended, int | None]:
        if not skipped.isdisjoint(self._node.upstream_nodes):
            skipped.add(self.id)
            return "skipped", None
        if self._node.execution_options.run.perform_snapshot:
            with metadata.Metadata(self._connection) as handle:
                partial_run_utils.snapshot(handle, self._ir)
        info = self._launcher.launch()
        if info is None or not info.execution_id:
            skipped.add(self.id)
            return "skipped", None
        return self._state(info)

    def _state(self, info: data_types.ExecutionInfo) -> tuple[Ended, int]:
        """TFX's launcher raises nothing where it finds no inputs: only ML Metadata knows of the failure."""
        with metadata.Metadata(self._connection) as handle:
            [execution] = handle.store.get_executions_by_id([info.execution_id])
        if execution.last_known_state == execution.FAILED:
            raise NodeError(
                f"{self.id} could not start: TFX did not find what it reads.",
                "Run again with --no-cache; the log names the input.",
            )
        return ("cached" if execution.last_known_state == execution.CACHED else "done"), execution.id
