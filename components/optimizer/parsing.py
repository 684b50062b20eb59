"""Optional columns parsed densely instead of as sparse tensors.

An optional column comes out of `ParseExampleV2` as a sparse tensor of which Transform keeps the first value of each row
and fills the rest: five operations a column, and indices written for every value. The same parser can write a dense
tensor `[rows, most values of a row]` filled with the default; padded by one column, its first column is the answer.

The result is the same for rows without the column, with an empty list, with one value and with several. A fixed-length
parser would be faster still, but it refuses a request with an empty list, which the original answers. An integer column
whose missing values become NaN is filled with -2^63 first, the mark of a missing integer in the raw signature too.
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
        to: As dense: another where the values are cast on the way.
        default: For rows without a value, of the dtype `to`.
    """

    index: int
    dense: str
    squeezed: bool
    dtype: tf.DType
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
    """The column where its pattern is the one that is known; None elsewhere."""
    slices = view.readers.get((parser.name, index), [])
    if len(slices) != 1:
        return None
    sliced = slices[0] if slices[0].op == "SparseSlice" else None
    dense = _only_reader(view, sliced.name) if sliced else slices[0]
    if dense is None or dense.op != "SparseToDense" or not _is_one_wide(view, parser, dense.input[1], count):
        return None
    if sliced and not (view.holds(sliced.input[3], [0, 0]) and _is_one_wide(view, parser, sliced.input[4], count)):
        return None
    dtype = tf.dtypes.as_dtype(parser.attr["sparse_types"].list.type[index])
    to = _cast_to(view, (sliced or dense).input[1 if sliced else 2], (parser.name, count + index), dtype)
    default = view.constant(dense.input[3])
    if to is None or default is None:
        return None
    squeeze = _only_reader(view, dense.name)
    squeezed = squeeze is not None and squeeze.op == "Squeeze" and list(squeeze.attr["squeeze_dims"].list.i) == [1]
    return _Column(index, squeeze.name if squeezed and squeeze else dense.name, squeezed, dtype, to, default)


def _only_reader(view: View, name: str) -> Any:
    """The one node that reads a node's first output."""
    readers = view.readers.get((name, 0), [])
    return readers[0] if len(readers) == 1 else None


def _is_one_wide(view: View, parser: Any, text: str, count: int) -> bool:
    """Whether an input is the shape `[rows, 1]`."""
    pack = view.by_name.get(output_of(text)[0])
    if pack is None or pack.op != "Pack" or len(pack.input) != 2 or not view.holds(pack.input[1], 1):
        return False
    shape = view.is_first_dimension(pack.input[0])
    return shape is not None and shape[0] == parser.name and 2 * count <= shape[1] < 3 * count


def _cast_to(view: View, text: str, values: Output, dtype: tf.DType) -> tf.DType | None:
    """The dtype of the values once they are dense; None where they are changed in another way."""
    if output_of(text) == values:
        return dtype
    cast = view.by_name[output_of(text)[0]]
    if cast.op != "Cast" or output_of(cast.input[0]) != values:
        return None
    return tf.dtypes.as_dtype(cast.attr["DstT"].type)


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
    if column.dtype == tf.string:
        return column.default.item()
    return column.default.astype(column.dtype.as_numpy_dtype) if _fits(column) else _MISSING_INTEGER


def _fits(column: _Column) -> bool:
    """Whether the default can be written in the dtype that is parsed."""
    return not (column.dtype.is_integer and not np.all(np.isfinite(column.default)))


def _dense_nodes(column: _Column, source: str) -> list[Any]:
    """`[rows]` or `[rows, 1]` of the first values, cast as the sparse ones were."""
    name, made = column.dense, []
    made += [nodes.const_node(f"{name}/paddings", [[0, 0], [0, 1]], tf.int32)]
    made += [nodes.const_node(f"{name}/filler", _filler(column), column.dtype)]
    pad = tf.compat.v1.NodeDef(name=f"{name}/padded", op="PadV2", input=[source, made[0].name, made[1].name])
    pad.attr["T"].type, pad.attr["Tpaddings"].type = column.dtype.as_datatype_enum, tf.int32.as_datatype_enum
    cast = column.to != column.dtype
    made += [pad, *_first_nodes(f"{name}/first" if cast else name, pad.name, column)]
    if cast and _fits(column):
        return [*made, nodes.cast_node(name, f"{name}/first", column.dtype, column.to)]
    return [*made, *_marked_nodes(column)] if cast else made


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
    """Integers cast to floats, the default where the mark of a missing integer stands."""
    name = column.dense
    mark = nodes.const_node(f"{name}/mark", _MISSING_INTEGER, column.dtype)
    missing = tf.compat.v1.NodeDef(name=f"{name}/missing", op="Equal", input=[f"{name}/first", mark.name])
    missing.attr["T"].type = column.dtype.as_datatype_enum
    missing.attr["incompatible_shape_error"].b = True
    default = nodes.const_node(f"{name}/default", column.default, column.to)
    cast = nodes.cast_node(f"{name}/cast", f"{name}/first", column.dtype, column.to)
    select = tf.compat.v1.NodeDef(name=name, op="SelectV2", input=[missing.name, default.name, cast.name])
    select.attr["T"].type = column.to.as_datatype_enum
    return [mark, missing, default, cast, select]


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
