"""The TFX side: the component's properties, and those that the executor writes on the artifact."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tfx import types
from tfx.types import standard_artifacts

from taxiway.components.errors import ConfigError
from taxiway.components.trainer.component import RUN_FN, Trainer
from taxiway.components.trainer.executor import Executor, set_result_properties
from tests.components.trainer.test_run_fn import RESULT


def trainer(training: dict[str, Any] | None = None, task: Any = "binary", **more: Any) -> Trainer:
    return Trainer(
        examples=types.Channel(type=standard_artifacts.Examples),
        transform_graph=types.Channel(type=standard_artifacts.TransformGraph),
        schema=types.Channel(type=standard_artifacts.Schema),
        label="y",
        task=task,
        left_out=["tips"],
        training=training,
        checkpoint_root="/checkpoints",
        **more,
    )


def test_the_configuration_is_an_execution_property() -> None:
    made = trainer({"epochs": 2})
    assert made.EXECUTOR_SPEC.executor_class is Executor
    assert made.exec_properties["run_fn"] == RUN_FN
    custom = json.loads(made.exec_properties["custom_config"])
    assert (custom["label"], custom["task"], custom["left_out"]) == ("y", "binary", ["tips"])
    assert custom["training"]["epochs"] == 2


def test_a_kind_brings_the_settings_that_suit_it() -> None:
    made = trainer({"epochs": 2}, model={"kind": "tabular"})
    training = json.loads(made.exec_properties["custom_config"])["training"]
    assert (training["epochs"], training["ema_decay"], training["optimizer"]["name"]) == (2, 0.99, "adamw")


def test_a_warm_start_from_nothing_is_refused_when_the_pipeline_is_built() -> None:
    with pytest.raises(ConfigError, match="warm_start"):
        trainer({"warm_start": "live"})


def test_settings_without_meaning_for_the_task_are_refused_when_the_pipeline_is_built() -> None:
    with pytest.raises(ConfigError, match="class_weights"):
        trainer({"class_weights": "balanced"}, task="regression")


def test_the_artifact_says_what_was_done() -> None:
    model = standard_artifacts.Model()
    set_result_properties(model, RESULT)
    assert model.get_string_custom_property("strategy") == "one_device"
    assert [model.get_int_custom_property(n) for n in ("replicas", "steps", "rows", "restarts", "best_step")] == [
        1,
        5,
        40,
        0,
        5,
    ]
    assert model.get_float_custom_property("seconds") == 1.5
