"""The Evaluator's executor: what TFX's own writes, thousands of rows at a time.

TFX's executor decodes every column of every row and has no place for another reader. Artifacts, properties and TFMA's
files are the same.
"""

from __future__ import annotations

import logging
from typing import Any

import tensorflow_model_analysis as tfma
from google.protobuf import json_format
from tensorflow_model_analysis.proto import config_pb2
from tfx.components.evaluator import constants
from tfx.components.evaluator import executor as tfx_executor
from tfx.dsl.io import fileio
from tfx.types import Artifact, artifact_utils
from tfx.types import standard_component_specs as keys
from tfx.utils import io_utils, json_utils, path_utils

from taxiway.components.contract import DECISION_RULE_FILE, find_judging_split
from taxiway.components.evaluation.analysis import analyze_models
from taxiway.components.evaluation.eval_config import add_decision_thresholds, find_batch_obstacle
from taxiway.components.saved_models.decision_rule import DecisionRule, parse_decision_rule

LOG = logging.getLogger(__name__)
_Artifacts = dict[str, list[Artifact]]


class Executor(tfx_executor.Executor):
    """Evaluates on `test`, or on `eval` where the examples have no such split, models with our metrics in batches.

    Anything else is left to TFX's executor.
    """

    def Do(self, input_dict: _Artifacts, output_dict: _Artifacts, exec_properties: dict[str, Any]) -> None:  # noqa: N802
        exec_properties = name_decision_thresholds(input_dict, choose_judging_split(input_dict, exec_properties))
        eval_config = _read_eval_config(input_dict, exec_properties)
        if eval_config is None:
            super().Do(input_dict, output_dict, exec_properties)
            return
        self._log_startup(input_dict, output_dict, exec_properties)
        output = artifact_utils.get_single_uri(output_dict[keys.EVALUATION_KEY])
        models = [_open_model(spec, input_dict, eval_config) for spec in eval_config.model_specs]
        with self._make_beam_pipeline() as pipeline:
            analyze_models(pipeline, _list_patterns(input_dict, exec_properties), models, eval_config, output)
        if tfma.metrics.metric_thresholds_from_metrics_specs(eval_config.metrics_specs, eval_config=eval_config):
            _write_blessing(input_dict, output_dict, exec_properties, tfma.load_validation_result(output))


def choose_judging_split(input_dict: _Artifacts, exec_properties: dict[str, Any]) -> dict[str, Any]:
    """The properties, with the split that judges where they name none: whether rows sufficed for three is known now."""
    key = keys.EXAMPLE_SPLITS_KEY
    if json_utils.loads(exec_properties.get(key) or "null"):
        return exec_properties
    splits = [set(artifact_utils.decode_split_names(each.split_names)) for each in input_dict[keys.EXAMPLES_KEY]]
    return {**exec_properties, key: json_utils.dumps([find_judging_split(set.intersection(*splits))])}


def name_decision_thresholds(input_dict: _Artifacts, exec_properties: dict[str, Any]) -> dict[str, Any]:
    """The properties, with the threshold of each model in TFMA's configuration: what is measured is what is served."""
    text = exec_properties.get(keys.EVAL_CONFIG_KEY)
    if not text or not input_dict.get(keys.MODEL_KEY):
        return exec_properties
    eval_config = json_format.Parse(text, config_pb2.EvalConfig())
    specs = _complete_config(eval_config, input_dict).model_specs
    add_decision_thresholds(eval_config, {spec.name: _read_threshold(_find_model(spec, input_dict)) for spec in specs})
    return {**exec_properties, keys.EVAL_CONFIG_KEY: json_format.MessageToJson(eval_config, sort_keys=True)}


def _read_threshold(folder: str) -> float:
    """As `decision_rule.read_threshold`, of a folder that may be in an object store."""
    path = f"{folder}/{DECISION_RULE_FILE}"
    if not fileio.exists(path):
        return DecisionRule().threshold
    return parse_decision_rule(io_utils.read_string_file(path), path).threshold


def _complete_config(eval_config: config_pb2.EvalConfig, input_dict: _Artifacts) -> config_pb2.EvalConfig:
    """TFMA's defaults filled in: the names of its models depend on whether there is a baseline."""
    has_baseline = bool(input_dict.get(keys.BASELINE_MODEL_KEY))
    return tfma.utils.update_eval_config_with_defaults(eval_config, has_baseline=has_baseline, rubber_stamp=True)


def _read_eval_config(input_dict: _Artifacts, exec_properties: dict[str, Any]) -> config_pb2.EvalConfig | None:
    """TFMA's configuration, its defaults filled in; None where not all of it can be computed from batches."""
    text = exec_properties.get(keys.EVAL_CONFIG_KEY)
    if not text or not input_dict.get(keys.MODEL_KEY) or exec_properties.get(keys.MODULE_PATH_KEY):
        return None
    eval_config = json_format.Parse(text, config_pb2.EvalConfig())
    if obstacle := find_batch_obstacle(eval_config):
        LOG.info("Rows are judged one by one, by TFX's executor: %s", obstacle)
        return None
    eval_config = _complete_config(eval_config, input_dict)
    tfma.utils.verify_eval_config(eval_config)
    return eval_config


def _open_model(spec: config_pb2.ModelSpec, input_dict: _Artifacts, eval_config: config_pb2.EvalConfig) -> Any:
    path = _find_model(spec, input_dict)
    return tfma.default_eval_shared_model(eval_saved_model_path=path, model_name=spec.name, eval_config=eval_config)


def _find_model(spec: config_pb2.ModelSpec, input_dict: _Artifacts) -> str:
    """The SavedModel's folder."""
    key = keys.BASELINE_MODEL_KEY if spec.is_baseline else keys.MODEL_KEY
    model = artifact_utils.get_single_instance(input_dict[key])
    return str(path_utils.serving_model_path(model.uri, path_utils.is_old_model_artifact(model)))


def _list_patterns(input_dict: _Artifacts, exec_properties: dict[str, Any]) -> list[str]:
    """Patterns of the files of the rows that judge."""
    splits = json_utils.loads(exec_properties[keys.EXAMPLE_SPLITS_KEY])
    return [
        io_utils.all_files_pattern(uri)
        for split in splits
        for uri in artifact_utils.get_split_uris(input_dict[keys.EXAMPLES_KEY], split)
    ]


def _write_blessing(
    input_dict: _Artifacts, output_dict: _Artifacts, exec_properties: dict[str, Any], validation: Any
) -> None:
    """The verdict, as TFX's Pusher and resolvers read it: a file, a property, and which models were compared."""
    blessing = artifact_utils.get_single_instance(output_dict[keys.BLESSING_KEY])
    for key, uri, number in (
        (
            keys.MODEL_KEY,
            constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY,
            constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY,
        ),
        (
            keys.BASELINE_MODEL_KEY,
            constants.ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY,
            constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY,
        ),
    ):
        for model in input_dict.get(key, ())[:1]:
            blessing.set_string_custom_property(uri, model.uri)
            blessing.set_int_custom_property(number, model.id)
    if "current_component_id" in exec_properties:
        blessing.set_string_custom_property("component_id", exec_properties["current_component_id"])
    passed = validation.validation_ok
    name = constants.BLESSED_FILE_NAME if passed else constants.NOT_BLESSED_FILE_NAME
    io_utils.write_string_file(f"{blessing.uri}/{name}", "")
    blessing.set_int_custom_property(
        constants.ARTIFACT_PROPERTY_BLESSED_KEY, constants.BLESSED_VALUE if passed else constants.NOT_BLESSED_VALUE
    )
