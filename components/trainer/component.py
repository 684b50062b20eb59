"""TFX's Trainer with our executor and our `run_fn`; the configuration says what to train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components import Trainer as TfxTrainer
from tfx.dsl.components.base import executor_spec

from taxiway.components.component_arguments import check_task, make_absolute
from taxiway.components.contract import Task
from taxiway.components.errors import ConfigError
from taxiway.components.trainer.executor import Executor
from taxiway.components.training import ModelConfig, TrainingConfig
from taxiway.components.training.tfx_arguments import build_custom_config, parse_sections

RUN_FN = "taxiway.components.trainer.run_fn.run_fn"


class Trainer(TfxTrainer):
    """In: transformed `examples`, `transform_graph`, `schema`, perhaps `hyperparameters`. Out: `model`, `model_run`."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        schema: types.BaseChannel,
        label: str,
        task: Task,
        classes: Sequence[str] = (),
        left_out: Sequence[str] = (),
        model: ModelConfig | Mapping[str, Any] | None = None,
        training: TrainingConfig | Mapping[str, Any] | None = None,
        checkpoint_root: str | Path = "",
        cluster_pod: str = "",
        base_model: types.BaseChannel | None = None,
        hyperparameters: types.BaseChannel | None = None,
    ) -> None:
        """Args:
        examples: Transform's output, with the splits `train` and `eval`.
        transform_graph: Transform's.
        schema: The curated schema, which fixes the order of the classes.
        label: The label's column.
        task: `binary`, `multiclass` or `regression`.
        classes: Names of the classes in the order of their indices, where the schema has none.
        left_out: Raw columns that are no features.
        model: Kind and size of the model, or a function of yours.
        training: Settings of its training; for `kind: tabular`, those left out are what suits it.
        checkpoint_root: Folder of all runs' checkpoints; empty: after a kill training starts from the beginning.
        cluster_pod: The pod of a task as JSON, for `training.cluster.where: kubernetes`.
        base_model: The model now live, for `training.warm_start: live`.
        hyperparameters: A tuner's best ones: settings by dotted name, which win over `model` and `training`.

        Raises:
            ConfigError: a key or a value is wrong, or `warm_start: live` stands without a `base_model`.
        """
        built, settings = parse_sections(model, training)
        if settings.warm_start == "live" and base_model is None:
            raise ConfigError(
                "training.warm_start is 'live', and the pipeline hands no live model to the trainer.",
                "Set training.warm_start: none, or name a model with training.warm_start_from.",
            )
        custom_config = build_custom_config(label, check_task(task), classes, left_out, built, settings)
        if settings.cluster.where == "kubernetes":
            custom_config["cluster_pod"] = cluster_pod
        super().__init__(
            examples=examples,
            transform_graph=transform_graph,
            schema=schema,
            base_model=base_model if settings.warm_start == "live" else None,
            hyperparameters=hyperparameters,
            run_fn=RUN_FN,
            custom_config=custom_config | {"checkpoint_root": make_absolute(checkpoint_root)},
        )
