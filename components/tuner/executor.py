"""The tuner's executor: artifacts to paths, the search in a process of its own, the result on the artifacts."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils, standard_component_specs
from tfx.utils import io_utils

from taxiway.components.artifacts import read_row_counts
from taxiway.components.contract import EVAL_SPLIT, TRAIN_SPLIT
from taxiway.components.errors import TrainingError
from taxiway.components.processes import subprocesses
from taxiway.components.tfx_artifacts import read_class_rows
from taxiway.components.training.fingerprint import compute_fingerprint
from taxiway.components.training.job import TrainingJob
from taxiway.components.training.tfx_arguments import build_job
from taxiway.components.tuner.config import TuningConfig
from taxiway.components.tuner.job import TuningJob, TuningResult

BEST, RESULTS = "best_hyperparameters", "tuner_results"
LOG_FILE = "search.log"
NOT_IN_KEY = ("enabled", "trials", "timeout_seconds", "parallel")
"""Settings of a search that may change while it goes on."""


class Executor(base_executor.BaseExecutor):
    """Searches, then sets custom properties on both outputs: `metric`, `settings` (str), `value` (float), `trials`,
    `best_trial` (int)."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        job = build_tuning_job(input_dict, output_dict, exec_properties)
        Path(job.storage).mkdir(parents=True, exist_ok=True)
        found = subprocesses.run_module_checked(
            "taxiway.components.tuner.search", job.model_dump(mode="json"), Path(job.storage, LOG_FILE), TrainingError
        )
        result = TuningResult.model_validate(found)
        for artifact in (*output_dict[BEST], *output_dict[RESULTS]):
            set_result_properties(artifact, result)


def build_tuning_job(
    inputs: dict[str, list[Artifact]], outputs: dict[str, list[Artifact]], properties: dict[str, Any]
) -> TuningJob:
    """The search that TFX's artifacts and properties describe."""
    tuning = TuningConfig.model_validate_json(properties["tuning"])
    training_job = build_training_job(inputs, properties)
    uri = artifact_utils.get_single_uri
    results = uri(outputs[RESULTS])
    key = compute_search_key(training_job, tuning)
    storage = str(Path(properties["storage_root"], key)) if properties["storage_root"] else results
    return TuningJob(
        training_job=training_job, tuning=tuning, storage=storage, best_dir=uri(outputs[BEST]), results_dir=results
    )


def build_training_job(inputs: dict[str, list[Artifact]], properties: dict[str, Any]) -> TrainingJob:
    """The job whose settings are searched: as the Trainer's, without its outputs."""
    uri = artifact_utils.get_single_uri
    examples = inputs[standard_component_specs.EXAMPLES_KEY]
    counts = {"rows": read_row_counts(examples, (TRAIN_SPLIT, EVAL_SPLIT)), "class_rows": read_class_rows(examples)}
    custom = json.loads(properties["custom_config"]) | counts
    files = {
        split: [io_utils.all_files_pattern(folder) for folder in artifact_utils.get_split_uris(examples, split)]
        for split in (TRAIN_SPLIT, EVAL_SPLIT)
    }
    arguments = SimpleNamespace(
        transform_graph_path=uri(inputs["transform_graph"]),
        train_files=files["train"],
        eval_files=files["eval"],
        schema_path=io_utils.get_only_uri_in_dir(uri(inputs["schema"])),
        serving_model_dir="",
        model_run_dir="",
        base_model=None,
        custom_config=custom,
    )
    return build_job(arguments).model_copy(update={"training_dir": "", "log_dir": ""})


def compute_search_key(job: TrainingJob, tuning: TuningConfig) -> str:
    """Hex digest of everything that decides what is searched: the same search goes on."""
    searched = tuning.model_dump_json(exclude=set(NOT_IN_KEY))
    return hashlib.sha256(f"{compute_fingerprint(job)}\0{searched}".encode()).hexdigest()[:32]


def set_result_properties(artifact: Artifact, result: TuningResult) -> None:
    """Writes the result on an artifact."""
    artifact.set_string_custom_property("metric", result.metric)
    artifact.set_float_custom_property("value", result.value)
    artifact.set_int_custom_property("trials", result.trials)
    artifact.set_int_custom_property("best_trial", result.best)
    artifact.set_string_custom_property("settings", describe_settings(result.settings))


def describe_settings(settings: dict[str, Any]) -> str:
    """Settings as one line, numbers short."""
    shown = {name: f"{value:.4g}" if isinstance(value, float) else f"{value}" for name, value in settings.items()}
    return ", ".join(f"{name} {value}" for name, value in sorted(shown.items()))
