"""`frozen`: variables become constants, transform and model one flat graph, Grappler optimizes it ahead of time."""

from __future__ import annotations

from components.contract import SERVING_DEFAULT
from components.optimizer import graphs, nodes, peepholes, slim
from components.optimizer.report import Check
from components.optimizer.variants.base import Piece, Technique, Workshop, for_both


def _pre_check(workshop: Workshop, piece: Piece) -> str:
    return slim.too_large_to_freeze(piece.servable)


def _transform(workshop: Workshop, piece: Piece, made: Piece) -> None:
    for_both(piece, made, _freeze)


def _freeze(source: str, target: str) -> None:
    model = graphs.optimize(graphs.load_frozen(source))
    graph, _ = peepholes.free_kernels(model.graph)
    graphs.write(model.with_graph(graph), target)


def _post_check(workshop: Workshop, piece: Piece, made: Piece) -> list[Check]:
    before = graphs.count_executed_ops(piece.servable, SERVING_DEFAULT)
    after = graphs.count_executed_ops(made.servable, SERVING_DEFAULT)
    graph = graphs.read_flat(made.servable).graph
    left = nodes.count_ops(graph).get("VarHandleOp", 0)
    bound = peepholes.bound_kernels(graph)
    fused = {op: n for op, n in after.items() if op.startswith("_Fused")}
    return [
        _check_no_variables(left, slim.variable_bytes(made.servable)),
        Check(
            name="fewer_nodes",
            passed=sum(after.values()) <= sum(before.values()),
            detail=f"{sum(before.values())} nodes on the way of serving_default became {sum(after.values())}",
            figures={"before": sum(before.values()), "after": sum(after.values()), "calls": _calls(after)},
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


def _check_no_variables(left: int, checkpoint_bytes: int) -> Check:
    return Check(
        name="no_variables",
        passed=left == 0 and checkpoint_bytes == 0,
        detail=f"{left} variables and {checkpoint_bytes} bytes of checkpoint are left",
        figures={"variables": left, "checkpoint_bytes": checkpoint_bytes},
    )


def _calls(ops: dict[str, int]) -> int:
    return ops.get("PartitionedCall", 0) + ops.get("StatefulPartitionedCall", 0)


TECHNIQUE = Technique("frozen", _pre_check, _transform, _post_check)
