"""Where the pipeline runs on this machine: node after node in this process, or on TFX's BeamDagRunner.

The same pipeline object goes to both. It is compiled once to TFX's intermediate representation, and that is what is
changed for a run: the run's id, which nodes may come from the cache, which part runs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from tfx.dsl.compiler import constants
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.orchestration.beam import beam_dag_runner
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import (
    partial_run_utils,
    runtime_parameter_utils,
    tfx_runner,
)
from tfx.proto.orchestration import pipeline_pb2

from taxiway.components.beam.beam_private import remember_signatures
from taxiway.components.errors import UsageError
from taxiway.components.files.beam_private import patch_beam_matching
from taxiway.pipeline import tfx_private
from taxiway.pipeline.nodes import check_node_range
from taxiway.pipeline.runs.launching.node_launcher import LockedHooks, NodeLauncher, RunnerHooks, RunnerState
from taxiway.pipeline.runs.launching.node_walk import NodeWalk
from taxiway.pipeline.runs.request import Orchestrator
from taxiway.pipeline.tracking.store.metadata_store import RunStore

BESIDE_OTHERS = frozenset({"ServingValidator"})
"""Nodes that work in a child process, so that one thread beside the main one can wait for it, and that may be given up
at any moment: they keep nothing that a second run could go on with, as the Trainer does."""
CODE_PROPERTY = "taxiway_code"
"""Execution property that holds the digest of a node's code."""


@dataclass(frozen=True)
class PartialRun:
    """Which part of the pipeline runs. `base_run` is the run whose artifacts replace those of the nodes left out."""

    from_node: str | None = None
    to_node: str | None = None
    base_run: str | None = None


class _Compiler(tfx_runner.IrBasedRunner):
    """A runner of TFX that runs nothing: it returns what it would run."""

    def run_with_ir(
        self, pipeline: pipeline_pb2.Pipeline, run_options: pipeline_pb2.RunOptions | None = None, **_: Any
    ) -> pipeline_pb2.Pipeline:
        return pipeline


def compile_pipeline(
    pipeline: tfx_pipeline.Pipeline, run_id: str, *, never_cached: Collection[str] = ()
) -> pipeline_pb2.Pipeline:
    """The pipeline as TFX's intermediate representation, ready to run under `run_id`.

    Args:
        pipeline: Pipeline that `create_pipeline` made.
        run_id: Id in the place of TFX's run id parameter: ML Metadata names the run as we do.
        never_cached: Nodes that always run: they read what is no input of theirs, such as the serving directory. One
            with a driver of its own may come from the cache: the driver tells the key what the node will read.
    """
    # `IrBasedRunner.run` compiles and calls `run_with_ir`, which returns the result here.
    ir = _Compiler().run(pipeline)
    with_driver = runner_utils.extract_local_deployment_config(ir).custom_driver_specs
    for node in ir.nodes:
        if node.pipeline_node.node_info.id in never_cached and node.pipeline_node.node_info.id not in with_driver:
            # The cache key holds declared inputs only, so that a change of what the node reads besides would go unseen.
            node.pipeline_node.execution_options.caching_options.enable_cache = False
    runtime_parameter_utils.substitute_runtime_parameter(ir, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id})
    return ir


def list_executors(ir: pipeline_pb2.Pipeline) -> dict[str, str]:
    """Dotted path of each node's executor class; nodes without one (resolvers, importers) are left out."""
    specs = runner_utils.extract_local_deployment_config(ir).executor_specs
    executors = {}
    for node, spec in specs.items():
        kind = spec.WhichOneof("spec")
        if kind == "beam_executable_spec":
            executors[node] = spec.beam_executable_spec.python_executor_spec.class_path
        elif kind == "python_class_executable_spec":
            executors[node] = spec.python_class_executable_spec.class_path
    return executors


def add_to_cache_keys(ir: pipeline_pb2.Pipeline, fingerprints: Mapping[str, str]) -> None:
    """Makes the digest of each node's code an execution property, in place: TFX's cache key knows only those."""
    for node in ir.nodes:
        digest = fingerprints.get(node.pipeline_node.node_info.id)
        if digest:
            node.pipeline_node.parameters.parameters[CODE_PROPERTY].field_value.string_value = digest


def list_node_ids(ir: pipeline_pb2.Pipeline) -> list[str]:
    """The nodes, in the order in which they run."""
    return [node.pipeline_node.node_info.id for node in ir.nodes]


def find_left_out(ir: pipeline_pb2.Pipeline) -> dict[str, bool]:
    """The nodes that a partial run leaves out; True where artifacts of an earlier run replace theirs."""
    # NEVER: no artifacts of the skipped node are reused, since no node that runs reads them.
    never = pipeline_pb2.NodeExecutionOptions.Skip.NEVER
    options = {node.pipeline_node.node_info.id: node.pipeline_node.execution_options for node in ir.nodes}
    return {
        node: option.skip.reuse_artifacts_mode != never for node, option in options.items() if option.HasField("skip")
    }


def mark_partial_run(ir: pipeline_pb2.Pipeline, part: PartialRun, store: RunStore | None) -> PartialRun:
    """Marks in `ir` which nodes run, and finds the run that the others' artifacts come from.

    Args:
        ir: Compiled pipeline; changed in place.
        part: First and last node.
        store: Store of the root; None where nothing ran before.

    Returns:
        The part, with its `base_run`.

    Raises:
        UsageError: The pipeline has no such nodes, nothing lies between them, or no earlier run has what the part
            reads.
    """
    node_ids = list_node_ids(ir)
    check_node_range(part.from_node, part.to_node, known=node_ids)  # of a user's pipeline known only now
    partial_run_utils.mark_pipeline(
        ir,
        from_nodes=[part.from_node] if part.from_node else None,
        to_nodes=[part.to_node] if part.to_node else None,
    )
    # Without this a run of no node would end with success.
    if all(node in find_left_out(ir) for node in node_ids):
        raise UsageError(
            f"Nothing lies between --from {part.from_node} and --to {part.to_node}.",
            f"In order: {', '.join(node_ids)}.",
        )
    needed = _find_required_nodes(ir)
    if not needed:
        return part
    base = _find_base_run(needed, store)
    partial_run_utils.set_base_pipeline_run_strategy(ir.runtime_spec.snapshot_settings, base)
    return PartialRun(part.from_node, part.to_node, base)


def _find_required_nodes(ir: pipeline_pb2.Pipeline) -> set[str]:
    required = pipeline_pb2.NodeExecutionOptions.Skip.REQUIRED
    options = {node.pipeline_node.node_info.id: node.pipeline_node.execution_options for node in ir.nodes}
    return {
        node
        for node, option in options.items()
        if option.HasField("skip") and option.skip.reuse_artifacts_mode == required
    }


def _find_base_run(needed: set[str], store: RunStore | None) -> str:
    """The newest run that has all the needed nodes."""
    # Not simply the newest run: it may have failed before a node that is needed.
    for run_id in reversed(store.list_run_ids()) if store else ():
        ended_well = {e.node for e in store.list_run_executions(run_id) if e.state in ("COMPLETE", "CACHED")}  # type: ignore[union-attr]
        if needed <= ended_well:
            return run_id
    raise UsageError(
        f"No earlier run under this root completed {', '.join(sorted(needed))}, which the chosen part reads.",
        "Run without --from first.",
    )


def run_compiled(
    ir: pipeline_pb2.Pipeline, hooks: RunnerHooks, orchestrator: Orchestrator = "local", concurrency: int = 1
) -> None:
    """Runs a compiled pipeline to its end.

    Args:
        ir: Pipeline from `compile_pipeline`, perhaps marked by `mark_partial_run`.
        hooks: Callbacks for each node.
        orchestrator: `local` or `beam`.
        concurrency: Most nodes at a time; of `local`, where `beam` decides for itself.

    Raises:
        Exception: The failed node's own, unchanged. Ctrl-C passes through TFX and leaves the node's execution
            RUNNING in ML Metadata: `taxiway.pipeline.tracking.recovery` ends it.
    """
    patch_beam_matching()
    tfx_private.key_caches_by_what_is_read()
    remember_signatures()
    _RUNNERS[orchestrator](ir, RunnerState(LockedHooks(hooks), concurrency=concurrency))


def _run_locally(ir: pipeline_pb2.Pipeline, state: RunnerState) -> None:
    """Launches the nodes in topological order, in which the IR has them, some of them beside others."""
    deployment = runner_utils.extract_local_deployment_config(ir)
    walk = NodeWalk(
        {
            node.pipeline_node.node_info.id: frozenset(node.pipeline_node.upstream_nodes)
            for node in ir.nodes
            if not node.pipeline_node.execution_options.HasField("skip")
        },
        BESIDE_OTHERS if state.concurrency > 1 else frozenset(),
    )
    nodes = {node.pipeline_node.node_info.id: node.pipeline_node for node in ir.nodes}
    walk.launch_all(lambda name: NodeLauncher(nodes[name], ir, deployment).launch_node(state))


_beam_states: dict[str, RunnerState] = {}
"""Beam copies its functions through pickle; what they share stays here, by run id. The runner is in this process."""


class _BeamNode(beam_dag_runner.PipelineNodeAsDoFn):
    """Launches one node where TFX's class would launch it without telling anybody."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._launched = arguments["pipeline_node"], arguments["pipeline"], arguments["deployment_config"]

    def process(self, element, *signals):  # type: ignore[no-untyped-def] # Beam would take annotations for its own
        """Launches the node as soon as Beam has computed the signals of the nodes before it."""
        node, ir, deployment = self._launched
        state = _beam_states[_get_run_id(ir)]
        try:
            NodeLauncher(node, ir, deployment).launch_node(state)
        except Exception as error:  # Beam wraps it in an error of its own: `_run_on_beam` raises the node's
            state.failures.append(error)
            raise


def _run_on_beam(ir: pipeline_pb2.Pipeline, state: RunnerState) -> None:
    """Runs TFX's Beam runner; a failed node's own error is raised, not Beam's."""
    run_id = _get_run_id(ir)
    _beam_states[run_id] = state
    try:
        tfx_private.make_beam_dag_runner(_BeamNode).run_with_ir(ir)
    except Exception:
        if state.failures:
            # Beam's error holds the traceback as text; the node's own error has the type that callers know.
            raise state.failures[0] from None
        raise
    finally:
        del _beam_states[run_id]


def _get_run_id(ir: pipeline_pb2.Pipeline) -> str:
    return str(ir.runtime_spec.pipeline_run_id.field_value.string_value)


_RUNNERS: dict[str, Callable[[pipeline_pb2.Pipeline, RunnerState], None]] = {
    "local": _run_locally,
    "beam": _run_on_beam,
}
