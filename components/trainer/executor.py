"""The trainer's executor: TFX's own, which then writes the result on the Model artifact."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from tfx.components.trainer import executor as tfx_executor
from tfx.types import Artifact, artifact_utils, standard_component_specs

from taxiway.components import artifacts
from taxiway.components.contract import EVAL_SPLIT, TRAIN_SPLIT
from taxiway.components.processes import progress
from taxiway.components.tfx_artifacts import read_class_rows
from taxiway.components.trainer.run_fn import RESULT_FILE
from taxiway.components.training import TrainingResult

LOG = logging.getLogger(__name__)


class Executor(tfx_executor.GenericExecutor):
    """Runs `run_fn`, then sets custom properties: `strategy`, `stopped` (str), `replicas`, `steps`, `rows`,
    `restarts`, `best_step` (int), `seconds`, of a classifier `temperature` and `threshold` (float).
    """

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        super().Do(drop_naive_model(input_dict), output_dict, add_row_counts(input_dict, exec_properties))
        run_dir = artifact_utils.get_single_uri(output_dict[standard_component_specs.MODEL_RUN_KEY])
        result = TrainingResult.model_validate_json(Path(run_dir, RESULT_FILE).read_text())
        set_result_properties(
            artifact_utils.get_single_instance(output_dict[standard_component_specs.MODEL_KEY]), result
        )


def add_row_counts(input_dict: dict[str, list[Artifact]], exec_properties: dict[str, Any]) -> dict[str, Any]:
    """The properties, with the rows of each split, and of each class in it, in `custom_config`: as ExampleGen counted
    and Transform passed on.
    """
    custom = json.loads(exec_properties.get(standard_component_specs.CUSTOM_CONFIG_KEY) or "{}") or {}
    examples = input_dict[standard_component_specs.EXAMPLES_KEY]
    custom["rows"] = artifacts.read_row_counts(examples, (TRAIN_SPLIT, EVAL_SPLIT))
    custom["class_rows"] = read_class_rows(examples)
    return {**exec_properties, standard_component_specs.CUSTOM_CONFIG_KEY: json.dumps(custom)}


def drop_naive_model(input_dict: dict[str, list[Artifact]]) -> dict[str, list[Artifact]]:
    """The inputs, for `training.warm_start: live`: where nothing is live yet, there is no model to begin with."""
    key = standard_component_specs.BASE_MODEL_KEY
    models = input_dict.get(key) or []
    if not models or models[0].get_string_custom_property("kind") != "naive":
        return input_dict
    reason = models[0].get_string_custom_property("reason")
    message = f"training.warm_start is live, and {reason}: this training begins with fresh weights"
    LOG.info(message)
    progress.report_progress("Trainer", message)
    return {name: artifacts for name, artifacts in input_dict.items() if name != key}


def set_result_properties(model: Artifact, result: TrainingResult) -> None:
    """Writes the result on the artifact."""
    for name in ("strategy", "stopped"):
        model.set_string_custom_property(name, getattr(result, name))
    for name in ("replicas", "steps", "rows", "restarts", "best_step"):
        model.set_int_custom_property(name, getattr(result, name))
    model.set_float_custom_property("seconds", result.seconds)
    if result.decision_rule:
        model.set_float_custom_property("temperature", result.decision_rule.temperature)
        model.set_float_custom_property("threshold", result.decision_rule.threshold)
