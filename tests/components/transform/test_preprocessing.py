"""The built-in preprocessing through the real TFT on Beam, against numpy."""

import datetime

import numpy as np
import pytest

FARES = [1.0, None, 3.0, 4.0, 10.0, None, 2.5, 7.0]
ODD = [1.0, float("inf"), 3.0, 4.0, 10.0, float("nan"), 2.5, 7.0]  # the same, as far as numbers are finite
SECONDS = [1_400_000_000 + i for i in range(8)]  # float32 cannot tell these apart
NAMES = ["a", "b", None, "a", "a", "c", "b", "a"]
ZIPS = [7, 7, 8, None, 7, 8, 9, 7]
TIMES = [0, None, 86_400 * 365, 1_400_000_000, -1, 3600, 7200, 86_399]
STREETS = ["High St", None, "High St", "Low Rd", "x", "y", "z", "High St"]
NOTES = ["Good, very good!", None, "good very", "bad", "", "so-so", "VERY GOOD", "bad"]


@pytest.fixture(scope="module")
def analyzed(tmp_path_factory):
    """The transformed rows, the schema that TFT wrote for them, the graph as a server calls it, and the raw rows."""
    import tensorflow as tf
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

    from taxiway.components.transform import preprocessing

    spec = {
        "Fare (USD)": tf.io.VarLenFeature(tf.float32),
        "Fare, not always finite": tf.io.VarLenFeature(tf.float32),
        "empty": tf.io.VarLenFeature(tf.float32),
        "seconds": tf.io.VarLenFeature(tf.int64),
        "größe": tf.io.VarLenFeature(tf.string),
        "zip": tf.io.VarLenFeature(tf.int64),
        "when": tf.io.VarLenFeature(tf.int64),
        "street": tf.io.VarLenFeature(tf.string),
        "note": tf.io.VarLenFeature(tf.string),
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
            "when": [] if TIMES[i] is None else [TIMES[i]],
            "street": [] if STREETS[i] is None else [STREETS[i]],
            "note": [] if NOTES[i] is None else [NOTES[i]],
            "y": [i % 2],
        }
        for i, (fare, seconds, name, code) in enumerate(zip(FARES, SECONDS, NAMES, ZIPS, strict=True))
    ]
    custom_config = {
        "features": {
            "categorical": ["zip"],
            "calendar": {"when": ["weekday", "hour"]},
            "hashed": ["street"],
            "text": ["note"],
        },
        "preprocessing": {
            "hash_buckets": 1000,
            "text_buckets": 64,
            "quantile_buckets": 4,
            "vocabulary_min_frequency": 2,
            "oov_buckets": 3,
        },
        "label": "y",
        "task": "binary",
    }
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
    folder = tmp_path_factory.mktemp("graph")
    with tft_beam.Context(temp_dir=str(tmp_path_factory.mktemp("tft"))):
        (data, _), transform_fn = (rows, metadata) | tft_beam.AnalyzeAndTransformDataset(
            lambda inputs: {**preprocessing.preprocessing_fn(inputs, custom_config), "of_tft": scale_by_tft(inputs)}
        )
        _ = transform_fn | tft_beam.WriteTransformFn(str(folder))
    output = tft.TFTransformOutput(str(folder))
    transformed = {key: np.array([row[key] for row in data]) for key in data[0]}
    return transformed, output.transformed_metadata.schema, output.transform_features_layer(), rows


def scale_by_tft(inputs):
    """The z-scores of TFT's own function."""
    import tensorflow as tf
    import tensorflow_transform as tft

    from taxiway.components.transform import preprocessing

    columns = ("Fare (USD)", "Fare, not always finite", "empty", "seconds")
    values = preprocessing._convert_to_floats([inputs[name] for name in columns], axis=1)
    present = tf.where(tf.math.is_finite(values))
    shape = tf.shape(values, out_type=tf.int64)
    sparse = tf.SparseTensor(present, tf.gather_nd(values, present), shape)
    scaled = tft.scale_to_z_score(sparse, elementwise=True)
    dense = tf.cast(tf.scatter_nd(scaled.indices, scaled.values, shape), tf.float32)
    dense.set_shape([None, len(columns)])
    return dense


@pytest.fixture(scope="module")
def transformed(analyzed):
    return analyzed[0]


def test_z_scores_are_those_of_the_present_values(transformed):
    present = np.array([v for v in FARES if v is not None])
    expected = [0 if v is None else (v - present.mean()) / present.std() for v in FARES]
    np.testing.assert_allclose(transformed["taxiway_numeric"][:, 0], expected, atol=1e-6)


def test_z_scores_are_those_of_tft_to_the_last_bit(transformed):
    np.testing.assert_array_equal(transformed["taxiway_numeric"], transformed["of_tft"])


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


def test_the_schema_says_how_many_ids_there_are(analyzed):
    """From it the built-in model knows the rows of its tables; nothing public of TFT writes it for wide features."""
    data, schema, *_ = analyzed
    domains = {feature.name: feature.int_domain for feature in schema.feature if feature.HasField("int_domain")}
    assert set(domains) == {"taxiway_buckets", "taxiway_categories", "taxiway_hashes"}
    assert domains["taxiway_hashes"].max == 999
    assert all(domain.is_categorical and domain.min == 0 for domain in domains.values())
    assert domains["taxiway_buckets"].max == data["taxiway_numeric"].shape[1] * 5 - 1
    assert domains["taxiway_categories"].max == 2 * 3 + len(["0:a", "0:b", "1:7", "1:8"]) - 1


def test_times_streets_and_notes_have_features_of_their_own(transformed):
    there = [i for i, time in enumerate(TIMES) if time is not None]
    weekdays = [datetime.datetime.fromtimestamp(TIMES[i], datetime.UTC).weekday() for i in there]
    angle = 2 * np.pi * np.array(weekdays) / 7
    calendar = transformed["taxiway_calendar"]
    np.testing.assert_allclose(calendar[there][:, :2], np.stack([np.sin(angle), np.cos(angle)], axis=1), atol=1e-6)
    np.testing.assert_array_equal(calendar[:, 4], [time is None for time in TIMES])
    streets = transformed["taxiway_hashes"][:, 0]
    assert streets[0] == streets[2] == streets[7] != streets[3]
    notes = transformed["taxiway_words"]
    np.testing.assert_array_equal(notes[0], notes[6])
    np.testing.assert_array_equal(notes[0], notes[2])
    assert not notes[[1, 4]].any() and notes[3].any()
    assert transformed["taxiway_numeric"].shape[1] == 4 and transformed["taxiway_categories"].shape[1] == 2


def test_a_server_computes_what_training_did(analyzed):
    """The exported graph on the raw rows, as a request holds them."""
    import tensorflow as tf

    transformed, _, layer, rows = analyzed
    dtypes = {"Fare (USD)": tf.float32, "Fare, not always finite": tf.float32, "empty": tf.float32, "größe": tf.string,
              "street": tf.string, "note": tf.string}  # fmt: skip
    columns = {
        name: tf.RaggedTensor.from_row_lengths(
            tf.constant([value for row in rows for value in row[name]], dtypes.get(name, tf.int64)),
            [len(row[name]) for row in rows],
        ).to_sparse()
        for name in rows[0]
    }
    for name, values in layer(columns).items():
        np.testing.assert_allclose(values.numpy(), transformed[name], rtol=1e-6, atol=1e-6, err_msg=name)


def test_a_tft_without_the_private_function_is_refused_with_what_to_do(monkeypatch):
    import sys

    from taxiway.components.errors import TaxiwayError
    from taxiway.components.stack_seam import name_lock
    from taxiway.components.transform.tft_private import set_id_range

    monkeypatch.setitem(sys.modules, "tensorflow_transform.schema_inference", None)
    with pytest.raises(
        TaxiwayError, match=r"no tensorflow_transform\.schema_inference\.set_tensor_schema_override"
    ) as raised:
        set_id_range(None, None)
    assert name_lock() in raised.value.remedy


def test_the_label_passes_through(transformed):
    assert transformed["y"].dtype == np.int64
    np.testing.assert_array_equal(transformed["y"], [i % 2 for i in range(8)])


@pytest.mark.parametrize("label", ["y", "numeric", "taxiway_numeric", "TAXIWAY_", "taxiway__missing", "taxiway_____"])
def test_no_label_is_one_of_our_features(label):
    from taxiway.components.transform.preprocessing import choose_prefix

    assert choose_prefix(label).startswith("taxiway_")
    assert not label.lower().startswith(choose_prefix(label))
