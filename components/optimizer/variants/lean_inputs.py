"""`lean_inputs`: the way from a serialized row to the model's features, made shorter; the answers stay the same.

On models of tables the core is a small part of a call: parsing and transform are what users wait for. Optional columns
are parsed densely, look-ups folded, shapes not computed anew at each call.
"""

from __future__ import annotations

from components.contract import SERVING_DEFAULT
from components.optimizer import graphs, parsing, peepholes, slim
from components.optimizer.graphs import FlatModel
from components.optimizer.report import Check
from components.optimizer.variants.base import Piece, Technique, Workshop, for_both


def _pre_check(workshop: Workshop, piece: Piece) -> str:
    return slim.too_large_to_freeze(piece.servable)


def _transform(workshop: Workshop, piece: Piece, made: Piece) -> None:
    for_both(piece, made, lambda source, target: graphs.write(lean(graphs.flat(source))[0], target))


def lean(model: FlatModel) -> tuple[FlatModel, dict[str, int]]:
    """A flat model with shorter inputs, and how often each rewriting found something to do."""
    graph, columns = parsing.parse_densely(model.graph, sorted(graphs.kept_nodes(model.meta_graph)))
    graph, lookups = peepholes.fold_lookups(graph)
    graph, hashes = peepholes.fold_hashes(graph)
    graph, shapes = peepholes.fix_shapes(graph)
    done = {"columns": columns, "lookups": lookups, "hashes": hashes, "shapes": shapes}
    return graphs.optimize(model.with_graph(graph)), done


def _post_check(workshop: Workshop, piece: Piece, made: Piece) -> list[Check]:
    """Counted in the written file: what the source has of it, and what is left."""
    before = graphs.count_executed_ops(piece.servable, SERVING_DEFAULT)
    after = graphs.count_executed_ops(made.servable, SERVING_DEFAULT)
    sparse = [ops.get("SparseToDense", 0) for ops in (before, after)]
    total = [sum(ops.values()) for ops in (before, after)]
    return [
        Check(
            name="shorter_inputs",
            passed=total[1] < total[0],
            detail=f"{total[0]} nodes on the way of serving_default became {total[1]}; columns that are parsed sparse "
            f"and then made dense: {sparse[0]} became {sparse[1]}",
            figures={"before": total[0], "after": total[1], "sparse_before": sparse[0], "sparse_after": sparse[1]},
        )
    ]


TECHNIQUE = Technique("lean_inputs", _pre_check, _transform, _post_check, after=("frozen",))
