"""`kind: tabular`: three views of each number, words, and an ensemble of dense layers that share one product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tf_keras

from taxiway.components.contract import Task
from taxiway.components.training.config import ModelConfig
from taxiway.components.training.data.features import TransformedFeature
from taxiway.components.training.job import LabelScale
from taxiway.components.training.model.layers import Affine, Clip, Dropout, OffsetEmbedding
from taxiway.components.training.model.tabular.columns import BuiltInColumns, Words
from taxiway.components.training.model.tabular.layers import (
    InputScale,
    MeanOfMembers,
    MemberLogits,
    Members,
    MembersInto,
    Mish,
    OneHotWords,
    Piecewise,
    WordEmbedding,
)


def build_tabular_model(
    config: ModelConfig,
    features: list[TransformedFeature],
    columns: BuiltInColumns,
    task: Task,
    units: int,
    label_scale: LabelScale | None = None,
) -> tf_keras.Model:
    """The model. In training it gives each member's logits, `[batch, members, units]`; else `[batch, units]`."""
    inputs = {f.name: tf_keras.Input(f.shape, name=f.name, dtype=f.dtype) for f in features}
    flat = {f.name: _flatten_feature(inputs[f.name], f) for f in features}
    parts = [
        *_encode_numbers(config, features, columns, flat),
        *_encode_words(config, columns.words, flat),
        *_encode_other_ids(config, features, columns.words, flat),
    ]
    joined = parts[0] if len(parts) == 1 else tf_keras.layers.Concatenate(name="features")(parts)
    hidden = _build_hidden_layers(config, InputScale(name="input_scale")(joined))
    # Logits stay float32 in mixed precision: a loss needs their small differences.
    logits = MemberLogits(units, name="logits", dtype="float32")(hidden)
    if label_scale:
        logits = Affine(label_scale.mean, label_scale.scale, name="label_unit", dtype="float32")(logits)
    return tf_keras.Model(inputs, MeanOfMembers(task, name="members_mean", dtype="float32")(logits), name="taxiway")


def _flatten_feature(tensor: Any, feature: TransformedFeature) -> Any:
    return tensor if len(feature.shape) == 1 else tf_keras.layers.Reshape([feature.size])(tensor)


def _encode_numbers(
    config: ModelConfig, features: Sequence[TransformedFeature], columns: BuiltInColumns, flat: dict[str, Any]
) -> list[Any]:
    """The views of the numbers, and a user's own floats within the limit."""
    views = {view: flat[name] for view, name in columns.views.items()}
    others = [flat[f.name] for f in features if f.dtype == "float32" and f.name not in columns.views.values()]
    parts = [views[view] for view in ("rank", "robust", "missing") if view in views]
    if "position" in views:
        piecewise = Piecewise(columns.bins, config.piecewise_dim, name="piecewise")
        parts.append(piecewise([views["position"], views["missing"]]))
    if others:
        joined = others[0] if len(others) == 1 else tf_keras.layers.Concatenate(name="numbers")(others)
        parts.append(Clip(config.numeric_limit, name="clip")(joined))
    return parts


def _encode_words(config: ModelConfig, words: Words | None, flat: dict[str, Any]) -> list[Any]:
    """Few words one-hot, many embedded."""
    if words is None:
        return []
    ids, counts = flat[words.feature], words.count_words()
    positions = range(ids.shape[1])
    few = [column for column in positions if counts[column] <= config.one_hot_limit]
    many = [column for column in positions if counts[column] > config.one_hot_limit]
    parts = []
    if few:
        size = max(max(counts[column] for column in few), 1)
        parts.append(OneHotWords(few, words.list_places(), size, name="one_hot")(ids))
    if many:
        rows = words.unseen + len(words.columns)
        parts.append(WordEmbedding(many, rows, config.embedding_dim, words.unseen, name="embedding")(ids))
    return parts


def _encode_other_ids(
    config: ModelConfig, features: Sequence[TransformedFeature], words: Words | None, flat: dict[str, Any]
) -> list[Any]:
    """The categorical features of a user's own preprocessing: a table for each feature, all of them in one."""
    others = [f for f in features if f.rows and (words is None or f.name != words.feature)]
    if not others:
        return []
    joined = [flat[f.name] for f in others]
    ids = joined[0] if len(joined) == 1 else tf_keras.layers.Concatenate(name="ids")(joined)
    rows, sizes = [f.rows for f in others], [f.size for f in others]
    return [OffsetEmbedding(rows, config.embedding_dim, sizes, name="other_embedding")(ids)]


def _build_hidden_layers(config: ModelConfig, hidden: Any) -> Any:
    """Dense layers whose kernels all members share; from the first one's output on, each has its own numbers."""
    penalty = tf_keras.regularizers.L2(config.l2) if config.l2 else None
    if not config.hidden_units:
        return Members(config.members, begins=True, name="members_0")(hidden)
    for i, size in enumerate(config.hidden_units):
        if i:
            hidden = MembersInto(name=f"members_into_{i}")(hidden)
        dense = tf_keras.layers.Dense(size, use_bias=False, kernel_regularizer=penalty, name=f"hidden_{i}")
        hidden = Members(config.members, begins=i == 0, name=f"members_{i}")(dense(hidden))
        hidden = _build_activation(config.activation, f"activation_{i}")(hidden)
        if config.dropout:
            hidden = Dropout(config.dropout, salt=i, name=f"dropout_{i}")(hidden)
    return hidden


def _build_activation(activation: str, name: str) -> Any:
    return Mish(name=name) if activation == "mish" else tf_keras.layers.Activation(activation, name=name)
