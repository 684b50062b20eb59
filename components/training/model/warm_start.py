"""Copies the weights of an earlier model into a new one, where names and shapes agree."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import tensorflow as tf

from taxiway.components.contract import training_dir
from taxiway.components.errors import ConfigError
from taxiway.components.saved_models import manifest
from taxiway.components.training.job import WEIGHTS_FILE

_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_CHECKPOINT = re.compile(r"step-\d{9}")


def warm_start_model(model: Any, source: str) -> int:
    """Copies what fits into `model`.

    Args:
        model: A plain Keras model.
        source: A `Model` artifact's folder, a SavedModel that Taxiway exported, a pushed version, or a folder of
            checkpoints.

    Returns:
        How many variables were copied.

    Raises:
        ConfigError: the source holds no weights, or none that fit.
    """
    before = [v.numpy() for v in model.weights]
    _copy_weights(model, Path(source))
    copied = sum(bool((a != b.numpy()).any()) for a, b in zip(before, model.weights, strict=True))
    if not copied:
        raise ConfigError(
            f"Nothing in {source!r} fits the model that training.warm_start asks to begin with.",
            "Name a model trained with the same features and hidden_units, or set training.warm_start: none.",
        )
    return copied


def _copy_weights(model: Any, source: Path) -> None:
    artifacts = [source, source.parent, *_find_model_of_version(source)]
    for folder in (Path(training_dir(str(artifact))) for artifact in artifacts):
        if (folder / WEIGHTS_FILE).exists():
            model.load_weights(str(folder / WEIGHTS_FILE), by_name=True, skip_mismatch=True)
            return
    if (source / "saved_model.pb").exists():
        _copy_from_saved_model(model, source)
        return
    _copy_from_checkpoint(model, source)


def _find_model_of_version(servable: Path) -> list[Path]:
    """The `Model` artifact that a pushed version came from: what is served may hold no variables any more."""
    uri = manifest.read_provenance(servable).get("model_artifact", {}).get("uri", "")
    return [Path(uri)] if uri else []


def _copy_from_saved_model(model: Any, source: Path) -> None:
    """Reads the variables' file alone: loading the SavedModel would run whatever program it is."""
    values = _read_variables(source / "variables" / "variables") if (source / "variables").is_dir() else {}
    for variable in model.weights:
        value = values.get(variable.name)
        if value is not None and value.shape == tuple(variable.shape):
            variable.assign(value)


def _read_variables(prefix: Path) -> dict[str, Any]:
    """The variables of a checkpoint by name, such as `dense/kernel:0`; a frozen variant holds none."""
    from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

    try:
        reader = tf.train.load_checkpoint(str(prefix))
    except (tf.errors.OpError, ValueError, RuntimeError):
        return {}
    if not reader.has_tensor(_OBJECT_GRAPH):
        return {}
    graph = TrackableObjectGraph.FromString(reader.get_tensor(_OBJECT_GRAPH))
    held = [attribute for node in graph.nodes for attribute in node.attributes if attribute.full_name]
    return {
        f"{a.full_name}:0": reader.get_tensor(a.checkpoint_key) for a in held if reader.has_tensor(a.checkpoint_key)
    }


def _copy_from_checkpoint(model: Any, source: Path) -> None:
    folders = [source, *sorted((p for p in source.glob("step-*") if _CHECKPOINT.fullmatch(p.name)), reverse=True)]
    checkpoint = next((f for f in folders if (f / "variables.index").exists()), None)
    if checkpoint is None:
        raise ConfigError(
            f"{str(source)!r} holds no weights to start from.",
            "training.warm_start_from names a Model artifact's folder, a SavedModel or a folder of checkpoints.",
        )
    try:
        tf.train.Checkpoint(model=model).read(str(checkpoint / "variables")).expect_partial()
    except ValueError as error:
        raise ConfigError(
            f"The checkpoint {str(checkpoint)!r} does not fit the model: {error}",
            "Use the same features and hidden_units.",
        ) from error
