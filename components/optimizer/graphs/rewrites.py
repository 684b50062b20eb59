"""Small rewritings of flat graphs that Grappler lacks: folded look-ups and hashes, constant shapes."""

from __future__ import annotations

from math import prod
from typing import Any

import tensorflow as tf

from taxiway.components.optimizer.graphs import nodes
from taxiway.components.optimizer.graphs.index import GraphIndex, parse_output, replace_nodes

_HASHES = ("StringToHashBucketFast", "_TensorToHashBucketFast")


def fold_lookups(graph_def: Any) -> tuple[Any, int]:
    """Vocabularies with one bucket for unknown words: that bucket becomes the look-up's own default.

    Transform looks a word up with the default -1, hashes it into the one bucket there is, adds the size of the table
    and selects between the two: six operations. A look-up whose default is the size of the table is two.

    Returns:
        The new graph, and how many look-ups were folded.
    """
    graph = GraphIndex(graph_def)
    new = {node.name: folded for node in graph.list_nodes("SelectV2") if (folded := _fold_lookup(graph, node))}
    return replace_nodes(graph_def, new), len(new)


def _fold_lookup(graph: GraphIndex, select: Any) -> list[Any] | None:
    unequal, lookup, added = (graph.get_input_node(select, i) for i in range(3))
    if not (unequal and lookup and added):
        return None
    if (unequal.op, lookup.op) != ("NotEqual", "LookupTableFindV2") or added.op not in ("AddV2", "Add"):
        return None
    size = _find_table_size(graph, added, lookup)
    if size is None or not _compares_with_default(graph, unequal, lookup):
        return None
    own_size, new_lookup = tf.compat.v1.NodeDef(), tf.compat.v1.NodeDef()
    own_size.CopyFrom(size)
    own_size.name = f"{select.name}/size"
    own_size.input[:] = size.input[:1]  # the other is a control input: the first look-up, which nothing needs now
    new_lookup.CopyFrom(lookup)
    new_lookup.name = select.name
    new_lookup.input[2] = own_size.name
    return [own_size, new_lookup]


def _find_table_size(graph: GraphIndex, added: Any, lookup: Any) -> Any:
    """The node of the table's size, where it is added to a hash of one bucket; None elsewhere."""
    terms = {node.op: node for node in (graph.get_input_node(added, 0), graph.get_input_node(added, 1)) if node}
    size = terms.get("LookupTableSizeV2")
    hashed = next((terms[op] for op in _HASHES if op in terms), None)
    if size is None or hashed is None or hashed.attr["num_buckets"].i != 1:
        return None
    return size if size.input[0] == lookup.input[0] else None


def _compares_with_default(graph: GraphIndex, unequal: Any, lookup: Any) -> bool:
    """Whether a node says where the look-up found something: its default is -1, and it is compared with that."""
    others = [text for text in unequal.input if parse_output(text)[0] != lookup.name]
    return len(others) == 1 and graph.holds_value(others[0], -1) and graph.holds_value(lookup.input[2], -1)


def fold_hashes(graph_def: Any) -> tuple[Any, int]:
    """Unknown words hashed into one bucket each: a hash of one bucket is 0, so what is added to it is the answer.

    `where(known, ..., hash(words) + constant)` becomes `where(known, ..., constant)`, where `known` is made of a
    look-up of the same words and so has their shape.

    Returns:
        The new graph, and how many hashes were folded.
    """
    graph = GraphIndex(graph_def)
    new: dict[str, list[Any]] = {}
    for select in graph.list_nodes("SelectV2"):
        for position in (1, 2):
            constant = _find_hash_constant(graph, select, position)
            if constant:
                new_select = new.setdefault(select.name, [tf.compat.v1.NodeDef()])[0]
                new_select.CopyFrom(select)
                new_select.input[position] = constant
    return replace_nodes(graph_def, new), len(new)


def _find_hash_constant(graph: GraphIndex, select: Any, position: int) -> str | None:
    """The constant that is added to a hash of one bucket at an input of a selection; None where that is not so."""
    added = graph.get_input_node(select, position)
    if added is None or added.op not in ("AddV2", "Add"):
        return None
    sides = list(added.input[:2])
    hashes = [text for text in sides if graph.by_name[parse_output(text)[0]].op in _HASHES]
    constants = [text for text in sides if graph.read_constant(text) is not None]
    if len(hashes) != 1 or len(constants) != 1:
        return None
    hashed = graph.by_name[parse_output(hashes[0])[0]]
    one_bucket = hashed.attr["num_buckets"].i == 1
    return constants[0] if one_bucket and _compares_lookup(graph, select, hashed.input[0]) else None


def _compares_lookup(graph: GraphIndex, select: Any, words: str) -> bool:
    """Whether a selection's condition compares the look-up of these words with a scalar."""
    condition = graph.get_input_node(select, 0)
    if condition is None or condition.op not in ("Less", "NotEqual", "Equal", "GreaterEqual"):
        return False
    scalars = [text for text in condition.input if (value := graph.read_constant(text)) is not None and value.ndim == 0]
    lookups = [node for i in (0, 1) if (node := graph.get_input_node(condition, i)) and node.op == "LookupTableFindV2"]
    return bool(scalars) and len(lookups) == 1 and lookups[0].input[1] == words


def fix_shapes(graph_def: Any) -> tuple[Any, int]:
    """A shape `[rows, a, b]` that is put together at every call only to reshape becomes the constant `[-1, a, b]`.

    Exact wherever the original is valid: the product of a reshape's dimensions is the number of elements.

    Returns:
        The new graph, and how many shapes became constants.
    """
    graph, new = GraphIndex(graph_def), {}
    reshapes = [] if nodes.has_loops(graph_def) else graph.list_nodes("Reshape")  # a new constant is in no loop
    for node in reshapes:
        sizes = _match_shape(graph, node)
        if sizes:
            new_reshape = tf.compat.v1.NodeDef()
            new_reshape.CopyFrom(node)
            shape = nodes.make_const_node(f"{node.name}/constant_shape", sizes, tf.int32)
            new_reshape.input[1] = shape.name
            new_reshape.attr["Tshape"].type = tf.int32.as_datatype_enum
            new[node.name] = [shape, new_reshape]
    return replace_nodes(graph_def, new), len(new)


def _match_shape(graph: GraphIndex, reshape: Any) -> list[int] | None:
    """The shape with -1 for its one computed dimension; None where there are more, or a size is not above 0."""
    pack = graph.get_input_node(reshape, 1)
    if pack is None or pack.op != "Pack":
        return None
    values = [graph.read_constant(text) for text in pack.input]
    sizes = [-1 if value is None else int(value) for value in values if value is None or value.ndim == 0]
    fixed = [size for size in sizes if size != -1]
    if len(sizes) != len(values) or len(sizes) - len(fixed) != 1 or not fixed or min(fixed) < 1:
        return None
    return sizes if prod(fixed) > 0 else None


def make_kernels_feedable(graph_def: Any) -> tuple[Any, int]:
    """Lets matrix multiplications read their matrix through a placeholder whose default it is.

    On CPUs oneDNN re-orders a *constant* matrix for the number of rows of the first call and keeps that copy; at
    another number of rows it re-orders at every call. A server sees many batch sizes: a frozen model with wide
    layers was half as fast as one with variables. A placeholder is not constant, so its matrix is not re-ordered.

    Returns:
        The new graph, and how many matrices are read in this way.
    """
    graph = GraphIndex(graph_def)
    names = {parse_output(node.input[1])[0] for node in graph.list_nodes("MatMul")}
    kernels = {name: graph.by_name[name] for name in names if graph.by_name[name].op == "Const"}
    result = replace_nodes(graph_def, {name: [node, _make_placeholder(node)] for name, node in kernels.items()})
    for node in result.node:
        if node.op == "MatMul" and parse_output(node.input[1])[0] in kernels:
            node.input[1] = _make_placeholder_name(node.input[1])
    return result, len(kernels)


def list_constant_kernels(graph_def: Any) -> list[str]:
    """Names of the matrix multiplications that read a constant directly."""
    graph = GraphIndex(graph_def)
    return [node.name for node in graph.list_nodes("MatMul") if graph.read_constant(node.input[1]) is not None]


def make_kernels_constant(graph_def: Any) -> Any:
    """Undoes `make_kernels_feedable`, for converters that want constants."""
    result = tf.compat.v1.GraphDef()
    result.CopyFrom(graph_def)
    for node in result.node:
        if node.op == "PlaceholderWithDefault":
            node.CopyFrom(
                nodes.make_identity_node(node.name, node.input[0], tf.dtypes.as_dtype(node.attr["dtype"].type))
            )
    return result


def _make_placeholder(constant: Any) -> Any:
    placeholder = tf.compat.v1.NodeDef(
        name=_make_placeholder_name(constant.name), op="PlaceholderWithDefault", input=[constant.name]
    )
    placeholder.attr["dtype"].type = constant.attr["dtype"].type
    placeholder.attr["shape"].shape.CopyFrom(constant.attr["value"].tensor.tensor_shape)
    return placeholder


def _make_placeholder_name(name: str) -> str:
    return f"{name}/free"
