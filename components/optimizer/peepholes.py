"""Small rewritings of flat graphs that Grappler does not know: look-ups folded, shapes that need no computing."""

from __future__ import annotations

from math import prod
from typing import Any

import tensorflow as tf

from components.optimizer import nodes
from components.optimizer.view import View, output_of, replaced

_HASHES = ("StringToHashBucketFast", "_TensorToHashBucketFast")


def fold_lookups(graph_def: Any) -> tuple[Any, int]:
    """Vocabularies with one bucket for unknown words: that bucket becomes the look-up's own default.

    Transform looks a word up with the default -1, hashes it into the one bucket there is, adds the size of the table
    and selects between the two: six operations. A look-up whose default is the size of the table is two.

    Returns:
        The new graph, and how many look-ups were folded.
    """
    view = View(graph_def)
    new = {node.name: folded for node in view.all_of("SelectV2") if (folded := _folded(view, node))}
    return replaced(graph_def, new), len(new)


def _folded(view: View, select: Any) -> list[Any] | None:
    unequal, lookup, added = (view.source(select, i) for i in range(3))
    if not (unequal and lookup and added):
        return None
    if (unequal.op, lookup.op) != ("NotEqual", "LookupTableFindV2") or added.op not in ("AddV2", "Add"):
        return None
    size = _size_of_hashed(view, added, lookup)
    if size is None or not _is_known(view, unequal, lookup):
        return None
    own_size, made = tf.compat.v1.NodeDef(), tf.compat.v1.NodeDef()
    own_size.CopyFrom(size)
    own_size.name = f"{select.name}/size"
    own_size.input[:] = size.input[:1]  # the other is a control input: the first look-up, which nothing needs now
    made.CopyFrom(lookup)
    made.name = select.name
    made.input[2] = own_size.name
    return [own_size, made]


def _size_of_hashed(view: View, added: Any, lookup: Any) -> Any:
    """The node of the table's size, where it is added to a hash of one bucket; None elsewhere."""
    terms = {node.op: node for node in (view.source(added, 0), view.source(added, 1)) if node}
    size = terms.get("LookupTableSizeV2")
    hashed = next((terms[op] for op in _HASHES if op in terms), None)
    if size is None or hashed is None or hashed.attr["num_buckets"].i != 1:
        return None
    return size if size.input[0] == lookup.input[0] else None


def _is_known(view: View, unequal: Any, lookup: Any) -> bool:
    """Whether a node says where the look-up found something: its default is -1, and it is compared with that."""
    others = [text for text in unequal.input if output_of(text)[0] != lookup.name]
    return len(others) == 1 and view.holds(others[0], -1) and view.holds(lookup.input[2], -1)


def fold_hashes(graph_def: Any) -> tuple[Any, int]:
    """Unknown words hashed into one bucket each: a hash of one bucket is 0, so what is added to it is the answer.

    `where(known, ..., hash(words) + constant)` becomes `where(known, ..., constant)`, where `known` is made of a
    look-up of the same words and so has their shape.

    Returns:
        The new graph, and how many hashes were folded.
    """
    view = View(graph_def)
    new: dict[str, list[Any]] = {}
    for select in view.all_of("SelectV2"):
        for position in (1, 2):
            constant = _constant_of_hash(view, select, position)
            if constant:
                made = new.setdefault(select.name, [tf.compat.v1.NodeDef()])[0]
                made.CopyFrom(select)
                made.input[position] = constant
    return replaced(graph_def, new), len(new)


def _constant_of_hash(view: View, select: Any, position: int) -> str:
    """The constant that is added to a hash of one bucket at an input of a selection; empty where that is not so."""
    added = view.source(select, position)
    if added is None or added.op not in ("AddV2", "Add"):
        return ""
    sides = list(added.input[:2])
    hashes = [text for text in sides if view.by_name[output_of(text)[0]].op in _HASHES]
    constants = [text for text in sides if view.constant(text) is not None]
    if len(hashes) != 1 or len(constants) != 1:
        return ""
    hashed = view.by_name[output_of(hashes[0])[0]]
    one_bucket = hashed.attr["num_buckets"].i == 1
    return constants[0] if one_bucket and _compares_lookup_of(view, select, hashed.input[0]) else ""


def _compares_lookup_of(view: View, select: Any, words: str) -> bool:
    """Whether a selection's condition compares the look-up of these words with a scalar."""
    condition = view.source(select, 0)
    if condition is None or condition.op not in ("Less", "NotEqual", "Equal", "GreaterEqual"):
        return False
    scalars = [text for text in condition.input if (value := view.constant(text)) is not None and value.ndim == 0]
    lookups = [node for i in (0, 1) if (node := view.source(condition, i)) and node.op == "LookupTableFindV2"]
    return bool(scalars) and len(lookups) == 1 and lookups[0].input[1] == words


def fix_shapes(graph_def: Any) -> tuple[Any, int]:
    """A shape `[rows, a, b]` that is put together at every call only to reshape becomes the constant `[-1, a, b]`.

    Exact wherever the original is valid: the product of a reshape's dimensions is the number of elements.

    Returns:
        The new graph, and how many shapes became constants.
    """
    view, new = View(graph_def), {}
    for node in view.all_of("Reshape"):
        sizes = _sizes(view, node)
        if sizes:
            made = tf.compat.v1.NodeDef()
            made.CopyFrom(node)
            shape = nodes.const_node(f"{node.name}/constant_shape", sizes, tf.int32)
            made.input[1] = shape.name
            made.attr["Tshape"].type = tf.int32.as_datatype_enum
            new[node.name] = [shape, made]
    return replaced(graph_def, new), len(new)


def _sizes(view: View, reshape: Any) -> list[int] | None:
    """The shape with -1 for its one computed dimension; None where there are more, or a size is not above 0."""
    pack = view.source(reshape, 1)
    if pack is None or pack.op != "Pack":
        return None
    values = [view.constant(text) for text in pack.input]
    sizes = [-1 if value is None else int(value) for value in values if value is None or value.ndim == 0]
    fixed = [size for size in sizes if size != -1]
    if len(sizes) != len(values) or len(sizes) - len(fixed) != 1 or not fixed or min(fixed) < 1:
        return None
    return sizes if prod(fixed) > 0 else None


def free_kernels(graph_def: Any) -> tuple[Any, int]:
    """Matrices of matrix multiplications, read through a placeholder that has them as its default.

    On CPUs oneDNN re-orders a *constant* matrix for the number of rows of the first call and keeps that copy; at
    another number of rows it re-orders anew at each call. A server sees many batch sizes: a frozen model with wide
    layers was half as fast as one with variables. What might be fed is not constant, and multiplied as it is.

    Returns:
        The new graph, and how many matrices it holds so.
    """
    view = View(graph_def)
    names = {output_of(node.input[1])[0] for node in view.all_of("MatMul")}
    kernels = {name: view.by_name[name] for name in names if view.by_name[name].op == "Const"}
    result = replaced(graph_def, {name: [node, _placeholder(node)] for name, node in kernels.items()})
    for node in result.node:
        if node.op == "MatMul" and output_of(node.input[1])[0] in kernels:
            node.input[1] = _freed(node.input[1])
    return result, len(kernels)


def bound_kernels(graph_def: Any) -> list[str]:
    """Names of the matrix multiplications that read a constant directly."""
    view = View(graph_def)
    return [node.name for node in view.all_of("MatMul") if view.constant(node.input[1]) is not None]


def bind_kernels(graph_def: Any) -> Any:
    """What `free_kernels` did, undone: for converters that want constants."""
    result = tf.compat.v1.GraphDef()
    result.CopyFrom(graph_def)
    for node in result.node:
        if node.op == "PlaceholderWithDefault":
            node.CopyFrom(nodes.identity_node(node.name, node.input[0], tf.dtypes.as_dtype(node.attr["dtype"].type)))
    return result


def _placeholder(constant: Any) -> Any:
    made = tf.compat.v1.NodeDef(name=_freed(constant.name), op="PlaceholderWithDefault", input=[constant.name])
    made.attr["dtype"].type = constant.attr["dtype"].type
    made.attr["shape"].shape.CopyFrom(constant.attr["value"].tensor.tensor_shape)
    return made


def _freed(name: str) -> str:
    return f"{name}/free"
