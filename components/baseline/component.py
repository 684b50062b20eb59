"""The baseline as an ordinary component: the stock resolver cannot run on open-source Kubeflow Pipelines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import Artifact, artifact_utils, component_spec, standard_artifacts

from taxiway.components.baseline import core
from taxiway.components.baseline.driver import LiveModelDriver
from taxiway.components.component_arguments import check_task, make_absolute
from taxiway.components.contract import Task
from taxiway.components.processes import progress


class BaselineExecutor(base_executor.BaseExecutor):
    """Copies the live model, or writes the naive one."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        statistics = artifact_utils.get_single_instance(input_dict["statistics"])
        model = artifact_utils.get_single_instance(output_dict["model"])
        Path(model.uri).mkdir(parents=True, exist_ok=True)
        baseline = core.provide_baseline(
            exec_properties["serving_directory"],
            stats_artifact_utils.load_statistics(statistics, exec_properties["split"]).proto(),
            exec_properties["label"],
            exec_properties["task"],
            model.uri,
            core.build_load_check(exec_properties),
        )
        model.set_string_custom_property("kind", baseline.kind)
        model.set_int_custom_property("version", baseline.version)
        model.set_string_custom_property("reason", baseline.reason)
        progress.report_progress("Baseline", f"{baseline.kind}: {baseline.reason}", 1.0)


class BaselineSpec(component_spec.ComponentSpec):
    """In: statistics, schema. Out: the model."""

    PARAMETERS = {
        "serving_directory": component_spec.ExecutionParameter(type=str),
        "label": component_spec.ExecutionParameter(type=str),
        "task": component_spec.ExecutionParameter(type=str),
        "split": component_spec.ExecutionParameter(type=str),
        "fingerprint": component_spec.ExecutionParameter(type=str),
        "check": component_spec.ExecutionParameter(type=str),
        "allowed_ops": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema, optional=True),
    }
    OUTPUTS = {"model": component_spec.ChannelParameter(type=standard_artifacts.Model)}


class Baseline(base_component.BaseComponent):
    """The model that the candidate must beat: live, or naive where none is live."""

    SPEC_CLASS = BaselineSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(BaselineExecutor)
    DRIVER_CLASS = LiveModelDriver

    def __init__(
        self,
        *,
        statistics: types.BaseChannel,
        serving_directory: str | Path,
        label: str,
        task: Task,
        schema: types.BaseChannel | None = None,
        split: str = "train",
        fingerprint: str = "",
        check: str = "",
        allowed_ops: Sequence[str] = (),
    ) -> None:
        """Args:
        statistics: TFDV's; the naive model answers the label's distribution in `split`.
        serving_directory: The model's own folder, `<root>/serving/<model>`. It need not exist.
        label: The label's column.
        task: `binary`, `multiclass` or `regression`.
        schema: The curated schema, for the lineage only.
        split: The training split.
        fingerprint: Any text, to start anew in TFX's cache. Which version is live, the node's driver tells the cache.
        check: Dotted path of the function of a folder and `allowed_ops` that refuses a live model that may not be
            loaded. Empty: none is refused.
        allowed_ops: TensorFlow ops that the configuration allows beside the list.
        """
        spec = BaselineSpec(
            statistics=statistics,
            schema=schema,
            serving_directory=make_absolute(serving_directory),
            label=label,
            task=check_task(task),
            split=split,
            fingerprint=fingerprint,
            check=check,
            allowed_ops=json.dumps(list(allowed_ops)),
            model=types.Channel(type=standard_artifacts.Model),
        )
        super().__init__(spec=spec)
