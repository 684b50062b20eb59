"""Labels that a transform graph makes, as in TFX's taxi template, beside a raw column that looks like one."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io, schema_utils

from taxiway.components.errors import DataError
from taxiway.components.optimizer.measurement.label_values import find_labels

ROWS = [{"fare": float(fare), "tips": tips} for fare, tips in ((10, 3.0), (20, 1.0), (5, 2.5), (8, 0.0))]
MADE = [1.0, 0.0, 1.0, 0.0]


def preprocess(inputs):
    return {
        "fare_xf": tft.scale_to_z_score(inputs["fare"]),
        "tips_xf": tf.cast(inputs["tips"] > 0.2 * inputs["fare"], tf.int64),
    }


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("graph"))
    spec = {name: tf.io.FixedLenFeature([], tf.float32) for name in ("fare", "tips")}
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
    with tft_beam.Context(temp_dir=folder + "-temp"):
        (_, transform) = (ROWS, metadata) | tft_beam.AnalyzeAndTransformDataset(preprocess)
        transform | tft_beam.WriteTransformFn(folder)
    metadata_io.write_metadata(metadata, f"{folder}/metadata")  # of the raw rows, as TFX's Transform writes it
    return folder


@pytest.fixture(scope="module")
def rows():
    features = [
        {name: tf.train.Feature(float_list=tf.train.FloatList(value=[value])) for name, value in row.items()}
        for row in ROWS
    ]
    examples = [tf.train.Example(features=tf.train.Features(feature=each)) for each in features]
    return np.array([each.SerializeToString() for each in examples], object)


def test_a_label_of_the_transforms_making_is_found(rows, graph):
    assert find_labels(rows, None, "tips_xf", "binary", graph).tolist() == MADE


def test_the_raw_column_of_its_name_is_refused_and_the_right_one_named(rows, graph):
    with pytest.raises(DataError, match=r"'tips' of the examples is 3\.0 in a row, and not 0 or 1") as caught:
        find_labels(rows, [row["tips"] for row in ROWS], "tips", "binary", graph)
    assert "It makes: tips_xf, fare_xf." in caught.value.remedy


def test_a_raw_label_needs_no_graph(rows):
    assert find_labels(rows, [0, 1, 2, 2], "species", "multiclass", "").tolist() == [0, 1, 2, 2]
    assert find_labels(rows, [0.5, 1, 2, 2], "price", "regression", "").tolist() == [0.5, 1, 2, 2]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ([b"Adelie", b"Gentoo", b"Gentoo", b"Gentoo"], "is 'Adelie' in a row, and not an index of a class"),
        ([0, 1.5, 2, 2], r"is 1\.5 in a row"),
        ([0, None, 2, 2], "1 of 4 evaluation rows have no label"),
        (None, "Neither the examples nor the transform graph have a column 'species'"),
    ],
)
def test_what_is_no_label_is_refused(rows, raw, message):
    with pytest.raises(DataError, match=message):
        find_labels(rows, raw, "species", "multiclass", "")
