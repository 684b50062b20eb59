"""Kept results of the quality benchmark: an interrupted one goes on, a changed one is measured again."""

import dataclasses
import json

import pytest

from taxiway.pipeline.bench.quality.kept_results import KeptResults, describe_our_state, describe_peers_state
from taxiway.pipeline.bench.quality.tables import TABLES


def measure(kept, state, error):
    return kept.measure_once("ames-0-ours", state, lambda: {"error": error})["error"]


def test_a_kept_result_is_taken_and_one_of_another_state_is_not(tmp_path, capsys):
    kept = KeptResults(tmp_path / "results")
    assert measure(kept, {"code": "a", "settings": []}, 0.1) == 0.1
    assert measure(kept, {"code": "a", "settings": []}, 0.2) == 0.1
    assert capsys.readouterr().err == ""
    assert measure(kept, {"code": "b", "settings": []}, 0.3) == 0.3
    assert "ames-0-ours.json was measured with other code: measured again" in capsys.readouterr().err
    assert measure(kept, {"code": "b", "settings": []}, 0.4) == 0.3


def test_a_failed_measurement_leaves_nothing(tmp_path):
    def fail():
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        KeptResults(tmp_path).measure_once("x", {}, fail)
    assert not list(tmp_path.iterdir())


def test_without_a_folder_everything_is_measured():
    assert [measure(KeptResults(None), {}, error) for error in (0.1, 0.2)] == [0.1, 0.2]


def test_our_state_names_settings_code_and_packages():
    state = describe_our_state(TABLES["adult"], ("model.members=8",))
    assert json.loads(json.dumps(state)) == state
    assert state["settings"] == ["model.members=8"] and len(state["code"]) == 64
    assert "tensorflow" in state["packages"]


def test_peers_are_measured_again_on_another_split():
    """Errors of different rows are never divided by each other."""
    pytest.importorskip("xgboost")
    table = TABLES["adult"]
    others = [dataclasses.replace(table, seed=1), dataclasses.replace(table, left_out=("age",))]
    assert describe_peers_state(table) == describe_peers_state(table)
    assert all(describe_peers_state(other) != describe_peers_state(table) for other in others)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_file_that_is_no_result_is_measured_again(tmp_path, content):
    (tmp_path / "ames-0-ours.json").write_text(content)
    assert [measure(KeptResults(tmp_path), {"code": "a"}, error) for error in (0.1, 0.2)] == [0.1, 0.1]
