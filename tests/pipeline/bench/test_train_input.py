"""What the training and input benchmarks make of their measurements."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from taxiway.pipeline.bench import input as input_bench
from taxiway.pipeline.bench import train, train_plot, train_study

SPEED = {"ours_xla": [100.0, 200.0], "ours_plain": [90.0, 190.0], "fit": [20.0, 40.0]}
SPEED |= {"fit_tuned": [50.0, 100.0], "bare": [110.0, 220.0]}


def test_ratios_are_taken_round_by_round() -> None:
    figures = train.compute_figures(128, {"steps_per_second": SPEED, "loss": dict.fromkeys(SPEED, 0.5), "steps": 10})
    assert figures["ours"] == "ours_xla"
    assert figures["ratio"]["fit"] == {"median": 5.0, "min": 5.0, "max": 5.0}
    assert figures["met"]


def test_ours_is_what_auto_would_keep() -> None:
    speed = SPEED | {"ours_plain": [150.0, 300.0]}
    figures = train.compute_figures(1024, {"steps_per_second": speed, "loss": dict.fromkeys(speed, 0.5), "steps": 10})
    assert figures["ours"] == "ours_plain"
    assert figures["ratio"]["fit"]["median"] == 7.5


def test_another_loss_is_no_win() -> None:
    losses = {**dict.fromkeys(SPEED, 0.5), "ours_xla": 0.9}
    assert not train.compute_figures(128, {"steps_per_second": SPEED, "loss": losses, "steps": 1})["met"]


@pytest.mark.parametrize(("later", "met"), [(80.0, True), (60.0, False)])
def test_input_targets(later: float, met: bool) -> None:
    speed = {"ours_first": [50.0], "tfx": [10.0], "per_record": [1.0], "raw": [100.0], "memory": [100.0]}
    assert input_bench.compute_figures({"rows_per_second": {**speed, "ours_later": [later]}, "rows": 9})["met"] is met


def test_input_targets_are_what_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(input_bench, "FIRST_TARGETS", {"raw": 0.55})
    monkeypatch.setattr(input_bench, "LATER_TARGET", 0.9)
    speed = {"ours_first": [50.0], "tfx": [10.0], "raw": [100.0], "ours_later": [80.0], "memory": [100.0]}
    result = input_bench.compute_figures({"rows_per_second": speed, "rows": 9})
    assert result["targets"] == {"first_to_raw": 0.55, "later_to_memory": 0.9}
    assert not result["met"]
    input_bench.print_figures(result)
    printed = " ".join(capsys.readouterr().out.split())
    assert "first epoch: 0.50 times raw TFRecord, nothing parsed (target 0.55);" in printed
    assert "later epochs: 0.80 times tensors in memory (target 0.9); missed" in printed


def test_advice_follows_the_table() -> None:
    rows = [{"setup": "one device", "rows_per_second": 100.0}, {"setup": "two", "rows_per_second": 105.0}]
    assert "One device is the fastest" in train_study.choose_advice(rows)
    assert train_study.choose_advice([rows[0], {"setup": "two", "rows_per_second": 180.0}]).startswith(
        "two trains 1.8 times"
    )


def test_the_plot_has_a_bar_a_setup_and_a_colour_a_share() -> None:
    share = {"compute": 0.5, "input": 0.25, "reduce_and_wait": 0.25}
    rows = [{"setup": "one <device>", "rows_per_second": 100e3, "share": share}]
    rows.append({"setup": "two", "rows_per_second": 50e3, "share": {"compute": 0.4, "reduce_and_wait": 0.6}})
    root = ElementTree.fromstring(train_plot.render_svg(rows))
    widths = [float(e.get("width", 0)) for e in root.iter() if e.get("height") == "20"]
    assert widths == [210.0, 105.0, 105.0, 84.0, 0.0, 126.0]
    assert "one <device>" in [e.text for e in root.iter()]
    assert "100k rows/s" in [e.text for e in root.iter()]


def test_the_plot_is_drawn_from_the_printed_result(tmp_path: Path) -> None:
    row = {"setup": "one", "rows_per_second": 1e3, "share": {"compute": 1.0}}
    (tmp_path / "result.json").write_text(json.dumps({"version": 1, "loops": [], "distribution": [row]}))
    train_plot.main(str(tmp_path / "result.json"), str(tmp_path / "plot.svg"))
    assert (tmp_path / "plot.svg").read_text() == train_plot.render_svg([row])
