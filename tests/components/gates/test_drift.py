"""Drift and skew through the real TFDV."""

import numpy as np
import pandas as pd
import pytest

from components.gates import drift
from components.gates.config import GatesConfig

ROWS = 1000


def statistics(mean=0.0, cash=0.5):
    import tensorflow_data_validation as tfdv

    chance = np.random.default_rng(0)
    frame = {
        "trip length, km": chance.normal(mean, 1.0, ROWS),
        "a.b/c": chance.integers(0, 5, ROWS),
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
    return drift.compare(kind, trained, other, schema, GatesConfig.model_validate(config or {}), "span 3", **more)


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

    lenient = drift.with_thresholds(schema, "drift", GatesConfig().drift, usual, ())
    tfdv.get_feature(lenient, "größe").drift_comparator.infinity_norm.threshold = 0.5
    compared = compare("drift", drifted, usual, lenient)
    assert [finding.column for finding in compared.findings] == ["trip length, km"]
    assert compared.numbers["distances"]["größe"]["threshold"] == 0.5


def test_without_thresholds_nothing_is_compared_and_that_is_said(usual, drifted, schema):
    nowhere = {"drift": {"infinity_norm": None, "jensen_shannon": None}}
    compared = compare("drift", drifted, usual, schema, nowhere)
    assert [(f.rule, f.blocking) for f in compared.findings] == [(drift.NO_THRESHOLD, False)]


def test_what_the_model_does_not_see_is_not_compared(usual, drifted, schema):
    compared = compare("drift", drifted, usual, schema, left_out={"größe"})
    assert [finding.column for finding in compared.findings] == ["trip length, km"]


def test_an_allowed_rule_is_reported_only(usual, drifted, schema):
    compared = compare("drift", drifted, usual, schema, {"allow_anomalies": ["COMPARATOR_L_INFTY_HIGH"]})
    assert {f.column: f.blocking for f in compared.findings} == {"größe": False, "trip length, km": True}


def test_the_schema_given_is_not_changed(usual, schema):
    before = schema.SerializeToString(deterministic=True)
    drift.with_thresholds(schema, "skew", GatesConfig().skew, usual, ())
    assert schema.SerializeToString(deterministic=True) == before
