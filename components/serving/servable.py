"""A SavedModel loaded as TensorFlow Serving loads it: a Session on its graph, XLA switched off.

Imports TensorFlow: use it in a process of its own (the validator, the embedded server), never in the TFX process.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import tensorflow as tf

from components.errors import ServingError

_DISABLE_XLA = "_ZN10tensorflow21DisableXlaCompilationEv"
Tensors = dict[str, np.ndarray]


def disable_xla() -> None:
    """Makes this process refuse XLA-compiled functions, as TensorFlow Serving does unless its flags say otherwise.

    A signature under `jit_compile` then loads and fails on the first request, here as there.

    Raises:
        ServingError: This TensorFlow does not export the switch.
    """
    library = Path(tf.sysconfig.get_lib(), "libtensorflow_cc.so.2")
    try:
        ctypes.CDLL(str(library))[_DISABLE_XLA]()
    except (OSError, AttributeError) as error:
        raise ServingError(
            f"TensorFlow {tf.__version__} has no switch for XLA ({error}).", "Use TensorFlow 2.16 for Linux."
        ) from error


class Servable:
    """A loaded SavedModel that answers requests. Calls may come from several threads at once."""

    def __init__(self, folder: str | Path, *, threads: int = 0) -> None:
        """Reads graph, variables and assets, and runs the initializers.

        Args:
            folder: Of the SavedModel.
            threads: Threads inside an op and between ops; 0: TensorFlow's choice.

        Raises:
            ServingError: TensorFlow cannot load it.
        """
        config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads, use_per_session_threads=True
        )
        self.folder = Path(folder)
        self._graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=self._graph, config=config)
        self._callables: dict[tuple[str, tuple[str, ...], tuple[str, ...]], Callable[..., list[np.ndarray]]] = {}
        self._lock = threading.Lock()
        try:
            with self._graph.as_default():
                meta_graph = tf.compat.v1.saved_model.load(self._session, ["serve"], str(folder))
        except (tf.errors.OpError, OSError, RuntimeError, ValueError, KeyError) as error:
            self._session.close()
            raise ServingError(f"TensorFlow cannot load {folder}: {error}", "Export the model anew.") from error
        self._signatures = dict(meta_graph.signature_def)  # the graph itself is held once, by the session

    def __enter__(self) -> Servable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Frees what the model holds."""
        self._callables.clear()
        self._session.close()

    @property
    def signatures(self) -> dict[str, Any]:
        """`SignatureDef` protos by name, as the SavedModel declares them, TensorFlow's initializer signature among
        them."""
        return self._signatures

    def run(
        self,
        name: str,
        inputs: Mapping[str, object],
        outputs: Collection[str] = (),
        *,
        timeout_seconds: float | None = None,
    ) -> Tensors:
        """Answers one request.

        Args:
            name: The signature.
            inputs: Alias to array.
            outputs: The wanted outputs' aliases; empty: all.
            timeout_seconds: After which TensorFlow ends the work, between two ops.

        Returns:
            Alias to array.

        Raises:
            KeyError: No such signature, input or output.
            tf.errors.OpError: What the graph says of the values, or that the time is over.
        """
        signature = self._signatures[name]
        feeds = tuple(sorted(inputs))
        fetches = tuple(sorted(outputs or signature.outputs))
        limit = None
        if timeout_seconds is not None:  # 0 would be no limit
            limit = tf.compat.v1.RunOptions(timeout_in_ms=max(1, int(timeout_seconds * 1e3)))
        answer = self._callable(name, feeds, fetches)(*(inputs[alias] for alias in feeds), options=limit)
        return dict(zip(fetches, answer, strict=True))

    def _callable(self, name: str, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> Callable[..., list[np.ndarray]]:
        key, signature = (name, feeds, fetches), self._signatures[name]
        unknown = [alias for alias in feeds if alias not in signature.inputs]
        unknown += [alias for alias in fetches if alias not in signature.outputs]
        if unknown:  # asking a proto's map would add it
            raise KeyError(f"{name} has no {unknown[0]!r}")
        with self._lock:
            if key not in self._callables:
                self._callables[key] = self._session.make_callable(
                    [self._tensor(signature.outputs[alias].name) for alias in fetches],
                    feed_list=[self._tensor(signature.inputs[alias].name) for alias in feeds],
                    accept_options=True,
                )
            return self._callables[key]

    def _tensor(self, name: str) -> tf.Tensor:
        return self._graph.get_tensor_by_name(name)
