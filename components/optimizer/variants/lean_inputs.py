"""`lean_inputs`: parsing and transform take fewer operations; the answers stay the same.

In models of tables the core is a small part of a call: users wait for parsing and transform. Optional columns are
parsed densely, look-ups are folded, and shapes are not computed at each call.
"""

from __future__ import annotations

from taxiway.components.optimizer.candidate import CandidateModel, Technique, TechniqueContext, rewrite_whole_and_core
from taxiway.components.optimizer.graphs import column_groups, dense_parsing, rewrites, saved_model
from taxiway.components.optimizer.graphs.saved_model import FlatModel
from taxiway.components.optimizer.report import Check
from taxiway.components.optimizer.variants.shared.pre_checks import refuse_large_graph
from taxiway.components.refusal import Refusal


def _transform_model(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> Refusal | None:
    return rewrite_whole_and_core(candidate, target, _shorten_servable) or _refuse_same_length(
        context, candidate, target
    )


def _shorten_servable(source: str, target: str) -> Refusal | None:
    model, counts = shorten_inputs(saved_model.load_flat(source))
    if not any(counts.values()):
        return Refusal("nothing to do: no optional column is parsed, no word looked up or hashed, no shape computed")
    saved_model.write_flat(model, target)
    return None


def _refuse_same_length(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> Refusal | None:
    before, after = _count_nodes(context, candidate), _count_nodes(context, target)
    if after < before:
        return None
    return Refusal(f"nothing to gain: {before} nodes behind {context.signature} would become {after}")


def _count_nodes(context: TechniqueContext, candidate: CandidateModel) -> int:
    return sum(saved_model.count_executed_ops(candidate.servable, context.signature).values())


def shorten_inputs(model: FlatModel) -> tuple[FlatModel, dict[str, int]]:
    """A flat model with shorter inputs, and how often each rewriting was applied; the same one where none was."""
    kept = sorted(saved_model.list_kept_nodes(model.meta_graph))
    graph, columns = dense_parsing.parse_densely(model.graph, kept)
    graph, grouped = column_groups.parse_groups_densely(graph, kept)
    graph, lookups = rewrites.fold_lookups(graph)
    graph, hashes = rewrites.fold_hashes(graph)
    graph, shapes = rewrites.fix_shapes(graph)
    counts = {"columns": columns + grouped, "lookups": lookups, "hashes": hashes, "shapes": shapes}
    return saved_model.run_grappler(model.with_graph(graph)) if any(counts.values()) else model, counts


def _post_check(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> list[Check]:
    """Counts operations in the file that was given and in the one that was written."""
    before = saved_model.count_executed_ops(candidate.servable, context.signature)
    after = saved_model.count_executed_ops(target.servable, context.signature)
    sparse = [ops.get("SparseToDense", 0) for ops in (before, after)]
    total = [sum(ops.values()) for ops in (before, after)]
    return [
        Check(
            name="shorter_inputs",
            passed=total[1] < total[0],
            detail=f"{total[0]} nodes behind {context.signature} became {total[1]}; columns, or groups of them, "
            f"that are parsed sparse and then made dense: {sparse[0]} became {sparse[1]}",
            figures={"before": total[0], "after": total[1], "sparse_before": sparse[0], "sparse_after": sparse[1]},
        )
    ]


TECHNIQUE = Technique("lean_inputs", refuse_large_graph, _transform_model, _post_check, after=("frozen",))
