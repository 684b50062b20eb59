"""The one private name of TensorFlow that a run's timeline takes. Nothing is imported for it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

_MODULE, _FUNCTION = "tensorflow.python.framework.func_graph", "func_graph_from_py_func"
_IMPORTED_LAST = "tensorflow.python.eager.def_function"


def watch_traces(record: Callable[[str, float, float], None]) -> None:
    """Has each trace of a `tf.function` reported, once TensorFlow is imported. Again is harmless.

    Missing in TensorFlow's public API: `tf.function` counts its traces and does not tell when they are made. A version
    without this private name reports none; its traces then count as what calls them.

    Args:
        record: Function of a trace's name, beginning and end, in seconds since 1970.
    """
    module = sys.modules.get(_MODULE)
    trace = getattr(module, _FUNCTION, None)
    if trace is None or _IMPORTED_LAST not in sys.modules or isinstance(trace, _TimedTrace):
        return
    setattr(module, _FUNCTION, _TimedTrace(trace, record))


class _TimedTrace:
    def __init__(self, trace: Callable[..., Any], record: Callable[[str, float, float], None]) -> None:
        self._trace, self._record = trace, record

    def __call__(self, name: str, *arguments: Any, **more: Any) -> Any:
        started = time.time()
        try:
            return self._trace(name, *arguments, **more)
        finally:
            self._record(str(name), started, time.time())
