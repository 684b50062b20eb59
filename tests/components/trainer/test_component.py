"""The TFX side: what the component is told, and what the executor says on the artifact."""

from __future__ import annotations

import json

import pytest
from tfx import types
from tfx.types import standard_artifacts

from components.errors import ConfigError
from components.trainer.component import RUN_FN, Trainer
from components.trainer.executor import Executor, describe
from tests.components.trainer.test_run_fn import RESULT


def trainer(training: str = "{}") -> Trainer:
    return Trainer(
        examples=types.Channel(type=standard_artifacts.Examples),
        transform_graph=types.Channel(type=standard_artifacts.TransformGraph),
        schema=types.Channel(type=standard_artifacts.Schema),
        label='{"column": "y", "task": "binary"}',
        left_out=["tips"],
        training=training,
        checkpoint_root="/checkpoints",
    )


def test_the_configuration_is_an_execution_property() -> None:
    made = trainer('{"epochs": 2}')
    assert made.EXECUTOR_SPEC.executor_class is Executor
    assert made.exec_properties["run_fn"] == RUN_FN
    custom = json.loads(made.exec_properties["custom_config"])
    assert (custom["label"], custom["task"], custom["left_out"]) == ("y", "binary", ["tips"])
    assert custom["training"]["epochs"] == 2


def test_a_warm_start_from_nothing_is_refused_when_the_pipeline_is_built() -> None:
    with pytest.raises(ConfigError, match="warm_start"):
        trainer('{"warm_start": "live"}')


def test_the_artifact_says_what_was_done() -> None:
    model = standard_artifacts.Model()
    describe(model, RESULT)
    assert model.get_string_custom_property("strategy") == "one_device"
    assert [model.get_int_custom_property(n) for n in ("replicas", "steps", "rows", "restarts", "best_step")] == [
        1,
        5,
        40,
        0,
        5,
    ]
    assert model.get_float_custom_property("seconds") == 1.5
