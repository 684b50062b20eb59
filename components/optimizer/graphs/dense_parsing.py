"""Optional columns parsed densely instead of as sparse tensors.

An optional column comes out of `ParseExampleV2` as a sparse tensor of which Transform keeps the first value of each
row and fills the rest: up to six operations a column, and indices written for every value. The same parser can write a
dense tensor `[rows, most values of a row]` filled with the default; padded by one column, its first column is the
answer.

The result is the same for rows without the column, with an empty list, with one value and with several. A fixed-length
parser would be faster still, but it refuses a request with an empty list, which the original answers. An integer column
whose missing values become NaN, or a text, is filled with -2^63 first, the mark of a missing integer in the raw
signature too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from taxiway.components.optimizer.graphs import nodes
from taxiway.components.optimizer.graphs.index import (
    GraphIndex,
    Output,
    format_output,
    parse_output,
    prune_graph,
    replace_nodes,
)

_MISSING_INTEGER = -(2**63)
PARSER = "ParseExampleV2"
_FIRST_KEYS, _DEFAULTS = 2, 5  # inputs: serialized, names, sparse keys, dense keys, ragged keys, defaults...


@dataclass(frozen=True)
class SparseColumn:
    """A sparse output of a parser that is made dense at once.

    Attributes:
        index: Its number among the parser's sparse outputs.
        dense: Name of the node that holds `[rows, 1]` or, squeezed, `[rows]`; of a group of columns all of them.
        squeezed: Whether that node holds `[rows]`.
        dtype: Dtype that is parsed.
        through: The node that changes the values on the way, a cast or their text; None where nothing does.
        to: Dtype of the dense values.
        default: Value for rows without one, of the dtype `to`.
    """

    index: int
    dense: str
    squeezed: bool
    dtype: tf.DType
    through: Any
    to: tf.DType
    default: NDArray[Any]


def parse_densely(graph_def: Any, kept: list[str]) -> tuple[Any, int]:
    """Rewrites every parser of a flat graph.

    Args:
        graph_def: The graph.
        kept: Names of nodes that must stay, with their ancestors.

    Returns:
        The new graph, and how many columns are parsed densely now.
    """
    return rewrite_parsers(graph_def, kept, _rewrite_parser)


def rewrite_parsers(
    graph_def: Any, kept: list[str], rewrite: Callable[[Any, str, list[str]], tuple[Any, int]]
) -> tuple[Any, int]:
    """The graph after `rewrite` (of graph, name and `kept`) has changed each parser, and the columns in all."""
    rewritten = 0
    for name in [node.name for node in graph_def.node if node.op == PARSER]:
        graph_def, columns = rewrite(graph_def, name, kept)
        rewritten += columns
    return graph_def, rewritten


def _rewrite_parser(graph_def: Any, parser: str, kept: list[str]) -> tuple[Any, int]:
    """One parser's columns; those whose sparse parts something else reads too stay as they are."""
    graph = GraphIndex(graph_def)
    columns = _find_columns(graph, graph.by_name[parser])
    # Only after the rewrite is it known which sparse outputs are still read: repeated without their columns.
    while columns:
        result = prune_graph(_add_dense_outputs(graph_def, graph.by_name[parser], columns), kept)
        still_read = list_read_outputs(result, parser)
        left = [c for c in columns if c.index not in still_read]
        if len(left) == len(columns):
            return renumber_outputs(result, graph.by_name[parser], columns), len(columns)
        columns = left
    return graph_def, 0


def _find_columns(graph: GraphIndex, parser: Any) -> list[SparseColumn]:
    count = parser.attr["num_sparse"].i
    matches = (_match_column(graph, parser, index, count) for index in range(count))
    return [column for column in matches if column]


def _match_column(graph: GraphIndex, parser: Any, index: int, count: int) -> SparseColumn | None:
    """The column where its pattern is one that is known; None elsewhere."""
    readers = graph.readers.get((parser.name, index), [])
    # Two patterns: SparseSlice to one value before SparseToDense, or SparseToDense alone and x[:, 0] after it.
    sliced = readers[0] if len(readers) == 1 and readers[0].op == "SparseSlice" else None
    dense = get_only_reader(graph, sliced.name) if sliced else readers[0] if len(readers) == 1 else None
    if dense is None or dense.op != "SparseToDense" or (sliced and not _takes_first_value(graph, parser, sliced)):
        return None
    first = _match_first_column(graph, parser, dense, bool(sliced))
    dtype = tf.dtypes.as_dtype(parser.attr["sparse_types"].list.type[index])
    # Input 1 of SparseSlice and input 2 of SparseToDense hold the values.
    values = (sliced or dense).input[1 if sliced else 2]
    is_known_op, through = _match_conversion(graph, values, (parser.name, count + index))
    default = graph.read_constant(dense.input[3])
    if first is None or not is_known_op or default is None:
        return None
    to = tf.dtypes.as_dtype(dense.attr["T"].type)
    column = SparseColumn(index, *first, dtype, through, to, default)
    return column if can_be_filled(column) else None


def _match_first_column(graph: GraphIndex, parser: Any, dense: Any, sliced: bool) -> tuple[str, bool] | None:
    """Name of the node that holds the first values of a dense table, and whether it is `[rows]`; None where the
    table's shape is another than is known."""
    width = _match_width(graph, parser, dense.input[1])
    last = get_only_reader(graph, dense.name)
    if width == "one":
        squeezed = last is not None and last.op == "Squeeze" and list(last.attr["squeeze_dims"].list.i) == [1]
        return (last.name if squeezed else dense.name), squeezed
    if width == "any" and not sliced and last is not None and is_first_column(graph, last):
        return last.name, True
    return None


def is_first_column(graph: GraphIndex, node: Any) -> bool:
    """Whether a node is `x[:, 0]`."""
    # Mask bits: bit 0 is the first axis (taken whole), bit 1 the second one (shrunk to a scalar).
    if node.op != "StridedSlice" or node.attr["shrink_axis_mask"].i != 2 or not node.attr["begin_mask"].i & 1:
        return False
    begin, end, strides = (graph.read_constant(text) for text in node.input[1:4])
    if begin is None or end is None or strides is None or len(begin) != 2 or node.attr["new_axis_mask"].i:
        return False
    whole = bool(node.attr["end_mask"].i & 1) and not node.attr["ellipsis_mask"].i
    return whole and begin[1] == 0 and end[1] == 1 and list(strides) == [1, 1]


def _takes_first_value(graph: GraphIndex, parser: Any, sliced: Any) -> bool:
    return graph.holds_value(sliced.input[3], [0, 0]) and _match_width(graph, parser, sliced.input[4]) == "one"


def get_only_reader(graph: GraphIndex, name: str) -> Any:
    """The one node that reads a node's first output."""
    readers = graph.readers.get((name, 0), [])
    return readers[0] if len(readers) == 1 else None


def _match_width(graph: GraphIndex, parser: Any, text: str) -> Literal["one", "any"] | None:
    """`one` for a shape `[rows, 1]`, `any` for `[rows, the most values of a row, at least 1]`; None for another."""
    pack = graph.by_name.get(parse_output(text)[0])
    if pack is None or pack.op != "Pack" or len(pack.input) != 2 or not _is_dimension(graph, parser, pack.input[0], 0):
        return None
    if graph.holds_value(pack.input[1], 1):
        return "one"
    largest = graph.get_input_node(pack, 1)
    if largest is None or largest.op != "Maximum" or not any(graph.holds_value(text, 1) for text in largest.input):
        return None
    return "any" if any(_is_dimension(graph, parser, text, 1) for text in largest.input) else None


def _is_dimension(graph: GraphIndex, parser: Any, text: str, axis: int) -> bool:
    """Whether an input is a dimension of a sparse output's shape."""
    shape, count = graph.match_dimension(text, axis), parser.attr["num_sparse"].i
    # Sparse outputs of the parser: indices first, then values, then shapes, `count` of each.
    return shape is not None and shape[0] == parser.name and 2 * count <= shape[1] < 3 * count


def _match_conversion(graph: GraphIndex, text: str, values: Output) -> tuple[bool, Any]:
    """Whether the way from the parsed values to the dense ones is known, and the node on it, if there is one."""
    if parse_output(text) == values:
        return True, None
    node = graph.by_name[parse_output(text)[0]]
    is_known_op = node.op in ("Cast", "AsString") and parse_output(node.input[0]) == values
    return is_known_op, node if is_known_op else None


def can_be_filled(column: SparseColumn) -> bool:
    """Whether a value of the parsed dtype can stand for a missing one."""
    return keeps_default(column) or column.dtype == tf.int64


def _add_dense_outputs(graph_def: Any, parser: Any, columns: list[SparseColumn]) -> Any:
    """The graph with the columns' dense nodes read from new outputs of the parser."""
    tables = list_added_outputs(parser, len(columns))
    new = {c.dense: _build_dense_nodes(c, table) for c, table in zip(columns, tables, strict=True)}
    new[parser.name] = build_parser_nodes(graph_def, parser, columns)
    return replace_nodes(graph_def, new)


def list_added_outputs(parser: Any, count: int) -> list[str]:
    """Input texts of so many dense outputs behind those that a parser has."""
    first = 3 * parser.attr["num_sparse"].i + len(parser.attr["Tdense"].list.type)
    return [format_output((parser.name, first + i)) for i in range(count)]


def build_parser_nodes(graph_def: Any, parser: Any, columns: list[SparseColumn]) -> list[Any]:
    """The parser with dense outputs added behind those that it has; the sparse ones are still there."""
    graph, new_parser = GraphIndex(graph_def), tf.compat.v1.NodeDef()
    new_parser.CopyFrom(parser)
    sparse_keys, dense_keys = (graph.read_constant(parser.input[_FIRST_KEYS + i]) for i in (0, 1))
    if sparse_keys is None or dense_keys is None:
        raise ValueError(f"the keys of {parser.name} are not constants")
    keys = [*dense_keys.tolist(), *(sparse_keys[c.index] for c in columns)]
    key_node = nodes.make_const_node(f"{parser.name}/dense", np.array(keys, dtype=object), tf.string)
    new_parser.input[_FIRST_KEYS + 1] = key_node.name
    defaults = [nodes.make_const_node(f"{parser.name}/default_{c.index}", get_filler(c), c.dtype) for c in columns]
    # The defaults of dense columns are the last inputs, in the order of the dense keys.
    end = _DEFAULTS + len(parser.attr["Tdense"].list.type)
    new_parser.input[end:end] = [node.name for node in defaults]
    new_parser.attr["Tdense"].list.type.extend(c.dtype.as_datatype_enum for c in columns)
    for _ in columns:
        # -1: a variable number of values, padded to the most of the batch; a fixed shape refuses an empty list.
        new_parser.attr["dense_shapes"].list.shape.add().dim.add().size = -1
    return [key_node, *defaults, new_parser]


def get_filler(column: SparseColumn) -> Any:
    """What stands for a missing value while the column is parsed."""
    if not keeps_default(column):
        return _MISSING_INTEGER
    if column.dtype == tf.string:
        return column.default.item()
    return column.default.astype(column.dtype.as_numpy_dtype)


def keeps_default(column: SparseColumn) -> bool:
    """Whether the default can be written in the dtype that is parsed, and comes out of the way there as itself."""
    if column.through is None:
        return True
    if column.through.op != "Cast" or not (column.dtype.is_floating and column.to.is_floating):
        return False
    # A float64 default may have no equal in float32: then filling before the cast would change the answer.
    there = column.default.astype(column.dtype.as_numpy_dtype).astype(column.default.dtype)
    return bool(np.array_equal(there, column.default, equal_nan=True))


def _build_dense_nodes(column: SparseColumn, source: str) -> list[Any]:
    """`[rows]` or `[rows, 1]` of the first values, changed as the sparse ones were."""
    name = column.dense
    paddings = nodes.make_const_node(f"{name}/paddings", [[0, 0], [0, 1]], tf.int32)
    filler = nodes.make_const_node(f"{name}/filler", get_filler(column), column.dtype)
    # Where no row has a value, the dense table has no column: padding by one gives x[:, 0] something to read.
    pad = tf.compat.v1.NodeDef(name=f"{name}/padded", op="PadV2", input=[source, paddings.name, filler.name])
    pad.attr["T"].type, pad.attr["Tpaddings"].type = column.dtype.as_datatype_enum, tf.int32.as_datatype_enum
    if column.through is None:
        return [paddings, filler, pad, *_build_first_column_nodes(name, pad.name, column)]
    first = f"{name}/first"
    changed = tf.compat.v1.NodeDef()
    changed.CopyFrom(column.through)
    # The last node takes the old node's name, so that its readers need no change.
    changed.name, changed.input[:] = (name if keeps_default(column) else f"{name}/changed"), [first]
    marked = [] if keeps_default(column) else _build_missing_value_nodes(column)
    return [paddings, filler, pad, *_build_first_column_nodes(first, pad.name, column), changed, *marked]


def _build_first_column_nodes(name: str, source: str, column: SparseColumn) -> list[Any]:
    """The first column of a table."""
    limits = [nodes.make_const_node(f"{name}/{k}", v, tf.int32) for k, v in (("begin", [0, 0]), ("end", [0, 1]))]
    limits += [nodes.make_const_node(f"{name}/strides", [1, 1], tf.int32)]
    slicing = tf.compat.v1.NodeDef(name=name, op="StridedSlice", input=[source, *(node.name for node in limits)])
    slicing.attr["T"].type, slicing.attr["Index"].type = column.dtype.as_datatype_enum, tf.int32.as_datatype_enum
    slicing.attr["begin_mask"].i = slicing.attr["end_mask"].i = 1
    slicing.attr["ellipsis_mask"].i = slicing.attr["new_axis_mask"].i = 0
    slicing.attr["shrink_axis_mask"].i = 2 if column.squeezed else 0
    return [*limits, slicing]


def _build_missing_value_nodes(column: SparseColumn) -> list[Any]:
    """The changed values, with the default where the mark of a missing integer stood."""
    name = column.dense
    mark = nodes.make_const_node(f"{name}/mark", _MISSING_INTEGER, column.dtype)
    missing = tf.compat.v1.NodeDef(name=f"{name}/missing", op="Equal", input=[f"{name}/first", mark.name])
    missing.attr["T"].type = column.dtype.as_datatype_enum
    missing.attr["incompatible_shape_error"].b = True
    default = nodes.make_const_node(f"{name}/default", column.default, column.to)
    select = tf.compat.v1.NodeDef(name=name, op="SelectV2", input=[missing.name, default.name, f"{name}/changed"])
    select.attr["T"].type = column.to.as_datatype_enum
    return [mark, missing, default, select]


def list_read_outputs(graph_def: Any, parser: str) -> set[int]:
    """Numbers of the sparse outputs of which something is read."""
    graph = GraphIndex(graph_def)
    count = graph.by_name[parser].attr["num_sparse"].i
    read = {index for name, index in graph.readers if name == parser}
    return {index % count for index in read if index < 3 * count}


def renumber_outputs(graph_def: Any, parser: Any, columns: list[SparseColumn]) -> Any:
    """The graph with a parser that has only the sparse outputs that are read, and its readers by the new numbers."""
    graph, old = GraphIndex(graph_def), parser.attr["num_sparse"].i
    gone = {column.index for column in columns}
    stay = [index for index in range(old) if index not in gone]
    # Removing a sparse column shifts its indices, values and shapes, each in its own third of the outputs.
    numbers = {part * old + index: part * len(stay) + i for part in range(3) for i, index in enumerate(stay)}
    new_parser = tf.compat.v1.NodeDef()
    new_parser.CopyFrom(graph.by_name[parser.name])
    keys = graph.read_constant(new_parser.input[_FIRST_KEYS])
    if keys is None:
        raise ValueError(f"the keys of {parser.name} are not constants")
    kept_keys = np.array([keys[index] for index in stay], dtype=object)
    key_node = nodes.make_const_node(f"{parser.name}/sparse", kept_keys, tf.string)
    new_parser.input[_FIRST_KEYS] = key_node.name
    new_parser.attr["num_sparse"].i = len(stay)
    types = [new_parser.attr["sparse_types"].list.type[index] for index in stay]
    new_parser.attr["sparse_types"].list.Clear()
    new_parser.attr["sparse_types"].list.type.extend(types)
    result = replace_nodes(graph_def, {parser.name: [key_node, new_parser]})
    for node in result.node:
        for i, text in enumerate(node.input):
            if not text.startswith("^") and parse_output(text)[0] == parser.name:
                number = parse_output(text)[1]
                node.input[i] = format_output((parser.name, numbers.get(number, number - 3 * (old - len(stay)))))
    return result
