"""`frozen`: variables become constants, transform and model one flat graph, Grappler optimizes it ahead of time."""

from __future__ import annotations

from taxiway.components.optimizer.candidate import CandidateModel, Technique, TechniqueContext, rewrite_whole_and_core
from taxiway.components.optimizer.graphs import freezing, large_weights, nodes, rewrites, saved_model, unused_variables
from taxiway.components.optimizer.report import Check
from taxiway.components.optimizer.variants.shared.pre_checks import refuse_large_graph
from taxiway.components.refusal import Refusal

_LOOPS = frozenset({"While", "StatelessWhile"})


def _transform_model(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> Refusal | None:
    rewrite_whole_and_core(candidate, target, _freeze_servable)
    had_variables = _count_variables(candidate.servable) > 0
    before, after = (saved_model.count_executed_ops(each.servable, context.signature) for each in (candidate, target))
    if had_variables or sum(after.values()) < sum(before.values()):
        return None
    return Refusal(
        f"nothing to do: no variable is left, and {sum(before.values())} nodes would become {sum(after.values())}"
    )


def _count_variables(servable: str) -> int:
    """Variables that are still to become constants; weights that this technique has left in a checkpoint are none."""
    meta_graph = saved_model.read_meta_graph(servable)
    if large_weights.are_outside(meta_graph):
        return 0
    counts = nodes.count_ops(meta_graph.graph_def)
    return sum(counts.get(op, 0) for op in ("VarHandleOp", *freezing.REFERENCE_VARIABLES))


def _freeze_servable(source: str, target: str) -> None:
    model = saved_model.run_grappler(saved_model.load_frozen(source))
    graph, _ = rewrites.make_kernels_feedable(model.graph)
    saved_model.write_flat(model.with_graph(graph), target)


def _post_check(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> list[Check]:
    before = saved_model.count_executed_ops(candidate.servable, context.signature)
    after = saved_model.count_executed_ops(target.servable, context.signature)
    graph = saved_model.read_flat(target.servable).graph
    left = nodes.count_ops(graph).get("VarHandleOp", 0)
    bound = rewrites.list_constant_kernels(graph)
    has_loops = not _LOOPS.isdisjoint(before)
    fused = {op: n for op, n in after.items() if op.startswith("_Fused")}
    return [
        _check_no_variables(left, target.servable),
        Check(
            name="fewer_nodes",
            passed=sum(after.values()) <= sum(before.values()) or has_loops,
            detail=f"{sum(before.values())} nodes behind {context.signature} became {sum(after.values())}"
            + (": a loop is several nodes in a flat graph" if has_loops else ""),
            figures={"before": sum(before.values()), "after": sum(after.values()), "calls": _count_calls(after)},
        ),
        Check(
            name="kernels_not_reordered",
            passed=not bound,
            detail=f"{len(bound)} matrix multiplications read a constant, which oneDNN re-orders for one batch size",
            figures={"bound": bound},
        ),
        Check(
            name="fused_operations",
            passed=True,  # nothing is promised: TensorFlow Serving fuses when it loads
            detail=f"fused ahead of time: {fused}" if fused else "none fused ahead of time; the runtime fuses at load",
            figures={"fused": sum(fused.values())},
        ),
    ]


def _check_no_variables(left: int, servable: str) -> Check:
    checkpoint_bytes = unused_variables.count_variable_bytes(servable)
    is_moved = large_weights.are_outside(saved_model.read_meta_graph(servable))
    detail = f"{left} variables and {checkpoint_bytes} bytes of checkpoint are left"
    if is_moved:
        detail += ": constants of so many bytes would take several times their memory when loaded"
    return Check(
        name="no_variables",
        passed=left == 0 and (is_moved or checkpoint_bytes == 0),
        detail=detail,
        figures={"variables": left, "checkpoint_bytes": checkpoint_bytes},
    )


def _count_calls(ops: dict[str, int]) -> int:
    return ops.get("PartitionedCall", 0) + ops.get("StatefulPartitionedCall", 0)


TECHNIQUE = Technique("frozen", refuse_large_graph, _transform_model, _post_check)
