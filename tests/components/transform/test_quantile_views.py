"""The views of numbers: each formula against numpy and scikit-learn's, and the whole through the real TFT on Beam."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import norm

BINS = 48
ROWS = 700


def make_knots(values, steps):
    """Sketched quantiles: values of the column, none in between."""
    return np.quantile(values, np.linspace(0, 1, steps + 1), method="nearest")


COLUMNS = arrays.arrays(np.float64, st.integers(5, 60), elements=st.integers(-20, 20).map(lambda i: i / 4))


@settings(max_examples=25, deadline=None)
@given(COLUMNS, arrays.arrays(np.float64, 7, elements=st.floats(-8, 8, width=32)))
def test_ranks_are_those_of_scikit_learn(values, asked):
    from taxiway.components.transform.quantile_views import RANK_LIMIT, compute_rank

    knots, asked = make_knots(values, 40), np.concatenate([asked, values])
    places = np.linspace(0, 1, 41)
    left, right = np.interp(asked, knots, places), -np.interp(-asked, -knots[::-1], -places[::-1])
    expected = norm.ppf(np.clip((left + right) / 2, RANK_LIMIT, 1 - RANK_LIMIT))
    answer = compute_rank(asked[None, :], knots[None, :]).numpy()[0]
    np.testing.assert_allclose(answer, expected, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(COLUMNS, arrays.arrays(np.float64, 7, elements=st.floats(-8, 8, width=32)))
def test_positions_count_the_bins_that_are_not_empty(values, asked):
    from taxiway.components.transform.quantile_views import compute_position

    edges = make_knots(values, 12)
    distinct = np.unique(edges)
    expected = np.interp(asked, distinct, np.arange(len(distinct)))
    answer = compute_position(asked[None, :], edges[None, :]).numpy()[0]
    np.testing.assert_allclose(answer, expected, atol=1e-9)


def test_a_heavy_value_leaves_half_of_the_edges_to_the_others():
    from taxiway.components.transform.quantile_views import KNOTS, choose_edges

    others = np.linspace(1, 100, 500)
    columns = [np.concatenate([np.zeros(1500), others]), np.concatenate([np.zeros(1500), np.repeat([1.0, 2, 3], 100)])]
    knots = np.stack([make_knots(values, KNOTS) for values in columns])
    edges = choose_edges(knots, BINS).numpy()
    assert edges.shape == (2, BINS + 1)
    assert (np.diff(edges, axis=1) >= 0).all()
    above = np.unique(edges[0][edges[0] > 0])
    assert len(above) >= BINS // 2
    np.testing.assert_allclose(np.quantile(above, 0.5), np.median(others), rtol=0.2)
    np.testing.assert_array_equal(np.unique(edges[1]), [0, 1, 2, 3])  # fewer values than bins: each has an edge


def test_without_a_heavy_value_the_edges_are_quantiles():
    from taxiway.components.transform.quantile_views import KNOTS, choose_edges

    values = np.random.default_rng(0).normal(size=5000)
    edges = choose_edges(make_knots(values, KNOTS)[None, :], BINS).numpy()[0]
    np.testing.assert_allclose(edges, np.quantile(values, np.linspace(0, 1, BINS + 1)), atol=0.02)


def test_few_rows_have_few_rank_knots():
    from taxiway.components.transform.quantile_views import KNOTS, select_rank_knots

    knots = np.arange(KNOTS + 1.0)[None, :]
    for rows, count in ((5, 10), (3000, 100), (10**6, 960)):
        chosen = select_rank_knots(knots, np.int64(rows)).numpy()[0]
        assert (len(chosen), chosen[0], chosen[-1]) == (count, 0, KNOTS)


def test_the_robust_scale_bends_and_a_constant_column_is_zero():
    from taxiway.components.transform.quantile_views import KNOTS, compute_robust

    knots = np.stack([np.linspace(0, 100, KNOTS + 1), np.full(KNOTS + 1, 7.0)])
    knots = np.vstack([knots, np.where(np.arange(KNOTS + 1) < KNOTS - 2, 0.0, 4.0)])
    answer = compute_robust(np.array([[50.0, 100.0, 1e9], [7.0, 9.0, 7.0], [0.0, 4.0, -2.0]]), knots).numpy().T
    bent = lambda t: t / np.sqrt(1 + (t / 3) ** 2)  # noqa: E731
    np.testing.assert_allclose(answer[:, 0], [0, bent(1.0), 3], atol=1e-4)
    np.testing.assert_array_equal(answer[:, 1], [0, 0, 0])
    np.testing.assert_allclose(answer[:, 2], [0, bent(2.0), bent(-1.0)], atol=1e-9)  # equal quartiles: half the range


@pytest.fixture(scope="module")
def analyzed(tmp_path_factory):
    """Raw columns, and what TFT made of them."""
    import tensorflow as tf
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

    from taxiway.components.transform import preprocessing

    generator = np.random.default_rng(4)
    raw = {
        "empty": np.full(ROWS, np.nan),
        "holes": np.where(generator.random(ROWS) < 0.2, np.nan, generator.lognormal(3, 2, ROWS)),
        "second": 1.4e9 + 3600.0 * generator.permutation(ROWS),
        "zeros": np.where(generator.random(ROWS) < 0.7, 0.0, generator.exponential(10, ROWS)),
    }
    # As the requests and the examples hold them.
    raw = {name: values if name == "second" else values.astype(np.float32) for name, values in raw.items()}
    types = {name: tf.int64 if name == "second" else tf.float32 for name in raw}
    spec = {name: tf.io.VarLenFeature(dtype) for name, dtype in types.items()} | {
        "y": tf.io.FixedLenFeature([], tf.int64)
    }
    rows = [
        {name: [] if np.isnan(values[i]) else [values[i]] for name, values in raw.items()} | {"y": i % 2}
        for i in range(ROWS)
    ]
    for row in rows:
        row["second"] = [int(row["second"][0])]
    config = {"features": {}, "preprocessing": {"numbers": "quantiles"}, "label": "y", "task": "binary"}
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
    folder = tmp_path_factory.mktemp("graph")
    with tft_beam.Context(temp_dir=str(tmp_path_factory.mktemp("tft"))):
        (data, _), transform_fn = (rows, metadata) | tft_beam.AnalyzeAndTransformDataset(
            lambda inputs: preprocessing.preprocessing_fn(inputs, config)
        )
        _ = transform_fn | tft_beam.WriteTransformFn(str(folder))
    features = {key: np.array([row[key] for row in data]) for key in data[0]}
    layer = tft.TFTransformOutput(str(folder)).transform_features_layer()
    columns = {name: tf.zeros([1], dtype) for name, dtype in (types | {"y": tf.int64}).items()}
    return raw, features, layer, json.loads(json.dumps(preprocessing.describe_features(columns, config)))


def test_the_graph_has_the_views_of_the_training_rows(analyzed):
    raw, features, _, _ = analyzed
    assert set(features) == {"taxiway_position", "taxiway_rank", "taxiway_robust", "taxiway_missing", "y"}
    for i, name in enumerate(raw):
        values = raw[name].astype(np.float64)
        there = ~np.isnan(values)
        if not there.any():
            continue
        low, middle, high = np.quantile(values[there], [0.25, 0.5, 0.75])
        scale = high - low or (values[there].max() - values[there].min()) / 2
        distance = (values[there] - middle) / scale
        expected = distance / np.sqrt(1 + (distance / 3) ** 2)
        np.testing.assert_allclose(features["taxiway_robust"][there, i], expected, atol=0.03)
        ranks = np.argsort(np.argsort(values[there])) / (there.sum() - 1)
        if name != "zeros":
            np.testing.assert_allclose(norm.cdf(features["taxiway_rank"][there, i]), ranks, atol=0.06)
            np.testing.assert_allclose(features["taxiway_position"][there, i], ranks, atol=0.02)
        order = np.argsort(values[there])
        assert (np.diff(features["taxiway_position"][there, i][order]) >= 0).all()
    zeros = raw["zeros"] == 0
    assert len(np.unique(features["taxiway_position"][zeros, 3])) == 1
    assert np.ptp(features["taxiway_position"][~zeros, 3]) > 0.4, "half of the bins tell the others apart"
    middle = norm.cdf(features["taxiway_rank"][zeros, 3])
    np.testing.assert_allclose(middle, zeros.mean() / 2, atol=0.05)


def test_missing_has_its_own_flag_where_training_had_some(analyzed):
    raw, features, layer, _ = analyzed
    holes = np.isnan(raw["holes"])
    np.testing.assert_array_equal(features["taxiway_missing"][:, 1], holes)
    for view in ("rank", "robust"):
        np.testing.assert_array_equal(features[f"taxiway_{view}"][holes, 1], 0)
        np.testing.assert_array_equal(features[f"taxiway_{view}"][:, 0], 0)
    assert len(np.unique(features["taxiway_position"][holes, 1])) == 1
    assert 0.4 < features["taxiway_position"][holes, 1][0] < 0.6, "in the middle"
    np.testing.assert_array_equal(features["taxiway_missing"][:, 2:], 0)
    import tensorflow as tf

    nothing = {name: tf.sparse.from_dense(tf.zeros([2, 1], dtype)) for name, dtype in
               (("empty", tf.float32), ("holes", tf.float32), ("second", tf.int64), ("zeros", tf.float32))}  # fmt: skip
    served = layer(nothing)
    np.testing.assert_array_equal(served["taxiway_missing"], [[1, 1, 0, 0]] * 2)  # never missing in training: no flag
    assert all(np.isfinite(value).all() for value in served.values())


def test_columns_json_says_what_a_model_must_know(analyzed):
    *_, content = analyzed
    assert content["version"] == 3
    assert content["quantile_bins"] == BINS
    assert content["views"] == {view: f"taxiway_{view}" for view in ("position", "rank", "robust", "missing")}
    assert "vocabulary" not in content


def test_numbers_at_the_ends_of_float32_give_finite_views(analyzed):
    import tensorflow as tf

    *_, layer, _ = analyzed
    ends = np.array([3.4e38, -3.4e38, 1e-45], np.float32)
    served = layer(
        {
            **{name: tf.sparse.from_dense(tf.constant(ends[:, None])) for name in ("empty", "holes", "zeros")},
            "second": tf.sparse.from_dense(tf.constant([[2**62], [-(2**62)], [1]], tf.int64)),
        }
    )
    for name in ("position", "rank", "robust"):
        assert np.isfinite(served[f"taxiway_{name}"]).all(), name
    np.testing.assert_allclose(served["taxiway_robust"][:2, 1], [3, -3], atol=1e-4)
    np.testing.assert_array_equal(served["taxiway_position"][:2, 2], [1, 0])
