"""Small SavedModels of the contract: the signatures, outputs and files of a trained model, made in milliseconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from taxiway.components.contract import PREDICTED_LABEL, PROBABILITIES, SIGNATURE_INPUTS_FILE

COMPANIES = ("Blue", "Yellow", "Größe")
RAW_INPUTS = {
    "fare_usd": {"column": "Fare (USD)", "dtype": "float32", "default": 0.0},
    "company": {"column": "company", "dtype": "string", "default": ""},
    "seats": {"column": "seats", "dtype": "int64", "default": -1},
}
_FEATURES = {
    "Fare (USD)": tf.io.FixedLenFeature([1], tf.float32, default_value=[0.0]),
    "company": tf.io.FixedLenFeature([1], tf.string, default_value=[""]),
    "seats": tf.io.FixedLenFeature([1], tf.int64, default_value=[-1]),
}


class TaxiModel(tf.Module):
    """probability = sigmoid(w * fare + bias[company] + seats / 10), with a vocabulary file as an asset."""

    def __init__(self, vocabulary: str, weight: float, offset: float, jit: bool) -> None:
        super().__init__()
        self.weight = tf.Variable([[weight]], dtype=tf.float32)
        self.bias = tf.Variable([0.5, -0.5, 1.0, 0.0], dtype=tf.float32)
        self.offset = offset
        self.asset = tf.saved_model.Asset(vocabulary)
        initializer = tf.lookup.TextFileInitializer(
            self.asset, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        self.table = tf.lookup.StaticHashTable(initializer, len(COMPANIES))
        self._head = tf.function(self._plain_head, jit_compile=jit)

    def _plain_head(self, fare: tf.Tensor, bias: tf.Tensor, seats: tf.Tensor) -> tf.Tensor:
        return tf.sigmoid(fare[:, None] @ self.weight + bias[:, None] + seats[:, None] / 10.0) + self.offset

    def score(self, fare: tf.Tensor, company: tf.Tensor, seats: tf.Tensor) -> dict[str, tf.Tensor]:
        bias = tf.gather(self.bias, self.table.lookup(company))
        probabilities = self._head(fare, bias, tf.cast(seats, tf.float32))
        return {PROBABILITIES: probabilities, PREDICTED_LABEL: tf.where(probabilities[:, 0] > 0.5, "yes", "no")}

    def serve_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(examples, _FEATURES)
        return self.score(parsed["Fare (USD)"][:, 0], parsed["company"][:, 0], parsed["seats"][:, 0])

    def serve_raw(self, fare_usd: tf.Tensor, company: tf.Tensor, seats: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.score(fare_usd, company, seats)


def write_model(
    folder: Path, *, weight: float = 0.25, offset: float = 0.0, jit: bool = False, raw: bool = True
) -> Path:
    """Writes a model and returns its folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    vocabulary = folder.parent / f"{folder.name}.vocabulary.txt"
    vocabulary.write_text("\n".join(COMPANIES) + "\n", encoding="utf-8")
    model = TaxiModel(str(vocabulary), weight, offset, jit)
    signatures = {"serving_default": _signature(model.serve_examples, examples=tf.string)}
    if raw:
        dtypes = {name: tf.dtypes.as_dtype(entry["dtype"]) for name, entry in RAW_INPUTS.items()}
        signatures["serving_raw"] = _signature(model.serve_raw, **dtypes)
    tf.saved_model.save(model, str(folder), signatures=signatures)
    if raw:
        path = folder / SIGNATURE_INPUTS_FILE
        path.parent.mkdir()
        path.write_text(json.dumps({"version": 1, "inputs": RAW_INPUTS}), encoding="utf-8")
    return folder


def _signature(function: Any, **dtypes: tf.DType) -> Any:
    specs = {name: tf.TensorSpec([None], dtype, name) for name, dtype in dtypes.items()}
    return tf.function(function).get_concrete_function(**specs)


def rows(count: int, seed: int = 7) -> list[dict[str, Any]]:
    """Raw rows with a label, some values missing."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        row: dict[str, Any] = {"Fare (USD)": float(random.normal(0, 4)), "tip": int(random.integers(2))}
        if random.random() > 0.2:
            row["company"] = str(random.choice(COMPANIES))
        if random.random() > 0.1:
            row["seats"] = int(random.integers(1, 7))
        made.append(row)
    return made


def example(row: dict[str, Any]) -> tf.train.Example:
    """A row as a raw example."""
    features = tf.train.Features()
    for name, value in row.items():
        feature = features.feature[name]
        if isinstance(value, float):
            feature.float_list.value.append(value)
        elif isinstance(value, int):
            feature.int64_list.value.append(value)
        else:
            feature.bytes_list.value.append(value.encode())
    return tf.train.Example(features=features)


def write_examples(path: Path, made: list[dict[str, Any]]) -> Path:
    """Writes rows as a gzip-compressed TFRecord file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type="GZIP")) as out:
        for row in made:
            out.write(example(row).SerializeToString())
    return path


def probability(row: dict[str, Any], weight: float = 0.25) -> float:
    """What the model should answer, computed without TensorFlow."""
    bias = dict(zip(COMPANIES, (0.5, -0.5, 1.0), strict=True)).get(row.get("company", ""), 0.0)
    return float(1 / (1 + np.exp(-(weight * row["Fare (USD)"] + bias + row.get("seats", -1) / 10))))
