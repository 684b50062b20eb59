"""A SavedModel loaded as TensorFlow Serving loads it: a `Session` on its graph.

TensorFlow Serving also refuses XLA-compiled functions: call `tensorflow_private.disable_xla` once in the process.
Imports TensorFlow: use it in a process of its own (validation, server, measuring), never in the TFX process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from taxiway.components.errors import ServingError
from taxiway.components.processes.phases import record_phase
from taxiway.components.saved_models import tensorflow_private

Tensors = dict[str, np.ndarray]


@dataclass(frozen=True)
class OutputCall:
    """One output of one signature as a function of arrays, without what `SavedModelSession.run` does around it.

    Attributes:
        inputs: Aliases of the signature's inputs, sorted: the arguments of a call, one array each.
    """

    inputs: tuple[str, ...]
    _call: Callable[..., list[np.ndarray]]

    def __call__(self, *arrays: NDArray[Any]) -> NDArray[Any]:
        """The output's value.

        Raises:
            tf.errors.OpError: What the graph says of the values.
        """
        return self._call(*arrays)[0]


@dataclass(frozen=True)
class OutputsCall:
    """All outputs of one signature as a function of arrays; see `OutputCall`.

    Attributes:
        inputs: Aliases of the signature's inputs, sorted: the arguments of a call, one array each.
        outputs: Aliases of its outputs, sorted: what a call returns, one array each.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    _call: Callable[..., list[np.ndarray]]

    def __call__(self, *arrays: NDArray[Any]) -> list[np.ndarray]:
        """The outputs' values."""
        return self._call(*arrays)


class SavedModelSession:
    """A loaded SavedModel that answers requests. Calls may come from several threads at once.

    Attributes:
        folder: The SavedModel.
        graph: Graph as TensorFlow loaded it.
        session: Session on that graph, with variables, tables and assets initialized.
        meta_graph: The `MetaGraphDef` without its graph, which the session holds.
    """

    def __init__(self, folder: str | Path, *, threads: int = 0) -> None:
        """Reads graph, variables and assets, and runs the initializers.

        Args:
            folder: Folder of the SavedModel.
            threads: Threads inside an op and between ops; 0: TensorFlow's choice.

        Raises:
            ServingError: TensorFlow cannot load it.
        """
        config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads, use_per_session_threads=True
        )
        self.folder = Path(folder)
        self.graph = tf.Graph()
        self.session = tf.compat.v1.Session(graph=self.graph, config=config)
        self._callables: dict[tuple[str, tuple[str, ...], tuple[str, ...]], Callable[..., list[np.ndarray]]] = {}
        self._lock = threading.Lock()
        try:
            with record_phase("read", "load a model"), self.graph.as_default():
                self.meta_graph = tf.compat.v1.saved_model.load(self.session, ["serve"], str(folder))
        except (tf.errors.OpError, OSError, RuntimeError, ValueError, KeyError) as error:
            self.session.close()
            raise ServingError(f"TensorFlow cannot load {folder}: {error}", "Export the model again.") from error
        self.meta_graph.ClearField("graph_def")
        self._signatures = dict(self.meta_graph.signature_def)

    def __enter__(self) -> SavedModelSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Frees what the model holds."""
        self._callables.clear()
        self.session.close()

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
            timeout_seconds: Time after which TensorFlow ends the work, between two ops.

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
        answer = self._get_callable(name, feeds, fetches)(*(inputs[alias] for alias in feeds), options=limit)
        return dict(zip(fetches, answer, strict=True))

    def bind_output(self, signature: str, output: str) -> OutputCall:
        """The fastest way to ask for one output of a signature, again and again; it knows no time limit.

        Raises:
            ServingError: The SavedModel has no such signature, or the signature no such output.
        """
        definition = self._get_signature(signature)
        if output not in definition.outputs:
            names = ", ".join(sorted(definition.outputs))
            raise ServingError(f"The signature {signature!r} has no output {output!r}.", f"It has: {names}.")
        inputs = tuple(sorted(definition.inputs))
        feeds = [definition.inputs[alias].name for alias in inputs]
        fetches = [definition.outputs[output].name]
        return OutputCall(inputs, tensorflow_private.make_direct_callable(self.session, feeds, fetches))

    def bind_outputs(self, signature: str) -> OutputsCall:
        """The fastest way to ask for all outputs of a signature; see `bind_output`.

        Raises:
            ServingError: The SavedModel has no such signature.
        """
        definition = self._get_signature(signature)
        inputs, outputs = tuple(sorted(definition.inputs)), tuple(sorted(definition.outputs))
        feeds = [definition.inputs[alias].name for alias in inputs]
        fetches = [definition.outputs[alias].name for alias in outputs]
        return OutputsCall(inputs, outputs, tensorflow_private.make_direct_callable(self.session, feeds, fetches))

    def _get_signature(self, name: str) -> Any:
        if name not in self._signatures:
            names = ", ".join(sorted(self._signatures))
            raise ServingError(f"The SavedModel {self.folder} has no signature {name!r}.", f"It has: {names}.")
        return self._signatures[name]

    def _get_callable(
        self, name: str, feeds: tuple[str, ...], fetches: tuple[str, ...]
    ) -> Callable[..., list[np.ndarray]]:
        key, signature = (name, feeds, fetches), self._signatures[name]
        unknown = [alias for alias in feeds if alias not in signature.inputs]
        unknown += [alias for alias in fetches if alias not in signature.outputs]
        if unknown:  # asking a proto's map would add it
            raise KeyError(f"{name} has no {unknown[0]!r}")
        with self._lock:
            if key not in self._callables:
                self._callables[key] = self.session.make_callable(
                    [self._get_tensor(signature.outputs[alias].name) for alias in fetches],
                    feed_list=[self._get_tensor(signature.inputs[alias].name) for alias in feeds],
                    accept_options=True,
                )
            return self._callables[key]

    def _get_tensor(self, name: str) -> tf.Tensor:
        return self.graph.get_tensor_by_name(name)
