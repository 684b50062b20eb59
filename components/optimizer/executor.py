"""ModelOptimizer's executor: artifacts to folders, and the search in a process of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils

from components import subprocesses
from components.errors import OptimizationError
from components.optimizer import report
from components.optimizer.config import OptimizationConfig
from components.optimizer.job import OptimizerJob

LOG_FILE = "optimizer.log"
START_SECONDS = 120.0
"""Allowance for starting Python and TensorFlow, reading the rows and writing the model, beside the budget."""


class Executor(base_executor.BaseExecutor):
    """Runs the search and names the choice on both outputs."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        job = _job(input_dict, output_dict, exec_properties)
        Path(job.report_uri).mkdir(parents=True, exist_ok=True)
        outcome = subprocesses.run(
            "components.optimizer.search",
            job.model_dump(mode="json"),
            Path(job.report_uri, LOG_FILE),
            timeout_seconds=4 * job.config.budget_seconds + START_SECONDS,
        )
        subprocesses.raise_again(outcome, OptimizationError)
        result = report.read(job.report_uri)
        for artifact in (*output_dict["model"], *output_dict["report"]):
            artifact.set_string_custom_property("chosen", result.decision.chosen)
        for artifact in output_dict.get("exports") or []:
            runtimes = {result.variant(name).runtime for name in result.exports}
            artifact.set_string_custom_property("runtime", ", ".join(sorted(runtimes)))
            artifact.set_string_custom_property("variants", ", ".join(result.exports))


def _job(
    inputs: dict[str, list[Artifact]], outputs: dict[str, list[Artifact]], properties: dict[str, Any]
) -> OptimizerJob:
    uri = artifact_utils.get_single_uri
    return OptimizerJob(
        model=uri(inputs["trained_model"]),
        transform_graph=uri(inputs["transform_graph"]),
        transformed_examples=uri(inputs["transformed_examples"]),
        examples=uri(inputs["examples"]),
        schema_uri=uri(inputs["schema"]),
        task=properties["task"],
        label=properties["label"],
        metric=properties["metric"],
        slices=tuple(tuple(columns) for columns in json.loads(properties["slices"])),
        blessed=_blessed(inputs.get("blessing") or []),
        config=OptimizationConfig.model_validate_json(properties["config"]),
        chosen_uri=uri(outputs["model"]),
        report_uri=uri(outputs["report"]),
        exports_uri=uri(outputs["exports"]) if outputs.get("exports") else "",
    )


def _blessed(blessings: list[Artifact]) -> bool:
    """Whether every blessing that was given says yes. The Evaluator writes the custom property `blessed`."""
    return all(artifact.get_int_custom_property("blessed") == 1 for artifact in blessings)
