"""ModelExplainer's executor: artifacts to paths, and the work in a process of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils

from taxiway.components.contract import find_judging_split, serving_model_dir
from taxiway.components.explanation.config import ExplanationConfig
from taxiway.components.explanation.job import ExplanationJob
from taxiway.components.files.durable_files import replace_file
from taxiway.components.files.versioned_report import EXPLANATION_REPORT
from taxiway.components.processes import progress, subprocesses
from taxiway.components.tables.examples.shards import list_shards

EXPLANATION_FILE, LOG_FILE = "explanation.json", "log.txt"
START_SECONDS = 60.0
"""Allowance for starting Python and TensorFlow, beside the configured time."""
NODE = "ModelExplainer"


class ModelExplainerExecutor(base_executor.BaseExecutor):
    """Writes `explanation.json`. Where the model cannot be explained, that is what it says: the push stands."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        written = artifact_utils.get_single_instance(output_dict["explanation"])
        Path(written.uri).mkdir(parents=True, exist_ok=True)
        job = _build_job(input_dict, exec_properties)
        progress.report_progress(NODE, f"asking the model on rows of the split {job.split}")
        explanation = _explain(job, Path(written.uri, LOG_FILE))
        replace_file(Path(written.uri, EXPLANATION_FILE), json.dumps(explanation, indent=1))
        written.set_string_custom_property("metric", job.metric)
        written.set_string_custom_property("split", job.split)
        written.set_string_custom_property("error", explanation.get("error", ""))
        progress.report_progress(NODE, summarize_explanation(explanation), 1.0)


def _explain(job: ExplanationJob, log: Path) -> dict[str, Any]:
    outcome = subprocesses.run_module(
        "taxiway.components.explanation.explain",
        job.model_dump(mode="json"),
        log,
        timeout_seconds=job.config.timeout_seconds + START_SECONDS,
        environment={"CUDA_VISIBLE_DEVICES": "-1"},  # the server has none, and training may hold the GPU
    )
    if outcome.result is not None:
        return outcome.result
    return {"version": EXPLANATION_REPORT.version, "split": job.split, "error": outcome.error}


def summarize_explanation(explanation: dict[str, Any]) -> str:
    """One line: the most important columns, or why there are none."""
    if explanation.get("error"):
        return f"not explained: {explanation['error']}"
    if explanation["few"]:
        return f"no importance: too few rows ({explanation['few']})"
    names = [each["name"] for each in explanation["importance"] if each["mean"] is not None][:3]
    return f"most important: {', '.join(names)}" if names else "no column was shuffled in the time that was given"


def _build_job(inputs: dict[str, list[Artifact]], properties: dict[str, Any]) -> ExplanationJob:
    examples = artifact_utils.get_single_instance(inputs["examples"])
    split = properties.get("split") or find_judging_split(artifact_utils.decode_split_names(examples.split_names))
    return ExplanationJob(
        model_folder=serving_model_dir(artifact_utils.get_single_uri(inputs["model"])),
        files=tuple(shard.records for shard in list_shards(examples.uri, split)),
        split=split,
        label=properties["label"],
        task=properties["task"],
        metric=properties["metric"],
        classes=tuple(json.loads(properties["classes"])),
        calendar=json.loads(properties["calendar"]),
        config=ExplanationConfig.model_validate_json(properties["config"]),
    )
