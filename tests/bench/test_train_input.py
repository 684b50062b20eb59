"""What the training and input benchmarks make of their measurements."""

from __future__ import annotations

import pytest

from pipeline.bench import input as input_bench
from pipeline.bench import train, train_study


def test_ratios_are_taken_round_by_round() -> None:
    speed = {"ours": [100.0, 200.0], "fit": [20.0, 40.0], "fit_tuned": [50.0, 100.0], "bare": [110.0, 220.0]}
    figures = train.figures(128, {"steps_per_second": speed, "loss": dict.fromkeys(speed, 0.5), "steps": 10})
    assert figures["ratio"]["fit"] == {"median": 5.0, "min": 5.0, "max": 5.0}
    assert figures["met"]
    figures = train.figures(
        128, {"steps_per_second": speed, "loss": {**dict.fromkeys(speed, 0.5), "ours": 0.9}, "steps": 1}
    )
    assert not figures["met"], "another loss is no win"


@pytest.mark.parametrize(("later", "met"), [(80.0, True), (60.0, False)])
def test_input_targets(later: float, met: bool) -> None:
    speed = {"ours_first": [50.0], "tfx": [10.0], "per_record": [1.0], "raw": [100.0], "memory": [100.0]}
    assert input_bench.figures({"rows_per_second": {**speed, "ours_later": [later]}, "rows": 9})["met"] is met


def test_advice_follows_the_table() -> None:
    rows = [{"setup": "one device", "rows_per_second": 100.0}, {"setup": "two", "rows_per_second": 105.0}]
    assert "One device is the fastest" in train_study.advice(rows)
    assert train_study.advice([rows[0], {"setup": "two", "rows_per_second": 180.0}]).startswith("two trains 1.8 times")
