"""Drift and skew through the real TFDV."""

import numpy as np
import pandas as pd
import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2

from taxiway.components.distributions import distances
from taxiway.components.gates import drift
from taxiway.components.gates.config import GatesConfig
from taxiway.components.gates.reference_statistics import ReferenceStatistics

ROWS = 1000


def statistics(mean=0.0, cash=0.5, first=0):
    import tensorflow_data_validation as tfdv

    chance = np.random.default_rng(0)
    frame = {
        "trip length, km": chance.normal(mean, 1.0, ROWS),
        "a.b/c": chance.integers(first, first + 5, ROWS),
        "größe": np.where(np.arange(ROWS) < cash * ROWS, "cash", "card"),
    }
    return tfdv.generate_statistics_from_dataframe(pd.DataFrame(frame))


@pytest.fixture(scope="module")
def usual():
    return statistics()


@pytest.fixture(scope="module")
def drifted():
    return statistics(mean=2.0, cash=0.9)


@pytest.fixture(scope="module")
def schema(usual):
    import tensorflow_data_validation as tfdv

    return tfdv.infer_schema(usual, infer_feature_shape=False)


def compare(kind, trained, other, schema, config=None, **more):
    return drift.compare_distributions(
        kind, trained, other, schema, GatesConfig.model_validate(config or {}), "span 3", **more
    )


@pytest.mark.parametrize("kind", ["drift", "skew"])
def test_drifted_columns_are_named_with_distance_and_threshold(kind, usual, drifted, schema):
    compared = compare(kind, drifted, usual, schema)
    by_column = {finding.column: finding for finding in compared.findings}
    assert sorted(by_column) == ["größe", "trip length, km"]
    assert all(finding.blocking for finding in compared.findings)
    text = by_column["größe"].explanation
    assert "L-infinity distance from span 3 is 0.4, allowed is 0.1; the value 'c" in text
    assert "COMPARATOR_L_INFTY_HIGH" in text
    numeric = by_column["trip length, km"].explanation
    assert "Jensen-Shannon divergence from span 3 is 0." in numeric
    assert f"({kind}, rule COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH)" in numeric
    assert compared.numbers["columns"] == 3
    assert set(compared.numbers["distances"]) == {"größe", "trip length, km", "a.b/c"}


def test_the_same_data_has_not_drifted(usual, schema):
    compared = compare("drift", usual, usual, schema)
    assert compared.findings == ()
    assert compared.numbers["against"] == "span 3"
    assert set(compared.numbers["largest"].values()) == {0.0}


def test_the_schemas_threshold_comes_first(usual, drifted, schema):
    import tensorflow_data_validation as tfdv

    lenient = distances.add_thresholds(schema, "drift", GatesConfig().drift, usual, ())
    tfdv.get_feature(lenient, "größe").drift_comparator.infinity_norm.threshold = 0.5
    compared = compare("drift", drifted, usual, lenient)
    assert [finding.column for finding in compared.findings] == ["trip length, km"]
    assert compared.numbers["distances"]["größe"]["threshold"] == 0.5


def test_without_thresholds_nothing_is_compared_and_that_is_said(usual, drifted, schema):
    nowhere = {"drift": {"infinity_norm": None, "jensen_shannon": None}}
    compared = compare("drift", drifted, usual, schema, nowhere)
    assert [(f.rule, f.blocking) for f in compared.findings] == [(drift.NO_THRESHOLD, False)]


def test_what_the_model_does_not_see_is_not_compared(usual, drifted, schema):
    for left_out, column in (("größe", "trip length, km"), ("trip length, km", "größe")):
        compared = compare("drift", drifted, usual, schema, left_out={left_out})
        assert [finding.column for finding in compared.findings] == [column]
        assert left_out not in compared.numbers["distances"]


def test_without_a_reference_the_reason_is_said_and_nothing_blocks():
    skipped = drift.skip_comparison("skew", ReferenceStatistics("the live version", None, "nothing is live yet"))
    [finding] = skipped.findings
    assert not finding.blocking and finding.rule == drift.NO_REFERENCE
    assert finding.explanation == "skew: not compared with the live version: nothing is live yet"
    assert skipped.numbers == {"against": "nothing (nothing is live yet)"}


def test_an_allowed_rule_is_reported_only(usual, drifted, schema):
    compared = compare("drift", drifted, usual, schema, {"allow_anomalies": ["COMPARATOR_L_INFTY_HIGH"]})
    assert {f.column: f.blocking for f in compared.findings} == {"größe": False, "trip length, km": True}


def test_a_name_with_dots_and_slashes_is_said_as_it_is(usual, schema):
    compared = compare("drift", statistics(first=3), usual, schema)
    assert [finding.column for finding in compared.findings] == ["a.b/c"]
    assert set(compared.numbers["largest"]) == {"a.b/c"}


def test_a_schema_may_allow_no_change_at_all(usual, drifted, schema):
    """A person writes `infinity_norm { threshold: 0 }`: the column that is furthest beyond is then any that moved."""
    import tensorflow_data_validation as tfdv

    strict = distances.add_thresholds(schema, "drift", GatesConfig().drift, usual, ())
    tfdv.get_feature(strict, "größe").drift_comparator.infinity_norm.threshold = 0.0
    compared = compare("drift", drifted, usual, strict)
    assert "größe" in {finding.column for finding in compared.findings}
    assert compared.numbers["largest"] == {"größe": 0.4}
    assert compare("drift", usual, usual, strict).findings == ()


def test_of_two_distances_of_a_column_the_one_furthest_beyond_is_said():
    info = anomalies_pb2.DriftSkewInfo()
    kinds = anomalies_pb2.DriftSkewInfo.Measurement
    info.drift_measurements.add(type=kinds.L_INFTY, value=0.3, threshold=0.5)
    info.drift_measurements.add(type=kinds.JENSEN_SHANNON_DIVERGENCE, value=0.2, threshold=0.1)
    info.skew_measurements.add(type=kinds.NORMALIZED_ABSOLUTE_DIFFERENCE, value=0.7, threshold=0.1)
    assert distances.pick_measurement("drift", info) == distances.Measured("Jensen-Shannon divergence", 0.2, 0.1)
    assert distances.pick_measurement("skew", info) == distances.Measured("normalized absolute difference", 0.7, 0.1)


def test_the_largest_distance_is_the_one_furthest_beyond_its_own_threshold():
    def summarize(**pairs):
        measured = {name: distances.Measured("L-infinity distance", *numbers) for name, numbers in pairs.items()}
        return drift._summarize_distances(measured, "span 3")

    assert summarize(a=(0.4, 0.5), b=(0.2, 0.1))["largest"] == {"b": 0.2}
    assert summarize(a=(0.0, 0.0), b=(0.05, 0.1))["largest"] == {"b": 0.05}
    assert summarize() == {"against": "span 3", "columns": 0}


def test_the_schema_given_is_not_changed(usual, schema):
    before = schema.SerializeToString(deterministic=True)
    distances.add_thresholds(schema, "skew", GatesConfig().skew, usual, ())
    assert schema.SerializeToString(deterministic=True) == before


def sample(rows, seed, shift=0.0):
    """Twenty columns of numbers and twenty of text, all of one distribution."""
    import tensorflow_data_validation as tfdv

    chance = np.random.default_rng(seed)
    numbers = {f"number {i}": chance.normal(shift, 1, rows) for i in range(20)}
    words = {f"word {i}": chance.choice(["a", "b", "c", "d"], rows, p=[0.7, 0.1, 0.1, 0.1]) for i in range(20)}
    return tfdv.generate_statistics_from_dataframe(pd.DataFrame(numbers | words))


def test_few_rows_differ_by_chance_which_is_said_and_does_not_block():
    import tensorflow_data_validation as tfdv

    many, few, other = sample(300, 1), sample(40, 2), sample(40, 3, shift=3.0)
    schema = tfdv.infer_schema(many, infer_feature_shape=False)
    compared = compare("skew", many, few, schema)
    assert {finding.column.partition(" ")[0] for finding in compared.findings} == {"number", "word"}
    assert not any(finding.blocking for finding in compared.findings)
    assert all("; 40 rows reach 0." in finding.explanation for finding in compared.findings)
    drifted = compare("skew", many, other, schema)
    assert {f.column for f in drifted.findings if f.blocking} == {f"number {i}" for i in range(20)}


def test_what_chance_reaches_falls_with_the_rows():
    """A twentieth of it with 400 times the rows; and about what the same distribution really reaches."""
    import tensorflow_data_validation as tfdv

    sides = sample(300, 1), sample(40, 2)
    schema = tfdv.infer_schema(sides[0], infer_feature_shape=False)
    found = compare("skew", *sides, schema).numbers["distances"]
    numbers = [each for name, each in found.items() if name.startswith("number")]
    bounds = [each["by_chance"] for each in numbers]
    assert max(each["distance"] for each in numbers) < min(bounds)
    assert max(bounds) < 5 * np.median([each["distance"] for each in numbers])
