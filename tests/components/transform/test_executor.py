"""Our executor against TFX's on the same examples: the same graph, vocabulary, types and transformed rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components.transform.executor import Executor as TfxExecutor
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts
from tfx.types import standard_component_specs as keys

from taxiway.components.beam.options import BEAM_OPTIONS
from taxiway.components.errors import DataError
from taxiway.components.tables.examples import judged_rows
from taxiway.components.transform.config import FeaturesConfig, PreprocessingConfig
from taxiway.components.transform.executor import Executor
from taxiway.components.transform.raw_batches import read_raw_batches

SCHEMA = """
feature { name: "fare" type: FLOAT presence { min_count: 1 } }
feature { name: "never" type: FLOAT presence { min_count: 0 } }
feature { name: "seen_late" type: INT presence { min_count: 0 } }
feature { name: "town" type: BYTES presence { min_count: 1 } }
feature { name: "y" type: INT presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } } }
"""


def write_file(path: Path, rows: int, seed: int) -> None:
    """Rows with missing numbers and words; one column is missing in the first half, one in all of them."""
    chance = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path), "GZIP") as out:
        for number in range(rows):
            row = tf.train.Example()
            feature = row.features.feature
            feature["y"].int64_list.value.append(int(chance.integers(0, 2)))
            if chance.random() < 0.9:
                feature["fare"].float_list.value.append(float(chance.normal(10, 5)))
            if number >= rows // 2:
                feature["seen_late"].int64_list.value.append(int(chance.integers(0, 9)))
            if chance.random() < 0.9:
                feature["town"].bytes_list.value.append(f"town-{chance.geometric(0.2)}".encode())
            out.write(row.SerializeToString())


def make_artifact(kind, folder: Path, split_names: str = ""):
    folder.mkdir(parents=True, exist_ok=True)
    artifact = kind()
    artifact.uri = str(folder)
    if split_names:
        artifact.split_names = split_names
    return artifact


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """Transform graph and transformed examples, ours first."""
    folder = tmp_path_factory.mktemp("transform")
    for split, file, rows in (("train", 0, 300), ("train", 1, 250), ("eval", 0, 120)):
        write_file(folder / "raw" / f"Split-{split}" / f"data-{file}.gz", rows, seed=rows)
    schema = make_artifact(standard_artifacts.Schema, folder / "schema")
    (folder / "schema" / "schema.pbtxt").write_text(SCHEMA)
    inputs = {
        keys.EXAMPLES_KEY: [make_artifact(standard_artifacts.Examples, folder / "raw", '["train", "eval"]')],
        keys.SCHEMA_KEY: [schema],
    }
    custom_config = {
        "features": FeaturesConfig().model_dump(),
        "preprocessing": PreprocessingConfig(numbers="z_scores").model_dump(),
        "label": "y",
        "task": "binary",
        "built_in": True,
        "schema_categorical": [],
    }
    properties = {
        keys.PREPROCESSING_FN_KEY: PreprocessingConfig().function,
        keys.CUSTOM_CONFIG_KEY: json.dumps(custom_config),
        keys.DISABLE_STATISTICS_KEY: 1,
    }
    made = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judged_rows, "BATCH_ROWS", 100)  # several batches a file
        for name, executor in (("ours", Executor), ("stock", TfxExecutor)):
            outputs = {
                keys.TRANSFORM_GRAPH_KEY: [make_artifact(standard_artifacts.TransformGraph, folder / name / "graph")],
                keys.TRANSFORMED_EXAMPLES_KEY: [make_artifact(standard_artifacts.Examples, folder / name / "rows")],
            }
            context = BaseBeamExecutor.Context(
                beam_pipeline_args=[*BEAM_OPTIONS], tmp_dir=str(folder / "tmp"), unique_id=name
            )
            executor(context).Do(inputs, outputs, properties)
            assert set(json.loads(outputs[keys.TRANSFORMED_EXAMPLES_KEY][0].split_names)) == {"train", "eval"}
            made.append(folder / name)
    return made


def read_rows(files: list[Path]) -> list[tf.train.Example]:
    records = tf.data.TFRecordDataset([str(file) for file in files], "GZIP").as_numpy_iterator()
    return [tf.train.Example.FromString(record) for record in records]


@pytest.mark.parametrize("split", ["train", "eval"])
def test_the_same_transformed_rows(sides, split):
    """To the last bit; the order is that of the raw rows, where TFX's changes from run to run."""
    ours, stock = (read_rows(sorted((side / "rows" / f"Split-{split}").iterdir())) for side in sides)
    assert len(ours) == {"train": 550, "eval": 120}[split]
    assert sorted(map(text_format.MessageToString, ours)) == sorted(map(text_format.MessageToString, stock))


def test_a_file_for_each_file_in_its_order(sides):
    files = sorted((sides[0] / "rows" / "Split-train").iterdir())
    assert [file.name for file in files] == [f"transformed_examples-0000{i}-of-00002.gz" for i in range(2)]
    labels = [
        [row.features.feature["y"].int64_list.value[0] for row in read_rows([file])]
        for file in (*files, *(sides[0].parent / "raw" / "Split-train" / f"data-{i}.gz" for i in range(2)))
    ]
    assert labels[:2] == labels[2:]


def test_the_same_graph_and_vocabulary(sides):
    ours, stock = (tft.TFTransformOutput(str(side / "graph")) for side in sides)
    assert ours.vocabulary_by_name("categories") == stock.vocabulary_by_name("categories")
    assert ours.transformed_metadata.schema == stock.transformed_metadata.schema
    assert ours.raw_metadata.schema == stock.raw_metadata.schema
    names = ({p.relative_to(side / "graph").as_posix() for p in (side / "graph").rglob("*")} for side in sides)
    ours_names, stock_names = names
    assert ours_names - {"columns.json"} == {name for name in stock_names if not name.startswith(".temp")}


def test_values_of_another_type_are_refused(tmp_path):
    write_file(tmp_path / "Split-train" / "data.gz", 10, seed=1)
    wanted = pa.schema([("town", pa.large_list(pa.int64()))])
    with pytest.raises(
        DataError, match=r"column 'town' of .* has values of the type large_binary, the schema says int64"
    ):
        list(read_raw_batches(str(tmp_path / "Split-train" / "data.gz"), wanted))


def test_the_schema_of_the_test_is_one():
    assert len(text_format.Parse(SCHEMA, schema_pb2.Schema()).feature) == 5
