"""TFX's Trainer with our executor and our `run_fn`, told what to train by the configuration."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tfx import types
from tfx.components import Trainer as TfxTrainer
from tfx.dsl.components.base import executor_spec

from components.errors import ConfigError
from components.trainer.executor import Executor
from components.training import ModelConfig, TrainingConfig

RUN_FN = "components.trainer.run_fn.run_fn"


class Trainer(TfxTrainer):
    """In: transformed `examples`, `transform_graph`, `schema`. Out: `model`, `model_run`."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        schema: types.BaseChannel,
        label: str,
        left_out: Sequence[str] = (),
        model: str = "{}",
        training: str = "{}",
        checkpoint_root: str = "",
        base_model: types.BaseChannel | None = None,
    ) -> None:
        """Args:
        examples: Transform's output, with the splits `train` and `eval`.
        transform_graph: Transform's.
        schema: The curated schema, which fixes the order of the classes.
        label: `LabelConfig` as JSON: its `column`, `task` and `classes` count.
        left_out: Raw columns that are no features.
        model: `ModelConfig` as JSON.
        training: `TrainingConfig` as JSON.
        checkpoint_root: Folder of all runs' checkpoints; empty: training starts anew after a kill.
        base_model: For `training.warm_start: live`, the model now live.

        Raises:
            ConfigError: `warm_start: live` without a `base_model`.
        """
        settings = TrainingConfig.model_validate_json(training)
        if settings.warm_start == "live" and base_model is None:
            raise ConfigError(
                "training.warm_start is 'live', and the pipeline hands no live model to the trainer.",
                "Set training.warm_start: none, or name a model with training.warm_start_from.",
            )
        about = json.loads(label)
        custom_config = {
            "label": about["column"],
            "task": about["task"],
            "classes": list(about.get("classes", ())),
            "left_out": list(left_out),
            "model": ModelConfig.model_validate_json(model).model_dump(mode="json"),
            "training": settings.model_dump(mode="json"),
            "checkpoint_root": checkpoint_root,
        }
        super().__init__(
            examples=examples,
            transform_graph=transform_graph,
            schema=schema,
            base_model=base_model if settings.warm_start == "live" else None,
            run_fn=RUN_FN,
            custom_config=custom_config,
        )
