"""Counts travel with the examples from ExampleGen to the training job."""

from __future__ import annotations

import json
from pathlib import Path

from tfx.types import standard_artifacts

from taxiway.components.tfx_artifacts import read_class_rows, write_class_rows
from taxiway.components.trainer.executor import add_row_counts


def _make_examples(folder: Path, class_rows: dict[str, list[int]] | None) -> standard_artifacts.Examples:
    folder.mkdir()
    examples = standard_artifacts.Examples()
    examples.uri = str(folder)
    if class_rows is not None:
        write_class_rows(examples, class_rows)
        for split, counts in class_rows.items():
            examples.set_int_custom_property(f"rows_{split}", sum(counts))
    return examples


def test_class_rows_are_added_up(tmp_path: Path) -> None:
    first = _make_examples(tmp_path / "1", {"train": [1, 2], "eval": [3, 4]})
    second = _make_examples(tmp_path / "2", {"train": [10, 20], "eval": [30]})
    untold = _make_examples(tmp_path / "3", None)
    assert read_class_rows([first]) == {"train": [1, 2], "eval": [3, 4]}
    assert read_class_rows([first, second]) == {"train": [11, 22]}, "of other classes nothing is added up"
    assert read_class_rows([first, untold]) == read_class_rows([]) == {}


def test_thousands_of_classes_are_kept(tmp_path: Path) -> None:
    """Beside the artifact: as a property they would be too long for Kubeflow."""
    counts = {"train": list(range(5000))}
    examples = _make_examples(tmp_path / "1", counts)
    assert not examples.has_custom_property("class_rows")
    assert read_class_rows([examples]) == counts


def test_the_training_job_is_told(tmp_path: Path) -> None:
    examples = _make_examples(tmp_path / "1", {"train": [5, 6], "eval": [1, 1]})
    custom = json.loads(add_row_counts({"examples": [examples]}, {"custom_config": "{}"})["custom_config"])
    assert (custom["rows"], custom["class_rows"]) == ({"train": 11, "eval": 2}, {"train": [5, 6], "eval": [1, 1]})
