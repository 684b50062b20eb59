"""Inputs of a signature whose names differ by case alone: TensorFlow's graphs rename the second, and refuse to save."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from weakref import WeakKeyDictionary

import tensorflow as tf


@contextlib.contextmanager
def exact_names(names: Iterable[str]) -> Iterator[None]:
    """Within it, graphs give operations called `names` just these names, though others differ from them by case alone.

    `tf.Graph.unique_name` takes `Fare` and `fare` for one name, because checkpoints of old lay in files named after
    operations; the runtime, SavedModels and TensorFlow Serving tell them apart. Without such names nothing is changed.
    """
    wanted = set(names)
    folded = Counter(name.lower() for name in wanted)
    alike = {name for name in wanted if folded[name.lower()] > 1}
    if not alike:
        yield
        return
    unique_name = tf.Graph.unique_name
    handed_out: WeakKeyDictionary[tf.Graph, set[str]] = WeakKeyDictionary()

    def exact_name(graph: tf.Graph, name: str, mark_as_used: bool = True) -> str:
        given: str = unique_name(graph, name, mark_as_used)
        known = handed_out.setdefault(graph, set())
        if name in alike and not graph.get_name_scope() and name not in known and not _is_taken(graph, name):
            given = name
        if mark_as_used:
            known.add(given)
        return given

    tf.Graph.unique_name = exact_name
    try:
        yield
    finally:
        tf.Graph.unique_name = unique_name


def _is_taken(graph: tf.Graph, name: str) -> bool:
    try:
        graph.get_operation_by_name(name)
    except KeyError:
        return False
    return True
