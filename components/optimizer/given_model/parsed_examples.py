"""Signatures that take serialized `tf.Example`: which features their graph parses, and rows written in that form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.protobuf import saved_model_pb2

from taxiway.components.optimizer.given_model.cell_values import list_values
from taxiway.components.optimizer.graphs.nodes import collect_ancestors

_KEYS = {"ParseExampleV2": (2, 3, 4), "ParseExample": None}
_IMAGE_DECODERS = frozenset({"DecodeJpeg", "DecodePng", "DecodeImage", "DecodeAndCropJpeg"})
"""Each of them reads JPEG."""
_FIELDS = {"string": "bytes_list", "int64": "int64_list", "float32": "float_list"}


@dataclass(frozen=True)
class ParsedFeature:
    """A feature that a graph parses.

    Attributes:
        name: Key in the example.
        dtype: `string`, `int64` or `float32`.
        values: Number of values that a row must have; None where any number may come.
    """

    name: str
    dtype: str
    values: int | None


def find_parsed_features(servable: str | Path, outputs: list[str]) -> list[ParsedFeature]:
    """The features that are parsed on the way to a signature's outputs; empty where no example is parsed.

    Args:
        servable: Folder of the SavedModel.
        outputs: Names of the outputs' tensors.
    """
    bodies = [{node.name: node for node in body} for body in _list_reached_bodies(servable, outputs)]
    parsers = [(body, node) for body in bodies for node in body.values() if node.op in _KEYS]
    return list({feature.name: feature for body, node in parsers for feature in _read_parser(body, node)}.values())


def decodes_images(servable: str | Path, outputs: list[str]) -> bool:
    """Whether texts are read as files of images on the way to a signature's outputs."""
    return any(node.op in _IMAGE_DECODERS for body in _list_reached_bodies(servable, outputs) for node in body)


def _list_reached_bodies(servable: str | Path, outputs: list[str]) -> list[list[Any]]:
    saved = saved_model_pb2.SavedModel.FromString(Path(servable, "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    reached = collect_ancestors(graph, [text.split(":")[0] for text in outputs])
    return list(_iterate_bodies(graph, reached))


def _iterate_bodies(graph: Any, reached: list[Any]) -> Iterator[list[Any]]:
    """The nodes that are reached in the graph, then those of each function that they call, and so on."""
    functions = {function.signature.name: list(function.node_def) for function in graph.library.function}
    pending, seen = [reached], set[str]()
    while pending:
        body = pending.pop()
        yield body
        called = {value.func.name for node in body for value in node.attr.values() if value.HasField("func")}
        pending += [functions[name] for name in called - seen if name in functions]
        seen |= called


def _read_parser(by_name: Mapping[str, Any], node: Any) -> Iterator[ParsedFeature]:
    """The features of a parser's node, whose attributes say how many sparse and dense ones there are."""
    types = [tf.dtypes.as_dtype(number).name for number in node.attr["Tdense"].list.type]
    shapes = [[dim.size for dim in shape.dim] for shape in node.attr["dense_shapes"].list.shape]
    sparse_types = [tf.dtypes.as_dtype(number).name for number in node.attr["sparse_types"].list.type]
    ragged_types = [tf.dtypes.as_dtype(number).name for number in node.attr["ragged_value_types"].list.type]
    sparse_keys, dense_keys, ragged_keys = _read_keys(by_name, node, len(sparse_types), len(types))
    for name, dtype, shape in zip(dense_keys, types, shapes, strict=True):
        yield ParsedFeature(name, dtype, None if -1 in shape else int(np.prod(shape)))
    for name, dtype in (*zip(sparse_keys, sparse_types, strict=True), *zip(ragged_keys, ragged_types, strict=True)):
        yield ParsedFeature(name, dtype, None)


def _read_keys(by_name: Mapping[str, Any], node: Any, sparse: int, dense: int) -> list[list[str]]:
    """The keys of sparse, dense and ragged features. The second version has one vector of each, the first a scalar a
    feature."""
    positions = _KEYS[node.op]
    if positions:
        return [_read_texts(by_name, node.input[position]) for position in positions]
    texts = [_read_texts(by_name, text) for text in node.input[2 : 2 + sparse + dense]]
    names = [names[0] for names in texts if names]
    return [names[:sparse], names[sparse:], []]


def _read_texts(by_name: Mapping[str, Any], text: str) -> list[str]:
    node = by_name.get(text.split(":")[0])
    while node is not None and node.op == "Identity":
        node = by_name.get(node.input[0].split(":")[0])
    if node is None or node.op != "Const":
        return []
    return [value.decode() for value in tf.make_ndarray(node.attr["value"].tensor).ravel()]


def encode_examples(columns: Mapping[str, NDArray[Any]], features: list[ParsedFeature]) -> NDArray[Any]:
    """Serialized examples `[rows]` of columns `[rows]` or `[rows, values]`; a column that has no value in a row is
    left out of that row.

    Raises:
        DataError: A value is not of the feature's type.
    """
    wanted = {feature.name: feature.dtype for feature in features if feature.name in columns}
    rows = len(next(iter(columns.values())))
    encoded = np.empty(rows, object)
    for row in range(rows):
        example = tf.train.Example()
        for name, dtype in wanted.items():
            values = list_values(columns[name][row], dtype, name, row)
            if values:
                getattr(example.features.feature[name], _FIELDS[dtype]).value.extend(values)
        encoded[row] = example.SerializeToString(deterministic=True)
    return encoded
