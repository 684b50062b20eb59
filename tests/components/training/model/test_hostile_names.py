"""Columns of any name pass Transform's function, the exported graph and both signatures; not finite is missing there.

One small graph for all names: TFT analyzes a few rows, a model with fresh weights is exported, both signatures answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from taxiway.components import contract
from taxiway.components.saved_models.input_names import make_input_name
from taxiway.components.training import ModelConfig, TrainingJob
from taxiway.components.training.data.features import read_transformed_features
from taxiway.components.training.model.build import build_model
from taxiway.components.training.model.export import save_servable
from taxiway.components.training.model.signatures import MISSING
from taxiway.components.transform.preprocessing import preprocessing_fn

LABEL = "taxiway_numeric"
OURS = ["numeric", "categories", "taxiway_missing", "taxiway__numeric"]
PYTHON = ["self", "args", "__init__", "class", "None"]
SIGNATURES = ["examples", "inputs", "probabilities", "classes", "b64"]
LIBRARIES = ["features", "labels", "Const", "const", "Identity", "tensor_unknown"]
WRITTEN_ODDLY = ["Fare", "fare", "Fare (USD)", "a/b", "/a", "a:0", "x.y", "größe", "日本", "город", "שלום", "👍🏽"]
WRITTEN_ODDLY += [
    "e\u0301",
    "\u00e9",
    "\u202egnp",
    "",
    " ",
    "$",
    "7",
    "{SPAN}",
    "[red]",
    'a"b',
    "new\nline",
    "\x1b[31m",
]
WRITTEN_ODDLY += ["new\nline", "back\\slash", "<b>x</b>", "x" * 250, "長" * 250, make_input_name("город")]
NAMES = sorted({*OURS, *SIGNATURES, *PYTHON, *LIBRARIES, *WRITTEN_ODDLY} - {LABEL})
DTYPES = (tf.float32, tf.string, tf.int64)
DTYPE = {name: DTYPES[i % len(DTYPES)] for i, name in enumerate(NAMES)}
Row = dict[str, Any]


def make_rows(count: int, seed: int = 5) -> list[Row]:
    """Rows of all columns; a tenth of the cells is empty."""
    random = np.random.default_rng(seed)
    makers = {
        tf.float32: lambda: float(np.float32(random.normal())),
        tf.string: lambda: str(random.choice(["a", "b"])),
        tf.int64: lambda: int(random.integers(9)),
    }
    return [{n: makers[DTYPE[n]]() for n in NAMES if random.random() > 0.1} for _ in range(count)]


@pytest.fixture(scope="module")
def transform_graph(tmp_path_factory: pytest.TempPathFactory) -> str:
    import tensorflow_transform.beam as tft_beam
    from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io, schema_utils

    spec = {name: tf.io.VarLenFeature(dtype) for name, dtype in DTYPE.items()}
    spec[LABEL] = tf.io.VarLenFeature(tf.int64)
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
    config = {"features": {}, "preprocessing": {"quantile_buckets": 4}, "label": LABEL, "task": "binary"}
    rows = [{n: [row[n]] if n in row else [] for n in NAMES} | {LABEL: [i % 2]} for i, row in enumerate(make_rows(20))]
    folder = tmp_path_factory.mktemp("graph")
    with tft_beam.Context(temp_dir=str(tmp_path_factory.mktemp("tft"))):
        transform_fn = (rows, metadata) | tft_beam.AnalyzeDataset(lambda inputs: preprocessing_fn(inputs, config))
        _ = transform_fn | tft_beam.WriteTransformFn(str(folder))
    metadata_io.write_metadata(metadata, str(folder / "metadata"))
    written = {feature.name: feature for feature in read_transformed_features(str(folder))}
    assert (written[LABEL].dtype, written[LABEL].shape) == ("int64", ()), "the label is nobody else's"
    assert len(written) == 5
    return str(folder)


@pytest.fixture(scope="module")
def exported(transform_graph: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    job = TrainingJob(
        transform_graph=transform_graph,
        train_files=(),
        eval_files=(),
        label=LABEL,
        task="binary",
        class_labels=("no", "yes"),
        model=ModelConfig(hidden_units=(4,), embedding_dim=2, activation="tanh"),
    )
    folder = tmp_path_factory.mktemp("export") / "model"
    model = build_model(job)
    for variable in model.weights:  # zeros would hide a column that is mixed up with another
        variable.assign(tf.random.stateless_normal(variable.shape, [1, 2], stddev=0.1))
    save_servable(model, job, str(folder))
    return folder


def inputs_of(folder: Path) -> dict[str, Mapping[str, Any]]:
    return json.loads((folder / contract.SIGNATURE_INPUTS_FILE).read_text(encoding="utf-8"))["inputs"]


def example(row: Row) -> bytes:
    made = tf.train.Example()
    for name, value in row.items():
        kind = {tf.float32: "float_list", tf.string: "bytes_list", tf.int64: "int64_list"}[DTYPE[name]]
        getattr(made.features.feature[name], kind).value.append(value.encode() if isinstance(value, str) else value)
    return made.SerializeToString()


Answers = Callable[[Sequence[Row]], tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def answers(exported: Path) -> Iterator[Answers]:
    """Probabilities by `serving_default` and by `serving_raw`, called as TensorFlow Serving calls them."""
    inputs = inputs_of(exported)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signatures = tf.compat.v1.saved_model.load(session, ["serve"], str(exported)).signature_def
        default, raw = signatures[contract.SERVING_DEFAULT], signatures[contract.SERVING_RAW]
        output = contract.PROBABILITIES

        def ask(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
            feed = {default.inputs[contract.EXAMPLES_INPUT].name: [example(row) for row in rows]}
            first = session.run(default.outputs[output].name, feed)
            feed = {
                info.name: [row.get(inputs[name]["column"], inputs[name]["default"]) for row in rows]
                for name, info in raw.inputs.items()
            }
            return first, session.run(raw.outputs[output].name, feed)

        yield ask


def test_every_column_has_an_input_of_its_own(exported: Path) -> None:
    columns = {name: entry["column"] for name, entry in inputs_of(exported).items()}
    assert sorted(columns.values()) == NAMES
    assert all(make_input_name(column) == name for name, column in columns.items())
    loaded = tf.saved_model.load(str(exported)).signatures[contract.SERVING_RAW]
    assert set(loaded.structured_input_signature[1]) == set(columns)


def test_both_signatures_answer_alike(answers: Answers) -> None:
    by_default, raw = answers(make_rows(12, seed=7))
    np.testing.assert_array_equal(by_default, raw)
    assert len(np.unique(raw)) == 12


def test_every_column_is_heard(answers: Answers) -> None:
    """An input that another column's tensor had taken would change nothing."""
    other = {tf.float32: 2.5, tf.string: "a", tf.int64: 8}
    whole = {n: {tf.float32: -1.0, tf.string: "b", tf.int64: 1}[DTYPE[n]] for n in NAMES}
    rows = [whole, *({**whole, name: other[DTYPE[name]]} for name in NAMES)]
    by_default, raw = answers(rows)
    np.testing.assert_array_equal(by_default, raw)
    deaf = [name for name, value in zip(NAMES, raw[1:, 0], strict=True) if value == raw[0, 0]]
    assert not deaf


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), np.float32("1e39"), MISSING["float32"]])
def test_not_finite_is_missing(answers: Answers, value: float) -> None:
    whole = make_rows(1, seed=9)[0]
    columns = [name for name in NAMES if DTYPE[name] == tf.float32]
    missing = {name: cell for name, cell in whole.items() if name not in columns}
    by_default, raw = answers([missing, missing | dict.fromkeys(columns, value)])
    assert raw[1] == raw[0]
    if value != MISSING["float32"]:  # in a `tf.Example` a missing value is no value
        assert by_default[1] == by_default[0] == raw[0]
