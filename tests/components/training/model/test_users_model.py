"""A user's `model.function` is called as its documentation says, for each task."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf

from taxiway.components.contract import score_output
from taxiway.components.errors import ConfigError
from taxiway.components.training.config import ModelConfig
from taxiway.components.training.model.build import build_model
from taxiway.components.training.run import run_training
from tests.components.training.model.test_autograph import raw_row
from tests.components.training.synthetic import make_job

MODULE = "tests.components.training.users_model"


@pytest.mark.parametrize(("task", "units"), [("binary", 1), ("multiclass", 3), ("regression", 1)])
def test_it_gets_features_task_and_units_by_position_and_its_arguments_by_name(
    task: str, units: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    data = request.getfixturevalue(f"{task}_data")
    model = ModelConfig(function=f"{MODULE}.build_for_task", arguments={"expected": [task, units]})
    job = make_job(data, tmp_path, task, export_dir=str(tmp_path / "export"), training={"epochs": 1})
    run_training(job.model_copy(update={"model": model}))
    serve = tf.saved_model.load(str(tmp_path / "export")).signatures["serving_raw"]
    assert serve(**raw_row(serve, 1.0))[score_output(task)].shape == (1, units)


def test_logits_of_another_width_are_refused(binary_data: Path) -> None:
    job = make_job(binary_data).model_copy(update={"model": ModelConfig(function=f"{MODULE}.build_too_wide")})
    with pytest.raises(ConfigError, match=r"shape \(None, 2\).*\(None, 1\)"):
        build_model(job)


def test_the_documentation_names_the_arguments_of_the_call() -> None:
    text = Path("docs/training.md").read_text(encoding="utf-8")
    assert "`build(features, task, units, **arguments)`" in text
    described = Path("components/training/config.py").read_text(encoding="utf-8")
    assert "`(features, task, units, **arguments) -> tf_keras.Model`" in described
