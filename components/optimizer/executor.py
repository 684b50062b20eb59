"""ModelOptimizer's executor: artifacts to folders, and the search in a process of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils

from taxiway.components.errors import OptimizationError
from taxiway.components.optimizer import report
from taxiway.components.optimizer.config import OptimizationConfig
from taxiway.components.optimizer.job import SEARCH, OptimizerJob, compute_time_limit
from taxiway.components.processes import subprocesses

LOG_FILE = "optimizer.log"


class Executor(base_executor.BaseExecutor):
    """Runs the search and names the choice on both outputs."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        job = _build_job(input_dict, output_dict, exec_properties)
        Path(job.report_uri).mkdir(parents=True, exist_ok=True)
        _run_search(job)
        result = report.read_report(job.report_uri)
        for artifact in (*output_dict["model"], *output_dict["report"]):
            artifact.set_string_custom_property("chosen", result.decision.chosen)
        for artifact in output_dict.get("exports") or []:
            runtimes = {result.find_variant(name).runtime for name in result.exports}
            artifact.set_string_custom_property("runtime", ", ".join(sorted(runtimes)))
            artifact.set_string_custom_property("variants", ", ".join(result.exports))


def _run_search(job: OptimizerJob) -> None:
    """Runs the search, which keeps to its budget by itself; that it is killed here is the last resort.

    Raises:
        OptimizationError: It failed, or did not end.
    """
    limit = compute_time_limit(job.config)
    log = Path(job.report_uri, LOG_FILE)
    outcome = subprocesses.run_module(SEARCH, job.model_dump(mode="json"), log, timeout_seconds=limit)
    if outcome.returncode is None:
        problem = f"The optimizer did not end within {limit:g} s and was killed. Its log: {log}"
        raise OptimizationError(problem, job.config.time_remedy)
    subprocesses.raise_child_error(outcome, OptimizationError)


def _build_job(
    inputs: dict[str, list[Artifact]], outputs: dict[str, list[Artifact]], properties: dict[str, Any]
) -> OptimizerJob:
    uri = artifact_utils.get_single_uri
    return OptimizerJob(
        model=uri(inputs["trained_model"]),
        transform_graph=_find_uri(inputs, "transform_graph"),
        transformed_examples=_find_uri(inputs, "transformed_examples"),
        examples=uri(inputs["examples"]),
        schema_uri=uri(inputs["schema"]),
        task=properties["task"],
        label=properties["label"],
        prediction_output=properties.get("prediction_output") or "",
        metric=properties["metric"],
        slices=tuple(tuple(columns) for columns in json.loads(properties["slices"])),
        blessed=_is_blessed(inputs.get("blessing") or []),
        config=OptimizationConfig.model_validate_json(properties["config"]),
        chosen_uri=uri(outputs["model"]),
        report_uri=uri(outputs["report"]),
        exports_uri=uri(outputs["exports"]) if outputs.get("exports") else "",
    )


def _find_uri(inputs: dict[str, list[Artifact]], key: str) -> str:
    """The URI of an optional input, or empty."""
    return str(artifact_utils.get_single_uri(inputs[key])) if inputs.get(key) else ""


def _is_blessed(blessings: list[Artifact]) -> bool:
    """Whether every blessing that was given says yes. The Evaluator writes the custom property `blessed`."""
    return all(artifact.get_int_custom_property("blessed") == 1 for artifact in blessings)
