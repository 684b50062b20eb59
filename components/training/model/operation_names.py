"""Keeps the names of signature inputs that differ by case alone: TensorFlow would rename the second one."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import tensorflow as tf

from taxiway.components.training.tensorflow_private import replace_unique_name


@contextlib.contextmanager
def keep_exact_names(names: Iterable[str]) -> Iterator[None]:
    """Within it, graphs give operations called `names` just these names, though others differ from them by case alone.

    `tf.Graph.unique_name` takes `Fare` and `fare` for one name, because old checkpoints lay in files named after
    operations; the runtime, SavedModels and TensorFlow Serving tell them apart. Without such names nothing is changed.
    """
    wanted = set(names)
    folded = Counter(name.lower() for name in wanted)
    alike = {name for name in wanted if folded[name.lower()] > 1}
    if not alike:
        yield
        return
    handed_out: WeakKeyDictionary[tf.Graph, set[str]] = WeakKeyDictionary()

    def choose_name(graph: tf.Graph, name: str, mark_as_used: bool, unique_name: Callable[..., Any]) -> str:
        given: str = unique_name(graph, name, mark_as_used)
        names = handed_out.setdefault(graph, set())
        if name in alike and not graph.get_name_scope() and name not in names and not _is_taken(graph, name):
            given = name
        if mark_as_used:
            names.add(given)
        return given

    with replace_unique_name(choose_name):
        yield


def _is_taken(graph: tf.Graph, name: str) -> bool:
    try:
        graph.get_operation_by_name(name)
    except KeyError:
        return False
    return True
