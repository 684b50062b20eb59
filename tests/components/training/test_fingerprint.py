"""The key of the checkpoints moves with data, configuration and code, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from taxiway.components.training import TrainingConfig, TrainingJob
from taxiway.components.training.fingerprint import compute_fingerprint


@pytest.fixture
def job(tmp_path: Path) -> TrainingJob:
    (tmp_path / "graph").mkdir()
    for name in ("graph/schema.pbtxt", "train", "eval"):
        (tmp_path / name).write_text(name)
    return TrainingJob(
        transform_graph=str(tmp_path / "graph"),
        train_files=(str(tmp_path / "train"),),
        eval_files=(str(tmp_path / "eval"),),
        label="label",
        task="binary",
    )


def test_where_outputs_go_does_not_count(job: TrainingJob) -> None:
    moved = job.model_copy(update={"export_dir": "a", "training_dir": "b", "checkpoint_dir": "c", "log_dir": "d"})
    assert compute_fingerprint(moved) == compute_fingerprint(job)


@pytest.mark.parametrize("file", ["graph/schema.pbtxt", "train", "eval"])
def test_an_edit_of_the_same_size_counts(job: TrainingJob, tmp_path: Path, file: str) -> None:
    before = compute_fingerprint(job)
    (tmp_path / file).write_text((tmp_path / file).read_text().upper())
    assert compute_fingerprint(job) != before


def test_settings_count(job: TrainingJob) -> None:
    other = job.model_copy(update={"training": TrainingConfig(seed=2)})
    assert compute_fingerprint(other) != compute_fingerprint(job)


def test_the_users_code_counts(job: TrainingJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "users_model_for_fingerprint.py").write_text("def build(): ...\n")
    function = job.model.model_copy(update={"function": "users_model_for_fingerprint.build"})
    job = job.model_copy(update={"model": function})
    before = compute_fingerprint(job)
    (tmp_path / "users_model_for_fingerprint.py").write_text("def build(): pass\n")
    assert compute_fingerprint(job) != before
