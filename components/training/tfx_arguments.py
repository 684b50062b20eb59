"""From what TFX hands to a trainer or a tuner to a training job. TFX itself is not imported."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from taxiway.components import schema_file
from taxiway.components.component_arguments import parse_section
from taxiway.components.contract import Task, training_dir
from taxiway.components.files import patterns
from taxiway.components.training.config import ModelConfig, TrainingConfig
from taxiway.components.training.hyperparameters import apply_values
from taxiway.components.training.job import TrainingJob
from taxiway.components.training.kind_defaults import fill_in_training


def parse_sections(
    model: ModelConfig | Mapping[str, Any] | None, training: TrainingConfig | Mapping[str, Any] | None
) -> tuple[ModelConfig, TrainingConfig]:
    """The sections that a component is given, the settings of `training` that suit the model's kind filled in.

    Raises:
        ConfigError: A key or a value is wrong.
    """
    filled = fill_in_training({} if model is None else model, {} if training is None else training)
    return parse_section(ModelConfig, model, "model"), parse_section(TrainingConfig, filled, "training")


def build_custom_config(
    label: str,
    task: Task,
    classes: Sequence[str],
    left_out: Sequence[str],
    model: ModelConfig,
    training: TrainingConfig,
) -> dict[str, Any]:
    """What a component tells its executor of a job, as JSON values.

    Args:
        label: The label's column.
        task: `binary`, `multiclass` or `regression`.
        classes: Names of the classes in the order of their indices, where the schema has none.
        left_out: Raw columns that are no features.
        model: Kind and size of the model.
        training: Settings of its training.

    Raises:
        ConfigError: A setting means nothing for the task.
    """
    training.check_task(task)
    return {
        "label": label,
        "task": task,
        "classes": list(classes),
        "left_out": list(left_out),
        "model": model.model_dump(mode="json"),
        "training": training.model_dump(mode="json"),
    }


def build_job(fn_args: Any) -> TrainingJob:
    """The job that TFX's arguments describe.

    Args:
        fn_args: TFX's `FnArgs`. Its `custom_config` is what our Trainer was given; its `hyperparameters`, where a tuner
            found some, win over that.

    Raises:
        ConfigError: a hyperparameter is no setting.
    """
    custom: Mapping[str, Any] = fn_args.custom_config
    model, training = ModelConfig.model_validate(custom["model"]), TrainingConfig.model_validate(custom["training"])
    found = getattr(fn_args, "hyperparameters", None) or {}
    model, training = apply_values(model, training, found.get("values", {}))
    return TrainingJob(
        transform_graph=fn_args.transform_graph_path,
        train_files=_quote_folders(fn_args.train_files),
        eval_files=_quote_folders(fn_args.eval_files),
        rows=custom.get("rows", {}),
        class_rows=custom.get("class_rows", {}),
        label=custom["label"],
        task=custom["task"],
        class_labels=_read_class_labels(custom, fn_args.schema_path),
        left_out=tuple(custom["left_out"]),
        raw_schema=fn_args.schema_path or "",
        model=model,
        training=training,
        export_dir=fn_args.serving_model_dir,
        training_dir=training_dir(str(Path(fn_args.serving_model_dir).parent)),
        cluster_pod=json.loads(custom.get("cluster_pod") or "{}"),
        log_dir=str(Path(fn_args.model_run_dir, "tensorboard")) if training.tensorboard else "",
        warm_start_from=training.warm_start_from or (fn_args.base_model or ""),
    )


def _quote_folders(files: Sequence[str]) -> tuple[str, ...]:
    """TFX's patterns `<folder>/*`, the folder quoted: it is a name, whatever characters it holds."""
    return tuple(
        "/".join([patterns.quote_name(folder), last]) for folder, _, last in (f.rpartition("/") for f in files)
    )


def _read_class_labels(custom: Mapping[str, Any], schema_path: str | None) -> tuple[str, ...]:
    """The classes in the order of their indices: the schema's, which the data was written by."""
    if custom["task"] == "regression":
        return ()
    labels = (
        schema_file.read_class_labels(schema_file.read_schema(Path(schema_path).parent), custom["label"])
        if schema_path
        else ()
    )
    return labels or tuple(custom.get("classes", ()))
