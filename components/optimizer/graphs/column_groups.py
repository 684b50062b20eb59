"""Groups of optional columns, as the built-in preprocessing makes them dense, parsed densely.

The preprocessing joins the sparse tensors of all columns of one kind, and one `SparseToDense` takes the first values.
The parser can write the columns as dense tables instead: then no index is written, joined or searched. What the
operations in between compute is not read off their names: they are run on rows that try them, and a group that does not
take the first values stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from taxiway.components.optimizer.graphs.column_fusion import Column, build_change, build_first_values, take_nodes
from taxiway.components.optimizer.graphs.dense_parsing import (
    PARSER,
    SparseColumn,
    build_parser_nodes,
    can_be_filled,
    get_filler,
    get_only_reader,
    keeps_default,
    list_added_outputs,
    list_read_outputs,
    renumber_outputs,
    rewrite_parsers,
)
from taxiway.components.optimizer.graphs.index import GraphIndex, Output, parse_output, prune_graph, replace_nodes
from taxiway.components.optimizer.graphs.nodes import parse_node_name

_TRIED_LENGTHS = ((1, 0, 2), (0, 3, 1), (0, 0, 0))
"""Values in each of three rows, by turns of the columns: none, one and several, and a column without any."""


@dataclass(frozen=True)
class _Group:
    """Sparse columns of which one node holds the first values.

    Attributes:
        node: Name of the node that holds them, `[columns, rows]` or `[rows, columns]`.
        axis: Where the columns are in it.
        columns: The columns in order.
    """

    node: str
    axis: int
    columns: list[SparseColumn]


def parse_groups_densely(graph_def: Any, kept: list[str]) -> tuple[Any, int]:
    """Rewrites the groups of every parser of a flat graph.

    Args:
        graph_def: The graph.
        kept: Names of nodes that must stay, with their ancestors.

    Returns:
        The new graph, and how many columns of groups are parsed densely now.
    """
    return rewrite_parsers(graph_def, kept, _rewrite_groups)


def _rewrite_groups(graph_def: Any, name: str, kept: list[str]) -> tuple[Any, int]:
    """The groups of one parser; those of which something else reads a sparse part too stay as they are."""
    parser, groups = GraphIndex(graph_def).by_name[name], _find_groups(graph_def, name)
    while groups:
        columns = _list_columns(groups)
        result = prune_graph(_replace_groups(graph_def, parser, groups), kept)
        still_read = list_read_outputs(result, name)
        left = [group for group in groups if not still_read & {column.index for column in group.columns}]
        if len(left) == len(groups):
            return renumber_outputs(result, parser, columns), len(columns)
        groups = left
    return graph_def, 0


# ---- what there is ----


def _find_groups(graph_def: Any, parser: str) -> list[_Group]:
    graph = GraphIndex(graph_def)
    matches = (_match_group(graph, graph.by_name[parser], node) for node in graph.list_nodes("SparseToDense"))
    groups, fillers = [], dict[int, object]()
    for group in matches:
        # A column of two groups has one table, and so one filler.
        if group and all(fillers.setdefault(c.index, own) == own for c in group.columns for own in [_name_filler(c)]):
            groups.append(group)
    return [group for group in groups if _takes_first_values(graph_def, graph.by_name[parser], group)]


def _match_group(graph: GraphIndex, parser: Any, dense: Any) -> _Group | None:
    """The group whose first values a node holds one after the other, `[columns * rows]`; None where it is another."""
    reshape, default = get_only_reader(graph, dense.name), graph.read_constant(dense.input[3])
    if reshape is None or reshape.op != "Reshape" or default is None or default.shape:
        return None
    changed = graph.get_input_node(dense, 2)
    through = changed if changed.op in ("Cast", "AsString") else None
    gathered = graph.get_input_node(through, 0) if through else changed
    if gathered is None or gathered.op != "GatherV2" or not graph.holds_value(gathered.input[2], 0):
        return None
    count, outputs = parser.attr["num_sparse"].i, _list_joined(graph, gathered.input[0])
    if len(set(outputs)) != len(outputs) or any(
        name != parser.name or not count <= index < 2 * count for name, index in outputs
    ):
        return None
    columns = [_describe_column(parser, index - count, reshape, through, dense, default) for _, index in outputs]
    shapes = [[len(columns), -1], [-1, len(columns)]]
    axis = next((axis for axis, shape in enumerate(shapes) if graph.holds_value(reshape.input[1], shape)), None)
    return _Group(reshape.name, axis, columns) if axis is not None and can_be_filled(columns[0]) else None


def _describe_column(parser: Any, index: int, reshape: Any, through: Any, dense: Any, default: Any) -> SparseColumn:
    types = [tf.dtypes.as_dtype(each) for each in (parser.attr["sparse_types"].list.type[index], dense.attr["T"].type)]
    return SparseColumn(index, reshape.name, False, types[0], through, types[1], default)


def _list_joined(graph: GraphIndex, text: str) -> list[Output]:
    """The outputs that are joined along the first axis; one that is joined with none is itself."""
    node = graph.by_name[parse_output(text)[0]]
    if node.op != "ConcatV2":
        return [parse_output(text)]
    *inputs, axis = (text for text in node.input if not text.startswith("^"))
    return [parse_output(text) for text in inputs] if graph.holds_value(axis, 0) else []


# ---- what it becomes ----


def _list_columns(groups: list[_Group]) -> list[SparseColumn]:
    """The columns of all groups, each once: a parser does not fill two tables of one column."""
    return list({column.index: column for group in groups for column in group.columns}.values())


def _replace_groups(graph_def: Any, parser: Any, groups: list[_Group]) -> Any:
    columns = _list_columns(groups)
    texts = zip((column.index for column in columns), list_added_outputs(parser, len(columns)), strict=True)
    tables = dict(texts)
    new = {group.node: _build_group_nodes(group, [tables[c.index] for c in group.columns]) for group in groups}
    new[parser.name] = build_parser_nodes(graph_def, parser, columns)
    return replace_nodes(graph_def, new)


def _build_group_nodes(group: _Group, texts: Sequence[str]) -> list[Any]:
    """The nodes in the place of a group's, which the last of them stands for."""
    with tf.Graph().as_default() as inner:
        tables = [tf.compat.v1.placeholder(c.dtype, [None, None], f"table_{i}") for i, c in enumerate(group.columns)]
        tf.identity(_join_tables(group, tables), "joined")
    renamed = {table.op.name: text for table, text in zip(tables, texts, strict=True)}
    return take_nodes(inner.as_graph_def(), f"{group.node}/dense", {**renamed, "joined": group.node})


def _join_tables(group: _Group, tables: Sequence[tf.Tensor]) -> tf.Tensor:
    """The first values, changed, of tables `[rows, most values of a row]`."""
    first = group.columns[0]
    column = Column("", first.dtype, _get_filler(first), first.through, None if keeps_default(first) else first.default)
    joined = build_change(build_first_values(tables, column.filler), column)
    return tf.transpose(joined) if group.axis == 0 else joined


def _name_filler(column: SparseColumn) -> object:
    return _write_exactly(_get_filler(column))


def _get_filler(column: SparseColumn) -> NDArray[Any]:
    return np.array(get_filler(column), column.dtype.as_numpy_dtype)


# ---- whether it is the same ----


def _takes_first_values(graph_def: Any, parser: Any, group: _Group) -> bool:
    """Runs a group's operations and what would stand in their place on the same values."""
    operations = _list_operations(graph_def, parser.name, group.node)
    rows = [_make_rows(column, position) for position, column in enumerate(group.columns)]
    parts = {
        f"{parser.name}:{third * parser.attr['num_sparse'].i + column.index}": part
        for column, values in zip(group.columns, rows, strict=True)
        for third, part in enumerate(_make_sparse(values, column))
    }
    if operations is None or not (reads := _list_reads(operations, parser.name)) <= parts.keys():
        return False
    with tf.Graph().as_default() as graph:
        fed = {name: tf.constant(parts[name]) for name in reads}
        [before] = tf.import_graph_def(operations, fed, [f"{group.node}:0"], name="before")
        tables = [_make_table(values, column) for values, column in zip(rows, group.columns, strict=True)]
        after = _join_tables(group, [tf.constant(table) for table in tables])
        with tf.compat.v1.Session(graph=graph) as session:
            answers = session.run([before, after])
    return _write_exactly(answers[0]) == _write_exactly(answers[1])


def _list_operations(graph_def: Any, parser: str, node: str) -> Any:
    """A graph of the nodes between a parser and a node; None where they read anything else that is fed."""
    by_name = {each.name: each for each in graph_def.node}
    result, seen, names = tf.compat.v1.GraphDef(versions=graph_def.versions), {parser}, [node]
    while names:
        name = names.pop()
        if name in seen:
            continue
        seen.add(name)
        if by_name[name].op.startswith(("Placeholder", "VarHandle", "HashTable")) or by_name[name].op == PARSER:
            return None
        result.node.append(by_name[name])
        names += [parse_node_name(text) for text in by_name[name].input]
    return result


def _list_reads(nodes: Any, parser: str) -> set[str]:
    """Outputs of the parser, as `name:number`, that nodes read."""
    outputs = (parse_output(text) for node in nodes.node for text in node.input if not text.startswith("^"))
    return {f"{name}:{index}" for name, index in outputs if name == parser}


def _make_rows(column: SparseColumn, position: int) -> list[list[Any]]:
    """Values of each row, of a group's column, that occur nowhere else."""
    lengths, first = _TRIED_LENGTHS[position % len(_TRIED_LENGTHS)], 10 * position
    numbers = [list(range(first + 3 * row, first + 3 * row + length)) for row, length in enumerate(lengths)]
    if column.dtype == tf.string:
        return [[b"%d" % number for number in row] for row in numbers]
    return [[column.dtype.as_numpy_dtype(number) for number in row] for row in numbers]


def _make_sparse(rows: list[list[Any]], column: SparseColumn) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Indices, values and shape, as the parser writes them."""
    indices = [(row, place) for row, values in enumerate(rows) for place in range(len(values))]
    flat = np.array([value for values in rows for value in values], column.dtype.as_numpy_dtype)
    shape = np.array([len(rows), max(map(len, rows))], np.int64)
    return np.array(indices, np.int64).reshape(-1, 2), flat, shape


def _make_table(rows: list[list[Any]], column: SparseColumn) -> NDArray[Any]:
    """Rows of the same length, as the parser fills them."""
    table = np.full((len(rows), max(map(len, rows))), _get_filler(column), column.dtype.as_numpy_dtype)
    for row, values in enumerate(rows):
        table[row, : len(values)] = values
    return table


def _write_exactly(values: NDArray[Any]) -> Any:
    return values.shape, values.tolist() if values.dtype == object else values.tobytes()
