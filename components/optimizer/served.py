"""A servable, called the way that comes nearest to TensorFlow Serving's own `Session::Run`."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.protobuf import config_pb2

from components.contract import SERVING_DEFAULT, Task, score_output
from components.errors import OptimizationError

_BATCH = 512
_DISABLE_XLA = "_ZN10tensorflow21DisableXlaCompilationEv"


class Served:
    """A SavedModel in a session of its own.

    Args:
        servable: Folder of the SavedModel.
        task: Tells which output holds the scores.
        threads: Of this session, between and within operations.
        signature: The signature called.
    """

    def __init__(self, servable: str, task: Task, threads: int = 1, signature: str = SERVING_DEFAULT) -> None:
        self.graph = tf.Graph()
        config = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads)
        self.session = tf.compat.v1.Session(graph=self.graph, config=config)
        with self.graph.as_default():
            meta_graph = tf.compat.v1.saved_model.load(self.session, ["serve"], servable)
        definition = _signature(meta_graph, signature, servable)
        self.inputs = sorted(definition.inputs)
        feeds = [definition.inputs[name].name for name in self.inputs]
        options = config_pb2.CallableOptions(feed=feeds, fetch=[definition.outputs[_output(definition, task)].name])
        # The public `make_callable` goes through `Session.run`'s Python whenever there are feeds, 50 microseconds for
        # each: it would hide what is measured. This one is a thin hull around the runtime's own RunCallable.
        self._call = self.session._make_callable_from_options(options)

    def __call__(self, *batch: NDArray[Any]) -> NDArray[np.float32]:
        """Scores `[rows, 1]` or `[rows, classes]` of one batch, one array for each of `inputs`."""
        scores: NDArray[np.float32] = self._call(*batch)[0]
        return scores

    def close(self) -> None:
        """Frees the session and what it holds."""
        self.session.close()


def in_batches(call: Callable[[NDArray[Any]], NDArray[np.float32]], rows: NDArray[Any]) -> NDArray[np.float32]:
    """Scores of many rows, in batches."""
    return np.concatenate([call(rows[i : i + _BATCH]) for i in range(0, len(rows), _BATCH)])


def disable_xla() -> None:
    """Does to this process what TensorFlow Serving does at start-up: from here on nothing is compiled by XLA.

    A signature that must be compiled then fails on its first request, here as there. There is no way back.
    """
    name = "libtensorflow_cc.2.dylib" if sys.platform == "darwin" else "libtensorflow_cc.so.2"
    library = ctypes.CDLL(str(Path(tf.sysconfig.get_lib(), name)))
    getattr(library, _DISABLE_XLA)()


def _signature(meta_graph: Any, name: str, servable: str) -> Any:
    if name not in meta_graph.signature_def:
        known = ", ".join(sorted(meta_graph.signature_def))
        raise OptimizationError(f"The SavedModel {servable} has no signature {name!r}.", f"It has: {known}.")
    return meta_graph.signature_def[name]


def _output(definition: Any, task: Task) -> str:
    name = score_output(task)
    if name not in definition.outputs:
        raise OptimizationError(
            f"The signature has no output {name!r}, which a {task} model must have.",
            f"It has: {', '.join(sorted(definition.outputs))}.",
        )
    return name
