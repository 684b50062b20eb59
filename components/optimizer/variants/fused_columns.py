"""`fused_columns`: what `lean_inputs` makes, with one operation for all columns where each column had its own.

The answers are the same, bit for bit; the post-check compares them on evaluation rows, and on such rows without a
column, with empty columns and with several values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from taxiway.components.contract import SERVING_DEFAULT
from taxiway.components.optimizer.candidate import CandidateModel, Technique, TechniqueContext, rewrite_whole_and_core
from taxiway.components.optimizer.graphs import saved_model
from taxiway.components.optimizer.graphs.column_fusion import fuse_columns
from taxiway.components.optimizer.graphs.saved_model import FlatModel
from taxiway.components.optimizer.measurement.evaluation_rows import load_rows
from taxiway.components.optimizer.report import Check
from taxiway.components.optimizer.variants.shared.pre_checks import refuse_large_graph
from taxiway.components.refusal import Refusal
from taxiway.components.saved_models.session import SavedModelSession, Tensors

COMPARED_ROWS = 256


def _refuse_few_columns(context: TechniqueContext, candidate: CandidateModel) -> Refusal | None:
    """What `refuse_large_graph` says, or that nothing is gained by fusing the columns that there are."""
    refusal = refuse_large_graph(context, candidate)
    if refusal:
        return refusal
    model = saved_model.load_flat(candidate.servable)
    fused, columns = _fuse_graph(model)
    if count_operations(fused) < count_operations(model.graph):
        return None
    return Refusal(f"{columns} optional columns are parsed densely and stacked: together they take no fewer operations")


def _transform_model(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> None:
    rewrite_whole_and_core(
        candidate,
        target,
        lambda source, target: saved_model.write_flat(fuse_inputs(saved_model.load_flat(source))[0], target),
    )


def fuse_inputs(model: FlatModel) -> tuple[FlatModel, int]:
    """A flat model whose columns are treated together, and how many are."""
    graph, columns = _fuse_graph(model)
    return (saved_model.run_grappler(model.with_graph(graph)) if columns else model), columns


def count_operations(graph_def: Any) -> int:
    """Nodes of a graph that do something in a call."""
    return sum(node.op != "Const" for node in graph_def.node)


def _fuse_graph(model: FlatModel) -> tuple[Any, int]:
    return fuse_columns(model.graph, sorted(saved_model.list_kept_nodes(model.meta_graph)))


def _post_check(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> list[Check]:
    before, after = (count_operations(saved_model.read_flat(each.servable).graph) for each in (candidate, target))
    rows = load_rows(context.folder)[:COMPARED_ROWS]
    batches = list(list_odd_batches(rows))
    differing = [what for what, same in compare_answers(candidate.servable, target.servable, batches) if not same]
    return [
        Check(
            name="fewer_operations",
            passed=after < before,
            detail=f"{before} operations became {after}, constants not counted",
            figures={"before": before, "after": after},
        ),
        Check(
            name="equal_bits",
            passed=not differing,
            detail=f"answers differ on rows {', '.join(differing)}" if differing else f"equal on {len(rows)} rows",
            figures={"rows": len(rows), "kinds": [what for what, _ in batches]},
        ),
    ]


def list_odd_batches(rows: NDArray[np.object_]) -> Iterator[tuple[str, NDArray[np.object_]]]:
    """Serialized rows as they are, and as a parser may get them too."""
    yield "as they are", rows
    changes: dict[str, Callable[[tf.train.Example], None]] = {
        "without columns": lambda example: example.features.feature.clear(),
        "with empty columns": _empty_columns,
        "with every other column": _drop_columns,
        "with several values": _repeat_values,
    }
    for what, change in changes.items():
        yield what, np.array([_change_row(row, change) for row in rows], dtype=object)


def _change_row(row: bytes, change: Callable[[tf.train.Example], None]) -> bytes:
    example = tf.train.Example.FromString(row)
    change(example)
    return bytes(example.SerializeToString())


def _empty_columns(example: tf.train.Example) -> None:
    for feature in example.features.feature.values():
        kind = feature.WhichOneof("kind")
        if kind:
            getattr(feature, kind).ClearField("value")


def _drop_columns(example: tf.train.Example) -> None:
    for name in sorted(example.features.feature)[::2]:
        del example.features.feature[name]


def _repeat_values(example: tf.train.Example) -> None:
    for feature in example.features.feature.values():
        kind = feature.WhichOneof("kind")
        if kind:
            values = getattr(feature, kind).value
            values.extend(reversed(list(values) * 2))


def compare_answers(
    first: str, second: str, batches: list[tuple[str, NDArray[np.object_]]]
) -> Iterator[tuple[str, bool]]:
    """Whether two SavedModels answer each batch with the same bits, or with the same error."""
    with SavedModelSession(first, threads=1) as one, SavedModelSession(second, threads=1) as other:
        for what, rows in batches:
            yield what, answer_rows(one, rows) == answer_rows(other, rows)


def answer_rows(model: SavedModelSession, rows: NDArray[np.object_]) -> object:
    """The outputs as bytes by name; of rows that are refused the class of the error."""
    [examples] = model.signatures[SERVING_DEFAULT].inputs
    try:
        outputs: Tensors = model.run(SERVING_DEFAULT, {examples: rows})
    except tf.errors.OpError as error:
        return type(error)
    return {name: value.tolist() if value.dtype == object else value.tobytes() for name, value in outputs.items()}


TECHNIQUE = Technique(
    "fused_columns", _refuse_few_columns, _transform_model, _post_check, after=("frozen", "lean_inputs")
)
