"""Which output of `serving_default` holds the scores, of a model that anybody has trained. No TensorFlow is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

from taxiway.components.contract import SERVING_DEFAULT, Task, score_output
from taxiway.components.errors import ConfigError, ServingError

_FLOATS = {types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE, types_pb2.DT_HALF, types_pb2.DT_BFLOAT16}


def find_prediction_output(servable: str | Path, task: Task, wanted: str = "") -> str:
    """The output that holds the scores: the wanted one, ours by the task, or the only one of numbers.

    Args:
        servable: Folder of the SavedModel.
        task: `binary`, `multiclass` or `regression`.
        wanted: Output that the user names; empty: it is found.

    Raises:
        ConfigError: It cannot be told, or is not there, or the signature takes no serialized examples.
        ServingError: The folder holds no SavedModel.
    """
    signature = _read_signature(Path(servable))
    _check_inputs(signature)
    outputs = {name: info for name, info in sorted(signature.outputs.items()) if info.dtype in _FLOATS}
    if wanted:
        if wanted not in outputs:
            raise ConfigError(f"prediction_output is {wanted!r}. {_describe_outputs(signature)}", _name_one(outputs))
        return wanted
    if score_output(task) in outputs:
        return score_output(task)
    if len(outputs) == 1:
        return next(iter(outputs))
    raise ConfigError(
        f"No output of the model is called {score_output(task)!r}. {_describe_outputs(signature)}", _name_one(outputs)
    )


def _read_signature(folder: Path) -> Any:
    try:
        model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    except (OSError, DecodeError) as error:
        raise ServingError(f"{folder} holds no SavedModel that can be read: {error}.") from error
    signatures = model.meta_graphs[0].signature_def if model.meta_graphs else {}
    if SERVING_DEFAULT not in signatures:
        found = ", ".join(sorted(name for name in signatures if not name.startswith("__"))) or "none"
        raise ConfigError(
            f"The model has no signature {SERVING_DEFAULT!r}; it has: {found}.",
            "Export it with a signature of that name that takes serialized tf.Examples.",
        )
    return signatures[SERVING_DEFAULT]


def _check_inputs(signature: Any) -> None:
    inputs = signature.inputs
    if len(inputs) == 1 and next(iter(inputs.values())).dtype == types_pb2.DT_STRING:
        return
    found = ", ".join(f"{name} ({_describe_tensor(info)})" for name, info in sorted(inputs.items()))
    raise ConfigError(
        f"The signature {SERVING_DEFAULT!r} takes {found}; here it gets serialized tf.Examples.",
        "Export it with one string input `examples` of shape [None], as TFX's own components ask for, or call "
        "`taxiway optimize` on the SavedModel.",
    )


def _describe_outputs(signature: Any) -> str:
    found = ", ".join(f"{name} ({_describe_tensor(info)})" for name, info in sorted(signature.outputs.items()))
    return f"The signature {SERVING_DEFAULT!r} has outputs {found}."


def _describe_tensor(info: Any) -> str:
    sizes = (
        "" if info.tensor_shape.unknown_rank else [dim.size if dim.size >= 0 else None for dim in info.tensor_shape.dim]
    )
    return f"{types_pb2.DataType.Name(info.dtype).removeprefix('DT_').lower()}{sizes}"


def _name_one(outputs: dict[str, Any]) -> str:
    if not outputs:
        return "None of them holds floating-point numbers: export the scores, too."
    return f"Pass prediction_output={' or '.join(repr(name) for name in outputs)}: the one with the scores."
