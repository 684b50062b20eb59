"""Columns that are treated alike, one after the other, treated as one table.

After `dense_parsing` each optional column still takes two to five operations of its own: a padding, the first values,
a cast or a text, and where the mark of a missing integer stands, a comparison and a selection. Then all are stacked.
For a request of few rows an operation costs what it costs to start it. Here the parsed tables of all columns of one
dtype and one mark lie side by side, one gather takes the first value of each, and what changes values does so for all
columns at once. Every value passes the same operations as before, so the answers are equal bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from taxiway.components.optimizer.graphs.dense_parsing import PARSER, is_first_column
from taxiway.components.optimizer.graphs.index import GraphIndex, parse_output, prune_graph, replace_nodes

FEWEST_COLUMNS = 3
"""Fewer columns of a kind take as few operations by themselves."""


@dataclass(frozen=True)
class Column:
    """One input of a stack: the first values of a parsed table, perhaps changed.

    Attributes:
        table: Input text of the parsed table `[rows, most values of a row]`.
        dtype: Its dtype.
        filler: What stands in it for a missing value.
        through: Node that changes the values, a cast or their text; None where nothing does.
        default: What stands for the filler after the change, where a selection puts it there; None elsewhere.
    """

    table: str
    dtype: tf.DType
    filler: NDArray[Any]
    through: Any
    default: NDArray[Any] | None

    @property
    def source_key(self) -> tuple[str, bytes]:
        """Columns with the same one lie side by side."""
        return self.dtype.name, _make_key(self.filler)

    @property
    def change_key(self) -> tuple[bytes, bytes]:
        """Columns with the same one are changed at once."""
        change = tf.compat.v1.NodeDef()
        if self.through is not None:
            change.op = self.through.op
            for name, value in self.through.attr.items():
                if not name.startswith("_"):
                    change.attr[name].CopyFrom(value)
        return change.SerializeToString(deterministic=True), b"" if self.default is None else _make_key(self.default)


def _make_key(value: NDArray[Any]) -> bytes:
    return bytes(value.item()) if value.dtype == object else value.tobytes()


@dataclass(frozen=True, eq=False)
class _Place:
    """Where a column stands: which stack, and which of its inputs."""

    stack: int
    position: int
    column: Column

    @property
    def order(self) -> tuple[Any, ...]:
        return (*self.column.source_key, *self.column.change_key, self.stack, self.position)


def fuse_columns(graph_def: Any, kept: list[str]) -> tuple[Any, int]:
    """Rewrites the stacks of first values in a flat graph.

    Args:
        graph_def: Graph that `dense_parsing` has rewritten.
        kept: Names of nodes that must stay, with their ancestors.

    Returns:
        The new graph, and how many columns are treated with others now.
    """
    graph = GraphIndex(graph_def)
    by_parser: dict[str, list[tuple[Any, list[Column]]]] = {}
    for stack in graph.list_nodes("Pack"):
        columns = [_match_column(graph, text) for text in stack.input if not text.startswith("^")]
        matched = [column for column in columns if column is not None]
        if matched and len(matched) == len(columns) and stack.attr["axis"].i in (0, 1):
            by_parser.setdefault(parse_output(matched[0].table)[0], []).append((stack, matched))
    new: dict[str, list[Any]] = {}
    fused = 0
    for stacks in by_parser.values():
        count = sum(len(columns) for _, columns in stacks)
        if count >= FEWEST_COLUMNS:
            new |= _build_nodes(stacks)
            fused += count
    return (prune_graph(replace_nodes(graph_def, new), kept) if new else graph_def), fused


# ---- what there is ----


def _match_column(graph: GraphIndex, text: str) -> Column | None:
    """The column behind an input of a stack; None where it is something else."""
    node = graph.by_name[parse_output(text)[0]]
    if node.op == "SelectV2":
        return _match_marked_column(graph, node)
    if node.op in ("Cast", "AsString"):
        return _match_first_values(graph, node.input[0], node, None)
    return _match_first_values(graph, text, None, None)


def _match_marked_column(graph: GraphIndex, select: Any) -> Column | None:
    """`where(first == mark, default, changed(first))`, where the mark is the table's filler."""
    equal, default, changed = graph.get_input_node(select, 0), graph.read_constant(select.input[1]), None
    changed = graph.get_input_node(select, 2)
    if equal is None or equal.op != "Equal" or default is None or default.shape or changed is None:
        return None
    if changed.op not in ("Cast", "AsString"):
        return None
    column = _match_first_values(graph, changed.input[0], changed, default)
    sides = {parse_output(text) for text in equal.input[:2]}
    marks = [mark for text in equal.input[:2] if (mark := graph.read_constant(text)) is not None]
    if column is None or parse_output(changed.input[0]) not in sides or len(marks) != 1:
        return None
    return column if np.array_equal(marks[0], column.filler) else None


def _match_first_values(graph: GraphIndex, text: str, through: Any, default: Any) -> Column | None:
    """`pad(table, one column on the right)[:, 0]` of a parser's table."""
    first = graph.by_name[parse_output(text)[0]]
    padded = graph.get_input_node(first, 0) if is_first_column(graph, first) else None
    if padded is None or padded.op != "PadV2" or not graph.holds_value(padded.input[1], [[0, 0], [0, 1]]):
        return None
    filler, parser = graph.read_constant(padded.input[2]), graph.get_input_node(padded, 0)
    if filler is None or filler.shape or parser is None or parser.op != PARSER:
        return None
    return Column(padded.input[0], tf.dtypes.as_dtype(padded.attr["T"].type), filler, through, default)


# ---- what it becomes ----


def _build_nodes(stacks: Sequence[tuple[Any, list[Column]]]) -> dict[str, list[Any]]:
    """The nodes in the place of each stack, by its name, which the last of them has."""
    places = [_Place(s, p, column) for s, (_, columns) in enumerate(stacks) for p, column in enumerate(columns)]
    places.sort(key=lambda place: place.order)
    with tf.Graph().as_default() as inner:
        tables = [
            tf.compat.v1.placeholder(place.column.dtype, [None, None], f"table_{i}") for i, place in enumerate(places)
        ]
        parts = list(_build_parts(places, tables))
        for number, (stack, _) in enumerate(stacks):
            own = [(members, part) for members, part in parts if members[0].stack == number]
            _build_stack(own, stack.attr["axis"].i, f"stack_{number}")
    renamed = {f"stack_{number}": stack.name for number, (stack, _) in enumerate(stacks)}
    renamed |= {table.op.name: place.column.table for table, place in zip(tables, places, strict=True)}
    taken = take_nodes(inner.as_graph_def(), f"{stacks[0][0].name}/fused", renamed)
    last = {node.name: [node] for node in taken if node.name in {stack.name for stack, _ in stacks}}
    last[stacks[0][0].name][:0] = [node for node in taken if node.name not in last]
    return last


def _build_parts(places: Sequence[_Place], tables: Sequence[tf.Tensor]) -> Iterator[tuple[Sequence[_Place], tf.Tensor]]:
    """Columns of one stack with their changed values `[rows, columns]`."""
    table_of = dict(zip(places, tables, strict=True))
    for group in _group_equal(places, lambda place: place.column.source_key):
        first = build_first_values([table_of[place] for place in group], group[0].column.filler)
        for same, values in _split_columns(first, _group_equal(group, lambda place: place.column.change_key)):
            changed = build_change(values, same[0].column)
            yield from _split_columns(changed, _group_equal(same, lambda place: place.stack))


def _group_equal(places: Sequence[_Place], key: Callable[[_Place], Any]) -> list[list[_Place]]:
    return [list(group) for _, group in groupby(places, key=key)]


def _split_columns(values: tf.Tensor, groups: list[list[_Place]]) -> Iterator[tuple[list[_Place], tf.Tensor]]:
    parts = [values] if len(groups) == 1 else tf.split(values, [len(group) for group in groups], axis=1)
    return zip(groups, parts, strict=True)


def build_first_values(tables: Sequence[tf.Tensor], filler: NDArray[Any]) -> tf.Tensor:
    """The first value of every row of every table, `[rows, tables]`; the filler of a table without any column."""
    value = tf.constant(filler.item(), tables[0].dtype)
    if len(tables) < FEWEST_COLUMNS:
        return tf.concat([_pad_column(table, value, after=1)[:, :1] for table in tables], axis=1)
    widths = tf.concat(tf.shape_n(tables), axis=0)[1::2]
    # Column 0 holds the filler. A table of width w begins behind the ones before it; of width 0 it has no beginning.
    places = tf.minimum(widths, 1) * (tf.cumsum(widths, exclusive=True) + 1)
    return tf.gather(_pad_column(tf.concat(tables, axis=1), value, before=1), places, axis=1)


def _pad_column(table: tf.Tensor, value: tf.Tensor, before: int = 0, after: int = 0) -> tf.Tensor:
    return tf.raw_ops.PadV2(input=table, paddings=[[0, 0], [before, after]], constant_values=value)


def build_change(values: tf.Tensor, column: Column) -> tf.Tensor:
    """The values, changed as each column's were."""
    if column.through is None:
        return values
    if column.through.op == "Cast":
        changed = tf.cast(values, tf.dtypes.as_dtype(column.through.attr["DstT"].type))
    else:
        names = {"precision": "i", "scientific": "b", "shortest": "b", "width": "i", "fill": "s"}
        settings = {name: getattr(column.through.attr[name], kind) for name, kind in names.items()}
        changed = tf.raw_ops.AsString(input=values, **settings)
    if column.default is None:
        return changed
    missing = tf.equal(values, tf.constant(column.filler.item(), column.dtype))
    return tf.where(missing, tf.constant(column.default.item(), changed.dtype), changed)


def _build_stack(parts: Sequence[tuple[Sequence[_Place], tf.Tensor]], axis: int, name: str) -> None:
    """The columns of one stack in its order, as an operation of this name."""
    positions = [place.position for members, _ in parts for place in members]
    table = tf.concat([part for _, part in parts], axis=1) if len(parts) > 1 else parts[0][1]
    if axis == 0:
        table = tf.transpose(table)
    if positions != sorted(positions):
        table = tf.gather(table, np.argsort(positions), axis=axis)
    tf.identity(table, name)


def take_nodes(inner: Any, prefix: str, renamed: dict[str, str]) -> list[Any]:
    """The nodes of a graph below a prefix, but for some that have, or stand for, names outside of it."""
    taken = []
    for node in inner.node:
        if node.op != "Placeholder":
            own = tf.compat.v1.NodeDef()
            own.CopyFrom(node)
            own.name = renamed.get(node.name, f"{prefix}/{node.name}")
            own.input[:] = [renamed.get(text, f"{prefix}/{text}") for text in node.input]
            taken.append(own)
    return taken
