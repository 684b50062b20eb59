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

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.optimizer import nodes
from components.optimizer.view import Output, View, output_of, pruned, replaced, text_of

_MISSING_INTEGER = -(2**63)
_PARSER = "ParseExampleV2"
_FIRST_KEYS, _DEFAULTS = 2, 5  # inputs: serialized, names, sparse keys, dense keys, ragged keys, defaults...


@dataclass(frozen=True)
class _Column:
    """A sparse output of a parser that is made dense at once.

    Attributes:
        index: Its number among the parser's sparse outputs.
        dense: Name of the node that holds `[rows, 1]` or, squeezed, `[rows]`.
        squeezed: Which of them.
        dtype: As parsed.
        through: The node that changes the values on the way, a cast or their text; None where nothing does.
        to: Their dtype as dense.
        default: For rows without a value, of the dtype `to`.
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
        kept: Nodes that must stay, for what they need stays too.

    Returns:
        The new graph, and how many columns are parsed densely now.
    """
    done = 0
    for name in [node.name for node in graph_def.node if node.op == _PARSER]:
        graph_def, columns = _rewritten(graph_def, name, kept)
        done += columns
    return graph_def, done


def _rewritten(graph_def: Any, parser: str, kept: list[str]) -> tuple[Any, int]:
    """One parser's columns; those whose sparse parts something else reads too stay as they are."""
    view = View(graph_def)
    columns = _columns(view, view.by_name[parser])
    while columns:
        result = pruned(_with_dense(graph_def, view.by_name[parser], columns), kept)
        still_read = _read_of(result, parser)
        left = [c for c in columns if c.index not in still_read]
        if len(left) == len(columns):
            return _renumbered(result, view.by_name[parser], columns), len(columns)
        columns = left
    return graph_def, 0


def _columns(view: View, parser: Any) -> list[_Column]:
    count = parser.attr["num_sparse"].i
    found = (_column(view, parser, index, count) for index in range(count))
    return [column for column in found if column]


def _column(view: View, parser: Any, index: int, count: int) -> _Column | None:
    """The column where its pattern is one that is known; None elsewhere."""
    readers = view.readers.get((parser.name, index), [])
    sliced = readers[0] if len(readers) == 1 and readers[0].op == "SparseSlice" else None
    dense = _only_reader(view, sliced.name) if sliced else readers[0] if len(readers) == 1 else None
    if dense is None or dense.op != "SparseToDense" or (sliced and not _takes_first(view, parser, sliced)):
        return None
    last, squeezed = _first_column(view, parser, dense, bool(sliced))
    dtype = tf.dtypes.as_dtype(parser.attr["sparse_types"].list.type[index])
    values = (sliced or dense).input[1 if sliced else 2]
    known, through = _on_the_way(view, values, (parser.name, count + index))
    default = view.constant(dense.input[3])
    if not last or not known or default is None:
        return None
    to = tf.dtypes.as_dtype(dense.attr["T"].type)
    column = _Column(index, last, squeezed, dtype, through, to, default)
    return column if _can_be_filled(column) else None


def _first_column(view: View, parser: Any, dense: Any, sliced: bool) -> tuple[str, bool]:
    """Name of the node that holds the first values of a dense table, and whether it is `[rows]`; an empty name where
    the table's shape is another than is known."""
    width = _width(view, parser, dense.input[1])
    last = _only_reader(view, dense.name)
    if width == "one":
        squeezed = last is not None and last.op == "Squeeze" and list(last.attr["squeeze_dims"].list.i) == [1]
        return (last.name if squeezed else dense.name), squeezed
    if width == "any" and not sliced and last is not None and _is_first_column(view, last):
        return last.name, True
    return "", False


def _is_first_column(view: View, node: Any) -> bool:
    """Whether a node is `x[:, 0]`."""
    if node.op != "StridedSlice" or node.attr["shrink_axis_mask"].i != 2 or not node.attr["begin_mask"].i & 1:
        return False
    begin, end, strides = (view.constant(text) for text in node.input[1:4])
    if begin is None or end is None or strides is None or len(begin) != 2 or node.attr["new_axis_mask"].i:
        return False
    whole = bool(node.attr["end_mask"].i & 1) and not node.attr["ellipsis_mask"].i
    return whole and begin[1] == 0 and end[1] == 1 and list(strides) == [1, 1]


def _takes_first(view: View, parser: Any, sliced: Any) -> bool:
    return view.holds(sliced.input[3], [0, 0]) and _width(view, parser, sliced.input[4]) == "one"


def _only_reader(view: View, name: str) -> Any:
    """The one node that reads a node's first output."""
    readers = view.readers.get((name, 0), [])
    return readers[0] if len(readers) == 1 else None


def _width(view: View, parser: Any, text: str) -> str:
    """`one` for a shape `[rows, 1]`, `any` for `[rows, the most values of a row, at least 1]`; empty for another."""
    pack = view.by_name.get(output_of(text)[0])
    if pack is None or pack.op != "Pack" or len(pack.input) != 2 or not _is_dimension(view, parser, pack.input[0], 0):
        return ""
    if view.holds(pack.input[1], 1):
        return "one"
    largest = view.source(pack, 1)
    if largest is None or largest.op != "Maximum" or not any(view.holds(text, 1) for text in largest.input):
        return ""
    return "any" if any(_is_dimension(view, parser, text, 1) for text in largest.input) else ""


def _is_dimension(view: View, parser: Any, text: str, axis: int) -> bool:
    """Whether an input is a dimension of a sparse output's shape."""
    shape, count = view.dimension(text, axis), parser.attr["num_sparse"].i
    return shape is not None and shape[0] == parser.name and 2 * count <= shape[1] < 3 * count


def _on_the_way(view: View, text: str, values: Output) -> tuple[bool, Any]:
    """Whether the way from the parsed values to the dense ones is known, and the node on it, if there is one."""
    if output_of(text) == values:
        return True, None
    node = view.by_name[output_of(text)[0]]
    known = node.op in ("Cast", "AsString") and output_of(node.input[0]) == values
    return known, node if known else None


def _can_be_filled(column: _Column) -> bool:
    """Whether a value of the parsed dtype can stand for a missing one."""
    return _fits(column) or column.dtype == tf.int64


def _with_dense(graph_def: Any, parser: Any, columns: list[_Column]) -> Any:
    """The graph with the columns' dense nodes read from new outputs of the parser."""
    old = parser.attr["num_sparse"].i
    first = 3 * old + len(parser.attr["Tdense"].list.type)
    new = {c.dense: _dense_nodes(c, text_of((parser.name, first + i))) for i, c in enumerate(columns)}
    new[parser.name] = _parser_nodes(graph_def, parser, columns)
    return replaced(graph_def, new)


def _parser_nodes(graph_def: Any, parser: Any, columns: list[_Column]) -> list[Any]:
    """The parser with dense outputs added behind those that it has; the sparse ones are still there."""
    view, made = View(graph_def), tf.compat.v1.NodeDef()
    made.CopyFrom(parser)
    sparse_keys, dense_keys = (view.constant(parser.input[_FIRST_KEYS + i]) for i in (0, 1))
    if sparse_keys is None or dense_keys is None:
        raise ValueError(f"the keys of {parser.name} are not constants")
    keys = [*dense_keys.tolist(), *(sparse_keys[c.index] for c in columns)]
    key_node = nodes.const_node(f"{parser.name}/dense", np.array(keys, dtype=object), tf.string)
    made.input[_FIRST_KEYS + 1] = key_node.name
    defaults = [nodes.const_node(f"{parser.name}/default_{c.index}", _filler(c), c.dtype) for c in columns]
    end = _DEFAULTS + len(parser.attr["Tdense"].list.type)
    made.input[end:end] = [node.name for node in defaults]
    made.attr["Tdense"].list.type.extend(c.dtype.as_datatype_enum for c in columns)
    for _ in columns:
        made.attr["dense_shapes"].list.shape.add().dim.add().size = -1
    return [key_node, *defaults, made]


def _filler(column: _Column) -> Any:
    """What stands for a missing value while the column is parsed."""
    if not _fits(column):
        return _MISSING_INTEGER
    if column.dtype == tf.string:
        return column.default.item()
    return column.default.astype(column.dtype.as_numpy_dtype)


def _fits(column: _Column) -> bool:
    """Whether the default can be written in the dtype that is parsed, and comes out of the way there as itself."""
    if column.through is None:
        return True
    if column.through.op != "Cast" or not (column.dtype.is_floating and column.to.is_floating):
        return False
    there = column.default.astype(column.dtype.as_numpy_dtype).astype(column.default.dtype)
    return bool(np.array_equal(there, column.default, equal_nan=True))


def _dense_nodes(column: _Column, source: str) -> list[Any]:
    """`[rows]` or `[rows, 1]` of the first values, changed as the sparse ones were."""
    name = column.dense
    paddings = nodes.const_node(f"{name}/paddings", [[0, 0], [0, 1]], tf.int32)
    filler = nodes.const_node(f"{name}/filler", _filler(column), column.dtype)
    pad = tf.compat.v1.NodeDef(name=f"{name}/padded", op="PadV2", input=[source, paddings.name, filler.name])
    pad.attr["T"].type, pad.attr["Tpaddings"].type = column.dtype.as_datatype_enum, tf.int32.as_datatype_enum
    if column.through is None:
        return [paddings, filler, pad, *_first_nodes(name, pad.name, column)]
    first = f"{name}/first"
    changed = tf.compat.v1.NodeDef()
    changed.CopyFrom(column.through)
    changed.name, changed.input[:] = (name if _fits(column) else f"{name}/changed"), [first]
    marked = [] if _fits(column) else _marked_nodes(column)
    return [paddings, filler, pad, *_first_nodes(first, pad.name, column), changed, *marked]


def _first_nodes(name: str, source: str, column: _Column) -> list[Any]:
    """The first column of a table."""
    limits = [nodes.const_node(f"{name}/{k}", v, tf.int32) for k, v in (("begin", [0, 0]), ("end", [0, 1]))]
    limits += [nodes.const_node(f"{name}/strides", [1, 1], tf.int32)]
    slicing = tf.compat.v1.NodeDef(name=name, op="StridedSlice", input=[source, *(node.name for node in limits)])
    slicing.attr["T"].type, slicing.attr["Index"].type = column.dtype.as_datatype_enum, tf.int32.as_datatype_enum
    slicing.attr["begin_mask"].i = slicing.attr["end_mask"].i = 1
    slicing.attr["ellipsis_mask"].i = slicing.attr["new_axis_mask"].i = 0
    slicing.attr["shrink_axis_mask"].i = 2 if column.squeezed else 0
    return [*limits, slicing]


def _marked_nodes(column: _Column) -> list[Any]:
    """The changed values, with the default where the mark of a missing integer stood."""
    name = column.dense
    mark = nodes.const_node(f"{name}/mark", _MISSING_INTEGER, column.dtype)
    missing = tf.compat.v1.NodeDef(name=f"{name}/missing", op="Equal", input=[f"{name}/first", mark.name])
    missing.attr["T"].type = column.dtype.as_datatype_enum
    missing.attr["incompatible_shape_error"].b = True
    default = nodes.const_node(f"{name}/default", column.default, column.to)
    select = tf.compat.v1.NodeDef(name=name, op="SelectV2", input=[missing.name, default.name, f"{name}/changed"])
    select.attr["T"].type = column.to.as_datatype_enum
    return [mark, missing, default, select]


def _read_of(graph_def: Any, parser: str) -> set[int]:
    """Numbers of the sparse outputs of which something is read."""
    view = View(graph_def)
    count = view.by_name[parser].attr["num_sparse"].i
    read = {index for name, index in view.readers if name == parser}
    return {index % count for index in read if index < 3 * count}


def _renumbered(graph_def: Any, parser: Any, columns: list[_Column]) -> Any:
    """The graph with a parser that has only the sparse outputs that are read, and its readers by the new numbers."""
    view, old = View(graph_def), parser.attr["num_sparse"].i
    gone = {column.index for column in columns}
    stay = [index for index in range(old) if index not in gone]
    numbers = {part * old + index: part * len(stay) + i for part in range(3) for i, index in enumerate(stay)}
    made = tf.compat.v1.NodeDef()
    made.CopyFrom(view.by_name[parser.name])
    keys = view.constant(made.input[_FIRST_KEYS])
    if keys is None:
        raise ValueError(f"the keys of {parser.name} are not constants")
    kept_keys = np.array([keys[index] for index in stay], dtype=object)
    key_node = nodes.const_node(f"{parser.name}/sparse", kept_keys, tf.string)
    made.input[_FIRST_KEYS] = key_node.name
    made.attr["num_sparse"].i = len(stay)
    types = [made.attr["sparse_types"].list.type[index] for index in stay]
    made.attr["sparse_types"].list.Clear()
    made.attr["sparse_types"].list.type.extend(types)
    result = replaced(graph_def, {parser.name: [key_node, made]})
    for node in result.node:
        for i, text in enumerate(node.input):
            if not text.startswith("^") and output_of(text)[0] == parser.name:
                number = output_of(text)[1]
                node.input[i] = text_of((parser.name, numbers.get(number, number - 3 * (old - len(stay)))))
    return result
