"""The built-in preprocessing through the real TFT on Beam, against numpy."""

import numpy as np
import pytest

FARES = [1.0, None, 3.0, 4.0, 10.0, None, 2.5, 7.0]
ODD = [1.0, float("inf"), 3.0, 4.0, 10.0, float("nan"), 2.5, 7.0]  # the same, as far as numbers are finite
SECONDS = [1_400_000_000 + i for i in range(8)]  # float32 cannot tell these apart
NAMES = ["a", "b", None, "a", "a", "c", "b", "a"]
ZIPS = [7, 7, 8, None, 7, 8, 9, 7]


@pytest.fixture(scope="module")
def transformed(tmp_path_factory):
    import tensorflow as tf
    import tensorflow_transform.beam as tft_beam
    from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

    from components.transform import preprocessing

    spec = {
        "Fare (USD)": tf.io.VarLenFeature(tf.float32),
        "Fare, not always finite": tf.io.VarLenFeature(tf.float32),
        "empty": tf.io.VarLenFeature(tf.float32),
        "seconds": tf.io.VarLenFeature(tf.int64),
        "größe": tf.io.VarLenFeature(tf.string),
        "zip": tf.io.VarLenFeature(tf.int64),
        "y": tf.io.VarLenFeature(tf.int64),
    }
    rows = [
        {
            "Fare (USD)": [] if fare is None else [fare],
            "Fare, not always finite": [ODD[i]],
            "empty": [],
            "seconds": [seconds],
            "größe": [] if name is None else [name],
            "zip": [] if code is None else [code],
            "y": [i % 2],
        }
        for i, (fare, seconds, name, code) in enumerate(zip(FARES, SECONDS, NAMES, ZIPS, strict=True))
    ]
    custom_config = {
        "features": {"categorical": ["zip"]},
        "preprocessing": {"quantile_buckets": 4, "vocabulary_min_frequency": 2, "oov_buckets": 3},
        "label": "y",
        "task": "binary",
    }
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
    with tft_beam.Context(temp_dir=str(tmp_path_factory.mktemp("tft"))):
        (data, _), _ = (rows, metadata) | tft_beam.AnalyzeAndTransformDataset(
            lambda inputs: preprocessing.preprocessing_fn(inputs, custom_config)
        )
    return {key: np.array([row[key] for row in data]) for key in data[0]}


def test_z_scores_are_those_of_the_present_values(transformed):
    present = np.array([v for v in FARES if v is not None])
    expected = [0 if v is None else (v - present.mean()) / present.std() for v in FARES]
    np.testing.assert_allclose(transformed["taxiway_numeric"][:, 0], expected, atol=1e-6)


def test_unix_times_keep_their_seconds(transformed):
    seconds = np.array(SECONDS, np.float64)
    np.testing.assert_allclose(
        transformed["taxiway_numeric"][:, 3], (seconds - seconds.mean()) / seconds.std(), atol=1e-5
    )


def test_missing_is_said_and_a_column_without_values_is_zero(transformed):
    np.testing.assert_array_equal(transformed["taxiway_missing"][:, 0], [v is None for v in FARES])
    np.testing.assert_array_equal(transformed["taxiway_missing"][:, 2], np.ones(8))
    np.testing.assert_array_equal(transformed["taxiway_numeric"][:, 2], np.zeros(8))


def test_buckets_grow_with_the_value_and_the_last_is_for_missing(transformed):
    buckets = transformed["taxiway_buckets"][:, 0]
    assert [b for b, v in zip(buckets, FARES, strict=True) if v is None] == [4, 4]
    present = sorted((v, b) for v, b in zip(FARES, buckets, strict=True) if v is not None)
    assert [b for _, b in present] == sorted(b for _, b in present)
    assert present[0][1] == 0
    assert present[-1][1] == 3
    assert set(transformed["taxiway_buckets"][:, 2]) == {2 * 5 + 4}  # every column has five ids of its own


def test_numbers_that_are_not_finite_are_missing(transformed):
    for name, offset in (("taxiway_numeric", 0), ("taxiway_missing", 0), ("taxiway_buckets", 5)):
        np.testing.assert_array_equal(transformed[name][:, 1], transformed[name][:, 0] + offset)


def test_words_seen_often_enough_tell_values_apart_and_columns_never_share_an_id(transformed):
    names, zips = transformed["taxiway_categories"].T
    often = [(name, int(i)) for name, i in zip(NAMES, names, strict=True) if name in ("a", "b")]
    assert len(set(often)) == 2
    assert len({i for _, i in often}) == 2
    assert not set(names) & set(zips)
    assert all(i >= 2 * 3 for _, i in often)  # behind both columns' OOV buckets
    assert len({int(i) for code, i in zip(ZIPS, zips, strict=True) if code in (7, 8)}) == 2


def test_rare_values_fall_into_their_own_column_s_hash_buckets(transformed):
    names, zips = transformed["taxiway_categories"].T
    assert all(0 <= names[row] < 3 for row in (2, 5))  # missing once, "c" once
    assert all(3 <= zips[row] < 6 for row in (3, 6))


def test_the_label_passes_through(transformed):
    assert transformed["y"].dtype == np.int64
    np.testing.assert_array_equal(transformed["y"], [i % 2 for i in range(8)])


@pytest.mark.parametrize("label", ["y", "numeric", "taxiway_numeric", "TAXIWAY_", "taxiway__missing", "taxiway_____"])
def test_no_label_is_one_of_our_features(label):
    from components.transform.preprocessing import own_prefix

    assert own_prefix(label).startswith("taxiway_")
    assert not label.lower().startswith(own_prefix(label))
