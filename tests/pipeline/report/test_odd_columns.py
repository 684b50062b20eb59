"""One odd column ends no report: what TFDV says of it is shown, or why it cannot be. No TFDV, no TensorFlow."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_metadata.proto.v0 import statistics_pb2

from taxiway.pipeline.report import statistics
from taxiway.pipeline.report.build import make_environment
from taxiway.pipeline.report.sections.data import ColumnRoles, _describe_columns

INT, FLOAT, STRING = 0, 1, 2
HUGE = 1.7976931348623157e308


def numeric(kind, values, *, rows=None):
    """A column's statistics with both kinds of histograms, as TFDV makes them."""
    made = statistics_pb2.FeatureNameStatistics(name="x", type=kind)
    known = sorted(value for value in values if math.isfinite(value))
    made.num_stats.common_stats.num_non_missing = len(values)
    if not known:
        return made
    low, high = known[0], known[-1]
    made.num_stats.min, made.num_stats.max = low, high
    made.num_stats.mean = sum(value / len(known) for value in known)
    made.num_stats.std_dev = (high - low) / 2
    standard, quantiles = made.num_stats.histograms.add(type=0), made.num_stats.histograms.add(type=1)
    for step in range(10):
        a, b = low + (high - low) * step / 10, low + (high - low) * (step + 1) / 10
        inside = sum(a <= value < b or (step == 9 and value == high) for value in known)
        standard.buckets.add(low_value=a, high_value=b, sample_count=inside)
        at = [known[int((len(known) - 1) * share / 10)] for share in (step, step + 1)]
        quantiles.buckets.add(low_value=at[0], high_value=at[1], sample_count=len(known) / 10)
    return made


def text(values):
    made = statistics_pb2.FeatureNameStatistics(name="x", type=STRING)
    made.string_stats.common_stats.num_non_missing, made.string_stats.unique = len(values), len(set(values))
    for rank, value in enumerate(sorted(set(values))):
        made.string_stats.rank_histogram.buckets.add(low_rank=rank, high_rank=rank, label=value, sample_count=1)
    return made


def shown(*features):
    """The page's columns, through the file's bytes."""
    content = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = content.datasets.add(num_examples=100)
    dataset.features.extend(features)
    for number, feature in enumerate(dataset.features):
        feature.name = f"x{number}"
    split = statistics.parse_split(content.SerializeToString())
    return _describe_columns({"train": split, "eval": split}, {"train": split}, ColumnRoles())["columns"]


ODD = {
    "ids beyond 2^53": numeric(FLOAT, [2.0**53 + step for step in range(5)]),
    "whole ids beyond 2^53": numeric(INT, [2**53 + 1 + step for step in range(5)]),
    "extremes of int64": numeric(INT, [-(2**63), 2**63 - 1]),
    "near the largest int64": numeric(INT, [2**63 - 3, 2**63 - 1]),
    "huge": numeric(FLOAT, [-HUGE, HUGE]),
    "tiny": numeric(FLOAT, [5e-324, 1e-323]),
    "all equal": numeric(FLOAT, [3.5] * 9),
    "one value": numeric(INT, [7]),
    "not a number only": numeric(FLOAT, [math.nan] * 4),
    "infinite": numeric(FLOAT, [math.inf, 1.0, 2.0]),
    "nothing": statistics_pb2.FeatureNameStatistics(name="x"),
    "many categories": text([f"category {number}" for number in range(10_000)]),
    "very long text": text(["x" * 1_000_000, "y"]),
    "empty text": text([""]),
}
NAN_BUCKETS = numeric(FLOAT, [1.0, 2.0])
NAN_BUCKETS.num_stats.histograms[0].buckets[0].low_value = math.nan
NAN_BUCKETS.num_stats.max = math.inf
ODD["buckets that are not numbers"] = NAN_BUCKETS


@pytest.mark.parametrize("name", ODD)
def test_an_odd_column_is_shown_beside_the_others(name):
    odd, plain = shown(ODD[name], numeric(INT, range(50)))
    assert plain["bins"]["train"], "the next column is drawn all the same"
    assert "cannot be shown" not in plain["facts"]
    for bars in odd["bins"].values():
        assert all(math.isfinite(part) for bar in bars for part in bar)
        assert all(width > 0 for _, width, _ in bars)
    assert len(rendered([odd, plain])) < 100_000


def test_what_no_code_foresaw_becomes_a_line(monkeypatch):
    def fail(column):
        raise ZeroDivisionError("float division by zero")

    monkeypatch.setattr(statistics, "compute_edges", fail)
    (column,) = shown(numeric(INT, range(5)))
    assert column["facts"] == "cannot be shown: ZeroDivisionError: float division by zero"
    assert "cannot be shown" in rendered([column])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(2**63), 2**63 - 1), max_size=8))
def test_no_numbers_end_a_report(values):
    for kind in (INT, FLOAT):
        (column,) = shown(numeric(kind, [float(value) for value in values]))
        assert "cannot be shown" not in column["facts"]


def rendered(columns):
    """The data section of the page."""
    section = {
        "splits": [("train", 100)],
        "span": None,
        "files": [],
        "counts": [],
        "fingerprint": "",
        "findings": [],
        "previous": "",
        "drift": [],
        "columns": columns,
    }
    outcome = {"words": "", "model": "m", "run_id": "r", "state": "live", "figures": [], "started": "", "seconds": ""}
    return (
        make_environment()
        .get_template("report.html.j2")
        .render(outcome=outcome, section={"data": section}, css="", js="", plotly="")
    )
