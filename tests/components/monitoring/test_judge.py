"""Faults are found, and honest samples of the training distribution raise no alarm; TFDV computes the statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from taxiway.components.monitoring.config import MonitoringConfig
from taxiway.components.monitoring.findings import Difference
from taxiway.components.monitoring.judge import NO_SCORES, NOT_TRAINED, judge_window
from taxiway.components.monitoring.window import RequestWindow
from taxiway.components.saved_models.training_reference import TrainingReference
from taxiway.components.statistics.compute import compute_statistics
from taxiway.components.tables.seen_words import KnownWords, hash_word
from tests.components.monitoring.traffic import (
    COLUMNS,
    Rows,
    compute,
    judge,
    list_wrong,
    make_batch,
    make_reference,
    make_rows,
    make_window,
    score_rows,
)

WINDOWS = 200


@pytest.fixture(scope="module")
def reference() -> TrainingReference:
    return make_reference()


def list_alarms(count: int, sizes: list[int], change: Callable[[Rows], None] | None = None) -> list[set[Any]]:
    """What is found in windows, a quarter by each of four references; each has drift from the window before as well.

    References, windows and the windows before are samples of one distribution with seeds of their own, so that neither
    a lucky training set nor a shared row decides; `change` comes into the windows alone.
    """
    found = []
    for part in range(4):
        reference = make_reference(seeds=(20_000 + part, 30_000 + part))
        before = judge(reference, make_window(make_rows(1000, 40_000 + part)))
        for number in range(part * count // 4, (part + 1) * count // 4):
            rows = make_rows(sizes[number % len(sizes)], 1000 + number)
            scores = score_rows(rows)
            if change:
                change(rows)
            judged = judge(reference, make_window(rows, scores), before=before.statistics)
            assert {each.kind for each in judged.differences} >= {"skew", "drift", "scores", "missing_share"}
            found.append(list_wrong(judged))
    return found


def test_two_hundred_honest_windows_raise_no_alarm() -> None:
    alarms = [found for found in list_alarms(WINDOWS, [200, 200, 500, 2000]) if found]
    assert len(alarms) < 0.01 * WINDOWS, alarms


def test_the_same_windows_with_a_shift_all_alarm() -> None:
    found = list_alarms(12, [500, 2000], shift_mix)
    assert all({("skew", "payment"), ("drift", "payment")} <= each for each in found), found
    assert {column for each in found for _, column in each} == {"payment"}


def test_windows_of_few_rows_raise_no_alarm_and_a_large_change_still_shows(reference: TrainingReference) -> None:
    for rows in (1, 10, 50):
        windows = [make_window(make_rows(rows, 7000 + 100 * rows + number)) for number in range(20)]
        assert [found for window in windows if (found := list_wrong(judge(reference, window)))] == []
    for fault, column in ((turn_null, "payment"), (change_unit, "miles")):
        rows = make_rows(50, 99)
        scores = score_rows(rows)
        fault(rows)
        assert {name for _, name in list_wrong(judge(reference, make_window(rows, scores)))} == {column}


def turn_null(rows: Rows) -> None:
    rows["payment"] = [None] * len(rows["payment"])


def lose_values(rows: Rows) -> None:
    rows["hour"] = [None if row % 4 == 0 else value for row, value in enumerate(rows["hour"].tolist())]


def change_unit(rows: Rows) -> None:
    rows["miles"] = rows["miles"] * np.float32(1609.344)


def halve_unit(rows: Rows) -> None:
    rows["miles"] = rows["miles"] / np.float32(1.609344)  # stays within the range of training


def shift_mix(rows: Rows) -> None:
    rows["payment"] = make_rows(len(rows["payment"]), 7, (0.2, 0.45, 0.35))["payment"]


def bring_new_values(rows: Rows) -> None:
    rows["company"] = np.where(np.arange(len(rows["company"])) % 12 == 0, "a new company", rows["company"])


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (turn_null, ("missing_column", "payment")),
        (lose_values, ("missing_share", "hour")),
        (change_unit, ("out_of_range", "miles")),
        (change_unit, ("skew", "miles")),
        (halve_unit, ("skew", "miles")),
        (shift_mix, ("skew", "payment")),
        (bring_new_values, ("new_values", "company")),
    ],
)
@pytest.mark.parametrize("rows", [500, 3000])
def test_an_injected_fault_is_found(
    reference: TrainingReference, fault: Any, found: tuple[str, str], rows: int
) -> None:
    traffic = make_rows(rows, 99)
    scores = score_rows(traffic)
    fault(traffic)
    judged = judge(reference, make_window(traffic, scores))
    assert found in list_wrong(judged)
    assert {column for _, column in list_wrong(judged)} == {found[1]}  # no other column is blamed


def test_a_label_shift_shows_in_the_scores(reference: TrainingReference) -> None:
    traffic = make_rows(2000, 5)
    scores = score_rows(traffic)
    weights = 1 + 5 * scores[:, 0]  # rows of the positive class come six times as often
    chosen = np.random.default_rng(3).choice(len(scores), len(scores), p=weights / weights.sum())
    assert list_wrong(judge(reference, make_window(traffic))) == set()
    assert list_wrong(judge(reference, make_window(traffic, scores[chosen]))) == {("scores", "probability of yes")}


def test_a_threshold_of_the_schema_comes_first() -> None:
    schema = text_format.Parse(
        'feature { name: "payment" type: BYTES skew_comparator { infinity_norm { threshold: 0.5 } } }',
        schema_pb2.Schema(),
    )
    traffic = make_rows(3000, 99)
    shift_mix(traffic)
    judged = judge(make_reference(schema), make_window(traffic, score_rows(make_rows(3000, 98))))
    assert list_wrong(judged) == set()
    limits = [each.limit for each in judged.differences if (each.kind, each.column) == ("skew", "payment")]
    assert limits == [0.5]


def test_drift_from_the_window_before(reference: TrainingReference) -> None:
    before = judge(reference, make_window(make_rows(2000, 11)))
    again = judge(reference, make_window(make_rows(2000, 12)), before=before.statistics)
    assert list_wrong(again) == set()
    assert {each.column for each in again.differences if each.kind == "drift"} == set(COLUMNS)
    moved = make_rows(2000, 13)
    shift_mix(moved)
    later = judge(reference, make_window(moved, score_rows(make_rows(2000, 14))), before=before.statistics)
    assert list_wrong(later) == {("drift", "payment"), ("skew", "payment")}


def test_what_is_masked_or_new_to_training_is_not_judged(reference: TrainingReference) -> None:
    traffic = make_rows(500, 4)
    turn_null(traffic)
    judged = judge(reference, make_window(traffic), masked={"payment": "left out of the log", "no input": "x"})
    assert judged.not_judged == {"payment": "left out of the log"}
    assert not any(each.column == "payment" for each in judged.differences)
    without = TrainingReference(reference.statistics, reference.schema, None, "")
    assert judge(without, make_window(make_rows(500, 4))).not_judged == {"scores": NO_SCORES}
    fresh = {**make_rows(500, 4), "added": make_rows(500, 4)["payment"]}
    found = judge_window(make_window(fresh), reference, [*COLUMNS, "added"], MonitoringConfig(), compute)
    assert found.not_judged == {"added": NOT_TRAINED}


def make_names(count: int, seed: int, distinct: int = 3000) -> list[bytes]:
    """Names of which some are frequent and thousands are seldom."""
    random = np.random.default_rng(seed)
    return [b"name %d" % number for number in (distinct * random.random(count) ** 2).astype(int)]


@pytest.mark.parametrize("known", [True, False])
def test_a_seldom_value_that_training_had_is_not_new(known: bool) -> None:
    """TFDV lists 1,000 values of a column; the version's reading rules have up to 4,096, as hashes."""
    trained = make_names(20_000, 1)
    words = {"name": KnownWords(words=frozenset(map(hash_word, trained)))} if known else {}
    reference = TrainingReference(compute([make_batch({"name": trained})]), schema_pb2.Schema(), None, "of a test")
    stats = reference.statistics.datasets[0].features[0].string_stats
    listed = {bucket.label.encode() for bucket in stats.rank_histogram.buckets}
    assert len(listed) == 1000 < stats.unique == len(set(trained))
    seldom = [name for name in make_names(4000, 2) if name not in listed and name in set(trained)][:300]

    def find(names: list[bytes]) -> Difference:
        batch = make_batch({"name": names})
        window = RequestWindow({"name": batch.column(0)}, None, len(names), 1)
        judged = judge_window(window, reference, ["name"], MonitoringConfig(), compute, words=words)
        return next(each for each in judged.differences if each.kind == "new_values")

    assert not any(find(make_names(1000, 100 + number)).blocks for number in range(10))
    rare = find(seldom)
    assert rare.blocks is not known
    assert rare.measure == ("share of new values" if known else "share of values beyond those listed")
    assert known or ("the 1,000 listed ones of training's" in rare.text and "is not known" in rare.text)
    fresh = find(make_names(900, 4) + [b"a new name"] * 600)
    assert fresh.blocks and "'a new name' (600)" in fresh.text
    assert ("never seen" in fresh.text) is known


def test_images_and_lists_of_an_honest_window_raise_no_alarm() -> None:
    """Of images the statistics have neither texts nor numbers; of a list TFDV counts the values, not the rows."""
    schema = text_format.Parse('feature { name: "image" type: BYTES image_domain {} }', schema_pb2.Schema())

    def make_columns(rows: int, seed: int) -> pa.RecordBatch:
        random = np.random.default_rng(seed)
        images = pa.array([[random.bytes(40)] for _ in range(rows)], pa.large_list(pa.large_binary()))
        names = make_names(5 * rows, seed)
        tags = pa.array([names[5 * n : 5 * n + n % 5] for n in range(rows)], images.type)
        numbers = pa.array(random.normal(size=(rows, 8)).tolist(), pa.large_list(pa.float32()))
        return pa.RecordBatch.from_arrays([images, tags, numbers], names=["image", "tags", "numbers"])

    statistics = compute_statistics([make_columns(4000, 1)], tfdv.StatsOptions(schema=schema))
    assert statistics.datasets[0].features[0].WhichOneof("stats") == "bytes_stats"
    reference = TrainingReference(statistics, schema, None, "of a test")
    for seed in range(5):
        batch = make_columns(400, 10 + seed)
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        window = RequestWindow(columns, None, 400, 1)
        judged = judge_window(window, reference, list(columns), MonitoringConfig(), compute)
        assert list_wrong(judged) == set()
        gone = RequestWindow({**columns, "image": pa.array([None] * 400, batch.column(0).type)}, None, 400, 1)
        judged = judge_window(gone, reference, list(columns), MonitoringConfig(), compute)
        assert list_wrong(judged) == {("missing_column", "image")}


def test_texts_that_are_no_utf8_are_known_where_training_had_some() -> None:
    trained = [b"\xff\xfe", b"plain"] * 200
    reference = TrainingReference(compute([make_batch({"name": trained})]), schema_pb2.Schema(), None, "of a test")
    window = RequestWindow({"name": make_batch({"name": trained}).column(0)}, None, 400, 1)
    judged = judge_window(window, reference, ["name"], MonitoringConfig(), compute)
    assert not any(each.blocks for each in judged.differences)


def test_few_rows_that_differ_by_chance_do_not_block(reference: TrainingReference) -> None:
    judged = judge(reference, make_window(make_rows(40, 21)))
    assert any(each.exceeds for each in judged.differences)
    assert list_wrong(judged) == set()
