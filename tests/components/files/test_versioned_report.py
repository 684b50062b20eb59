"""Reports of another format version are refused by name."""

import json

import pytest

from taxiway.components.errors import TrainingError
from taxiway.components.files.versioned_report import TRAINING_HISTORY


def test_another_version_is_refused_with_what_to_do(tmp_path):
    file = tmp_path / "history.json"
    file.write_text(json.dumps({"version": 2, "evaluations": []}))
    with pytest.raises(TrainingError, match=r"history.json is a training history of format version 2;") as refusal:
        TRAINING_HISTORY.read_report(file)
    assert "run the trainer again" in refusal.value.remedy


@pytest.mark.parametrize("content", [{"version": 1, "steps": 3}, {"steps": 3}])
def test_this_version_and_a_file_without_one_are_read(tmp_path, content):
    (tmp_path / "history.json").write_text(json.dumps(content))
    assert TRAINING_HISTORY.read_report(tmp_path / "history.json") == content
