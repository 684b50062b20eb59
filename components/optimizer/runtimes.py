"""One way to call every runtime: a function from a batch to scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.contract import Task, score_output
from components.errors import OptimizationError
from components.optimizer.served import Served
from components.optimizer.variants.base import Piece

Features = dict[str, NDArray[Any]]
"""A batch of transformed features by name, `[batch, *shape]`."""
Call = Callable[[Features], NDArray[np.float32]]


def open_core(piece: Piece, task: Task, threads: int) -> Call:
    """The piece's model core in the runtime that it is made for.

    Raises:
        OptimizationError: it has no core, or its runtime is not on this machine.
    """
    if piece.foreign:
        return _OPENERS[Path(piece.foreign).suffix](piece.foreign, task, threads)
    if not piece.has_core:
        raise OptimizationError("The model core of this variant is not known.")
    return _tensorflow(piece.core, task, threads)


def _tensorflow(core: str, task: Task, threads: int) -> Call:
    served = Served(core, task, threads)
    return lambda features: served(*(features[name] for name in served.inputs))


def _tflite(file: str, task: Task, threads: int) -> Call:
    """TFLite's interpreter; tensors are allocated anew when the batch size changes, and not counted after that."""
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(file, num_threads=threads)
    runner = interpreter.get_signature_runner()
    names = {name: detail["index"] for name, detail in runner.get_input_details().items()}
    output = runner.get_output_details()[score_output(task)]["index"]
    state = {"rows": -1}

    def call(features: Features) -> NDArray[np.float32]:
        rows = len(next(iter(features.values())))
        if rows != state["rows"]:
            for name, index in names.items():
                interpreter.resize_tensor_input(index, features[name].shape)
            interpreter.allocate_tensors()
            state["rows"] = rows
        for name, index in names.items():
            interpreter.set_tensor(index, features[name])
        interpreter.invoke()
        scores: NDArray[np.float32] = interpreter.get_tensor(output)
        return scores

    return call


def _onnx(file: str, task: Task, threads: int) -> Call:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    names, output = [value.name for value in session.get_inputs()], [score_output(task)]

    def call(features: Features) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = session.run(output, {name: features[name] for name in names})[0]
        return scores

    return call


def _engine(file: str, task: Task, threads: int) -> Call:
    raise OptimizationError(
        "A TensorRT engine runs on a GPU only, and this machine has none.",
        f"On a machine with one: trtexec --loadEngine={Path(file).name}, or Triton with the config.pbtxt beside it.",
    )


_OPENERS: dict[str, Callable[[str, Task, int], Call]] = {".tflite": _tflite, ".onnx": _onnx, ".plan": _engine}


def scores(call: Call, features: Features, batch_size: int = 256) -> NDArray[np.float32]:
    """Scores of many rows, in batches."""
    rows = len(next(iter(features.values())))
    parts = [call({k: v[i : i + batch_size] for k, v in features.items()}) for i in range(0, rows, batch_size)]
    return np.concatenate(parts)


def first_row(rows: Features | NDArray[Any]) -> Features | NDArray[Any]:
    """A batch of one row, of features or of serialized examples."""
    return {name: values[:1] for name, values in rows.items()} if isinstance(rows, dict) else rows[:1]


def feature_batches(features: Features, batch_size: int, count: int, seed: int) -> list[Features]:
    """Batches of rows drawn at random."""
    random = np.random.default_rng(seed)
    rows = len(next(iter(features.values())))
    drawn = [random.integers(0, rows, batch_size) for _ in range(count)]
    return [{name: np.ascontiguousarray(values[chosen]) for name, values in features.items()} for chosen in drawn]
