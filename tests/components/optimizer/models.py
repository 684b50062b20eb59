"""A small servable of the contract's shape, made without TFX: parse, look up, normalize, embed, two dense layers.

Run as a module it writes everything that the optimizer reads into a folder:

    python -m tests.components.optimizer.models FOLDER
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

ROWS = {"train": 4000, "eval": 2000}
COMPANIES = ("ace", "blue", "city", "dove")
SCHEMA = """
feature { name: "label" type: INT value_count { min: 1 max: 1 } presence { min_fraction: 1.0 } }
feature { name: "company" type: BYTES presence { min_fraction: 1.0 } }
feature { name: "hour" type: INT presence { min_fraction: 1.0 } }
feature { name: "miles" type: FLOAT presence { min_count: 1 } }
"""


def make(folder: str, width: int = 96) -> None:
    """Writes `examples/`, `schema/` and `model/Format-Serving/`."""
    root = Path(folder)
    (root / "schema").mkdir(parents=True)
    (root / "schema" / "schema.pbtxt").write_text(SCHEMA)
    for split, count in ROWS.items():
        write_examples(root / "examples" / f"Split-{split}", rows(count, seed=len(split)))
    servable = Servable(fit(rows(ROWS["train"], seed=5), width))
    save(servable, str(root / "model" / "Format-Serving"))


def rows(count: int, seed: int) -> dict[str, Any]:
    """Columns; every seventh row has no `miles`."""
    random = np.random.default_rng(seed)
    miles = random.gamma(2.0, 2.0, count).astype(np.float32)
    hour = random.integers(0, 24, count)
    company = random.integers(0, len(COMPANIES), count)
    logit = 0.6 * (miles - 4) + np.sin(hour / 24 * 6.28) + 0.5 * (company - 1.5)
    label = (random.random(count) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    known = np.arange(count) % 7 != 0
    return {"label": label, "company": company, "hour": hour, "miles": miles, "known": known}


def write_examples(folder: Path, table: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(folder / "data-00000-of-00001.gz"), "GZIP") as out:
        for i in range(len(table["label"])):
            out.write(serialized(table, i))


def serialized(table: dict[str, Any], i: int) -> bytes:
    feature = {
        "label": _ints(int(table["label"][i])),
        "company": tf.train.Feature(bytes_list=tf.train.BytesList(value=[COMPANIES[table["company"][i]].encode()])),
        "hour": _ints(int(table["hour"][i])),
    }
    if table["known"][i]:
        feature["miles"] = tf.train.Feature(float_list=tf.train.FloatList(value=[float(table["miles"][i])]))
    return bytes(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())


def _ints(value: int) -> Any:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def features(table: dict[str, Any]) -> Any:
    """`[rows, 29]`: normalized miles, the hour and the company one-hot."""
    miles = np.where(table["known"], (table["miles"] - 4) / 3, 0)[:, None]
    return np.hstack([miles, np.eye(24)[table["hour"]], np.eye(4)[table["company"]]]).astype(np.float32)


def fit(table: dict[str, Any], width: int) -> list[Any]:
    """Three kernels and biases, trained by a few hundred plain gradient steps of Adam in numpy."""
    random = np.random.default_rng(0)
    x, y = features(table), table["label"][:, None]
    sizes = [x.shape[1], width, width, 1]
    params = [p for i, o in itertools.pairwise(sizes) for p in (random.normal(0, (2 / i) ** 0.5, (i, o)), np.zeros(o))]
    moments = [(np.zeros_like(p), np.zeros_like(p)) for p in params]
    for step in range(1, 301):
        for p, g, (m, v) in zip(params, _gradients(params, x, y), moments, strict=True):
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            p -= 0.003 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    return [p.astype(np.float32) for p in params]


def _gradients(params: list[Any], x: Any, y: Any) -> list[Any]:
    w1, b1, w2, b2, w3, b3 = params
    h1 = np.maximum(x @ w1 + b1, 0)
    h2 = np.maximum(h1 @ w2 + b2, 0)
    d3 = (1 / (1 + np.exp(-(h2 @ w3 + b3))) - y) / len(x)
    d2 = (d3 @ w3.T) * (h2 > 0)
    d1 = (d2 @ w2.T) * (h1 > 0)
    return [x.T @ d1, d1.sum(0), h1.T @ d2, d2.sum(0), h2.T @ d3, d3.sum(0)]


class Servable(tf.Module):
    """Raw rows to probabilities."""

    def __init__(self, params: list[Any]) -> None:
        super().__init__()
        self.params = [tf.Variable(p, name=f"param_{i}") for i, p in enumerate(params)]
        vocabulary = Path(__file__).with_name("companies.txt")
        self.vocabulary = tf.saved_model.Asset(str(vocabulary))
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                self.vocabulary,
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            ),
            -1,
        )

    def score(self, company: Any, hour: Any, miles: Any) -> dict[str, Any]:
        miles = tf.where(tf.math.is_nan(miles), tf.zeros_like(miles), (miles - 4) / 3)
        x = tf.concat([miles[:, None], tf.one_hot(hour, 24), tf.one_hot(self.table.lookup(company), 4)], 1)
        w1, b1, w2, b2, w3, b3 = self.params
        x = tf.nn.relu(tf.matmul(x, w1) + b1)
        x = tf.nn.relu(tf.matmul(x, w2) + b2)
        return {"probabilities": tf.sigmoid(tf.matmul(x, w3) + b3)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")], autograph=False)
    def serve(self, examples: Any) -> dict[str, Any]:
        spec = {
            "company": tf.io.FixedLenFeature([], tf.string),
            "hour": tf.io.FixedLenFeature([], tf.int64),
            "miles": tf.io.FixedLenFeature([], tf.float32, default_value=float("nan")),
        }
        return self.score(**tf.io.parse_example(examples, spec))

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="company"),
            tf.TensorSpec([None], tf.int64, name="hour"),
            tf.TensorSpec([None], tf.float32, name="miles"),
        ],
        autograph=False,
    )
    def serve_raw(self, company: Any, hour: Any, miles: Any) -> dict[str, Any]:
        return self.score(company, hour, miles)


def save(servable: Servable, folder: str) -> None:
    tf.saved_model.save(
        servable, folder, signatures={"serving_default": servable.serve, "serving_raw": servable.serve_raw}
    )
    extra = Path(folder, "assets.extra")
    extra.mkdir()
    (extra / "signature_inputs.json").write_text("{}")


def read_examples(folder: Path) -> list[bytes]:
    return [r.numpy() for f in folder.glob("*.gz") for r in tf.data.TFRecordDataset(str(f), "GZIP")]


if __name__ == "__main__":
    make(sys.argv[1])
