"""Opens a model core in its runtime as a function from a batch to scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxiway.components.contract import SERVING_DEFAULT, Task, score_output
from taxiway.components.errors import OptimizationError
from taxiway.components.optimizer.candidate import CandidateModel
from taxiway.components.optimizer.measurement.batches import Features, count_rows
from taxiway.components.saved_models.session import OutputCall, SavedModelSession

Call = Callable[[Features], NDArray[np.float32]]
OutputsCall = Callable[[Features], dict[str, NDArray[Any]]]


def open_whole(candidate: CandidateModel, output: str, threads: int = 1) -> OutputCall:
    """Opens `serving_default` of a candidate, called the way that comes nearest to TensorFlow Serving's own.

    Raises:
        ServingError: it cannot be loaded, or has no such signature, or the signature no such output.
    """
    return open_servable(candidate.servable, output, threads)


def open_core(candidate: CandidateModel, task: Task, threads: int) -> Call:
    """Opens the core of a candidate in the runtime that it is made for.

    Raises:
        OptimizationError: it has no core, or its runtime is not on this machine.
    """
    if candidate.runtime_file:
        return _OPENERS[Path(candidate.runtime_file).suffix](candidate.runtime_file, task, threads)
    if not candidate.has_core:
        raise OptimizationError("The model core of this variant is not known.")
    return _open_tensorflow(candidate.core, task, threads)


def open_outputs(candidate: CandidateModel, signature: str, threads: int = 1) -> OutputsCall:
    """Opens all outputs of a signature of a given model, in the runtime that the candidate is made for.

    Returns:
        Function from tensors by input to tensors by output.

    Raises:
        ServingError: it cannot be loaded.
        OptimizationError: its runtime is not on this machine.
    """
    if candidate.runtime_file:
        return _OUTPUTS_OPENERS[Path(candidate.runtime_file).suffix](candidate.runtime_file, signature, threads)
    session = SavedModelSession(candidate.servable, threads=threads)
    call = session.bind_outputs(signature)
    return lambda features: dict(zip(call.outputs, call(*(features[name] for name in call.inputs)), strict=True))


def open_servable(folder: str, output: str, threads: int = 1) -> OutputCall:
    """Opens one output of a SavedModel's `serving_default`; see `open_whole`."""
    return SavedModelSession(folder, threads=threads).bind_output(SERVING_DEFAULT, output)


def _open_tensorflow(core: str, task: Task, threads: int) -> Call:
    call = open_servable(core, score_output(task), threads)
    return lambda features: call(*(features[name] for name in call.inputs))


def _open_tflite(file: str, task: Task, threads: int) -> Call:
    """TFLite's interpreter; tensors are allocated again when the batch size changes, and not counted after that."""
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(file, num_threads=threads)
    runner = interpreter.get_signature_runner()
    names = {name: detail["index"] for name, detail in runner.get_input_details().items()}
    output = runner.get_output_details()[score_output(task)]["index"]
    state = {"rows": -1}

    def score_batch(features: Features) -> NDArray[np.float32]:
        rows = count_rows(features)
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

    return score_batch


def _open_onnx_session(file: str, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def _open_onnx(file: str, task: Task, threads: int) -> Call:
    session = _open_onnx_session(file, threads)
    names, output = [value.name for value in session.get_inputs()], [score_output(task)]

    def score_batch(features: Features) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = session.run(output, {name: features[name] for name in names})[0]
        return scores

    return score_batch


def _open_tflite_outputs(file: str, signature: str, threads: int) -> OutputsCall:
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(file, num_threads=threads)
    runner = interpreter.get_signature_runner(signature)
    inputs = {name: detail["index"] for name, detail in runner.get_input_details().items()}
    outputs = {name: detail["index"] for name, detail in runner.get_output_details().items()}
    state: dict[str, Any] = {"shapes": None}

    def answer(features: Features) -> dict[str, NDArray[Any]]:
        shapes = {name: features[name].shape for name in inputs}
        if shapes != state["shapes"]:
            for name, index in inputs.items():
                interpreter.resize_tensor_input(index, features[name].shape)
            interpreter.allocate_tensors()
            state["shapes"] = shapes
        for name, index in inputs.items():
            interpreter.set_tensor(index, features[name])
        interpreter.invoke()
        return {name: interpreter.get_tensor(index) for name, index in outputs.items()}

    return answer


def _open_onnx_outputs(file: str, signature: str, threads: int) -> OutputsCall:
    session = _open_onnx_session(file, threads)
    inputs, outputs = ([value.name for value in values] for values in (session.get_inputs(), session.get_outputs()))
    return lambda features: dict(
        zip(outputs, session.run(outputs, {name: features[name] for name in inputs}), strict=True)
    )


def _refuse_engine(file: str, task: str, threads: int) -> Any:
    raise OptimizationError(
        "A TensorRT engine runs on a GPU only, and this machine has none.",
        f"On a machine with one: trtexec --loadEngine={Path(file).name}, or Triton with the config.pbtxt beside it.",
    )


_OPENERS: dict[str, Callable[[str, Task, int], Call]] = {
    ".tflite": _open_tflite,
    ".onnx": _open_onnx,
    ".plan": _refuse_engine,
}
_OUTPUTS_OPENERS: dict[str, Callable[[str, str, int], OutputsCall]] = {
    ".tflite": _open_tflite_outputs,
    ".onnx": _open_onnx_outputs,
    ".plan": _refuse_engine,
}
