"""Tells the weights of a model from other constants of its graph: a rounded quantile or boundary is a wrong feature."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from taxiway.components.optimizer.graphs.index import GraphIndex

_PRODUCTS = frozenset(
    {"MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "SparseMatMul", "Einsum", "_FusedMatMul"}
)
_CONVOLUTIONS = frozenset({"Conv2D", "DepthwiseConv2dNative"})
_SEARCHES = frozenset(
    {
        *("LowerBound", "UpperBound", "Bucketize", "BoostedTreesBucketize"),
        *("Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual"),
    }
)
_GATHERS = frozenset({"Gather", "GatherV2"})
_VIEWS = frozenset({"Identity", "PlaceholderWithDefault", "Reshape", "Squeeze", "ExpandDims", "Transpose"})
"""Operations that hand the same numbers on."""

Reader = tuple[Any, str]
"""A node, and the name of the one whose output it reads."""


def is_weight_matrix(graph: GraphIndex, name: str) -> bool:
    """Whether a constant is the matrix of a product, or a table in which rows are looked up, and nothing else."""
    readers = list(_iterate_readers(graph, name))
    return bool(readers) and all(_multiplies(reader) or _looks_up_rows(reader) for reader in readers)


def is_kernel(graph: GraphIndex, name: str) -> bool:
    """Whether a constant is what a product or a convolution multiplies its input with, and nothing else."""
    readers = list(_iterate_readers(graph, name))
    return bool(readers) and all(_multiplies(reader) or _convolves(reader) for reader in readers)


def _convolves(reader: Reader) -> bool:
    return reader[0].op in _CONVOLUTIONS and _is_read_as(*reader, 1)


def is_boundary(graph: GraphIndex, name: str) -> bool:
    """Whether numbers of the data are compared with a constant, or it holds a table for each column: what is behind
    such a look-up is as exact as the place that was found."""
    return any(node.op in _SEARCHES or _is_batched_gather(node) for node, _ in _iterate_readers(graph, name))


def _multiplies(reader: Reader) -> bool:
    return reader[0].op in _PRODUCTS


def _looks_up_rows(reader: Reader) -> bool:
    node, source = reader
    return node.op in _GATHERS and _is_read_as(node, source, 0) and not _is_batched_gather(node)


def _is_batched_gather(node: Any) -> bool:
    return node.op == "GatherV2" and node.attr["batch_dims"].i != 0


def _is_read_as(node: Any, source: str, position: int) -> bool:
    return bool(node.input) and node.input[position].split(":")[0] == source


def _iterate_readers(graph: GraphIndex, name: str) -> Iterator[Reader]:
    """Who reads the numbers of a node, through operations that only hand them on."""
    for node in graph.readers.get((name, 0), []):
        if node.op in _VIEWS and _is_read_as(node, name, 0):
            yield from _iterate_readers(graph, node.name)
        else:
            yield node, name
