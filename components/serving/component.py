"""The serving validator and the pusher: what flows in and out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components import Pusher as TfxPusher
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import pusher_pb2
from tfx.types import component_spec, standard_artifacts, standard_component_specs

from taxiway.components import artifacts
from taxiway.components.component_arguments import check_task, make_absolute, parse_section
from taxiway.components.contract import Task
from taxiway.components.serving.config import ServingConfig
from taxiway.components.serving.driver import InputChangesDriver
from taxiway.components.serving.executor import PusherExecutor, ServingValidatorExecutor

RUN_ID_PLACEHOLDER = "{{$.pipeline_job_uuid}}"
"""Kubeflow puts the run's id here (`backend/src/v2/driver/resolve.go`); elsewhere the executor's context has it."""

_CHANNEL, _PARAMETER = component_spec.ChannelParameter, component_spec.ExecutionParameter


class ServingValidatorSpec(component_spec.ComponentSpec):
    """In: candidate, trained model, live model, examples, the optimizer's report. Out: blessing and report."""

    PARAMETERS = {
        "config": _PARAMETER(type=str),
        "label": _PARAMETER(type=str),
        "task": _PARAMETER(type=str),
        "model_name": _PARAMETER(type=str),
        "split": _PARAMETER(type=str),
        "prediction_output": _PARAMETER(type=str, optional=True),
    }
    INPUTS = {
        "model": _CHANNEL(type=standard_artifacts.Model),
        "trained_model": _CHANNEL(type=standard_artifacts.Model, optional=True),
        "baseline_model": _CHANNEL(type=standard_artifacts.Model, optional=True),
        "examples": _CHANNEL(type=standard_artifacts.Examples),
        "schema": _CHANNEL(type=standard_artifacts.Schema, optional=True),
        "statistics": _CHANNEL(type=standard_artifacts.ExampleStatistics, optional=True),
        "optimization_report": _CHANNEL(type=artifacts.OptimizationReport, optional=True),
    }
    OUTPUTS = {
        "blessing": _CHANNEL(type=standard_artifacts.InfraBlessing),
        "report": _CHANNEL(type=artifacts.ServingReport),
    }


class ServingValidator(base_component.BaseComponent):
    """Tries the candidate as a server would run it, with real rows, before anything is pushed."""

    SPEC_CLASS = ServingValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(ServingValidatorExecutor)
    DRIVER_CLASS = InputChangesDriver

    def __init__(
        self,
        *,
        model: types.BaseChannel,
        examples: types.BaseChannel,
        label: str,
        task: Task,
        model_name: str = "model",
        config: ServingConfig | Mapping[str, Any] | None = None,
        prediction_output: str = "",
        trained_model: types.BaseChannel | None = None,
        baseline_model: types.BaseChannel | None = None,
        schema: types.BaseChannel | None = None,
        statistics: types.BaseChannel | None = None,
        optimization_report: types.BaseChannel | None = None,
        split: str = "eval",
    ) -> None:
        """Args:
        model: The candidate.
        examples: Raw examples.
        label: The label's column, which no request holds.
        task: `binary`, `multiclass` or `regression`.
        model_name: Name under which the server knows the model.
        config: How the model is tried.
        prediction_output: Output of `serving_default` with the scores. Empty: `probabilities`, `predictions`, or the
            only output of numbers.
        trained_model: Model that the candidate must answer like; without one, the candidate itself outside of a server.
        baseline_model: The live model, whose clients must find their inputs again; the naive one has none.
        schema: Schema, which the version carries with the statistics.
        statistics: Statistics of the rows that trained, which the version carries: `taxiway monitor` compares its
            traffic with them.
        optimization_report: The optimizer's, with the chosen variant's stated error.
        split: Split of the examples from which requests are made.
        """
        settings = parse_section(ServingConfig, config, "config")
        spec = ServingValidatorSpec(
            model=model,
            trained_model=trained_model,
            baseline_model=baseline_model,
            examples=examples,
            schema=schema,
            statistics=statistics,
            optimization_report=optimization_report,
            label=label,
            task=check_task(task),
            config=settings.model_dump_json(),
            model_name=model_name,
            split=split,
            prediction_output=prediction_output,
            blessing=types.Channel(type=standard_artifacts.InfraBlessing),
            report=types.Channel(type=artifacts.ServingReport),
        )
        super().__init__(spec=spec)


class PusherSpec(component_spec.ComponentSpec):
    """TFX's, with inputs for the provenance and parameters for the push."""

    PARAMETERS = {
        **standard_component_specs.PusherSpec.PARAMETERS,
        "config": _PARAMETER(type=str),
        "model_name": _PARAMETER(type=str),
        "run_id": _PARAMETER(type=str),
        "code_fingerprint": _PARAMETER(type=str),
        "force": _PARAMETER(type=int),
    }
    INPUTS = {
        **standard_component_specs.PusherSpec.INPUTS,
        "optimization_report": _CHANNEL(type=artifacts.OptimizationReport, optional=True),
        "evaluation": _CHANNEL(type=standard_artifacts.ModelEvaluation, optional=True),
        "examples": _CHANNEL(type=standard_artifacts.Examples, optional=True),
    }
    OUTPUTS = standard_component_specs.PusherSpec.OUTPUTS
    TYPE_ANNOTATION = standard_component_specs.PusherSpec.TYPE_ANNOTATION


class Pusher(TfxPusher):
    """TFX's Pusher with a push that is atomic and reversible, and records whether it pushed."""

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(PusherExecutor)

    def __init__(
        self,
        *,
        model: types.BaseChannel,
        serving_directory: str | Path,
        model_name: str = "",
        config: ServingConfig | Mapping[str, Any] | None = None,
        model_blessing: types.BaseChannel | None = None,
        infra_blessing: types.BaseChannel | None = None,
        optimization_report: types.BaseChannel | None = None,
        evaluation: types.BaseChannel | None = None,
        examples: types.BaseChannel | None = None,
        code_fingerprint: str = "",
        force: bool = False,
    ) -> None:
        """Args:
        model: The candidate.
        serving_directory: The model's own folder, in which each version is a folder with a number.
        model_name: Name under which the server knows the model; empty: the folder's.
        config: What a version may be, and how many are kept.
        model_blessing: The Evaluator's. Not blessed: nothing is pushed, and that is recorded.
        infra_blessing: The serving validator's; it also names the bytes that were tried.
        optimization_report: The optimizer's, for the provenance.
        evaluation: The Evaluator's, for the provenance.
        examples: Examples that the model was trained on: their span goes into the provenance, their reading rules into
            the version.
        code_fingerprint: Fingerprint of code and configuration, for the provenance.
        force: Push even what is live already or was rolled back.
        """
        settings, folder = parse_section(ServingConfig, config, "config"), make_absolute(serving_directory)
        filesystem = pusher_pb2.PushDestination.Filesystem(base_directory=folder)
        spec = PusherSpec(
            model=model,
            model_blessing=model_blessing,
            infra_blessing=infra_blessing,
            optimization_report=optimization_report,
            evaluation=evaluation,
            examples=examples,
            push_destination=pusher_pb2.PushDestination(filesystem=filesystem),
            custom_config="null",
            config=settings.model_dump_json(),
            model_name=model_name or Path(folder).name,
            run_id=RUN_ID_PLACEHOLDER,
            code_fingerprint=code_fingerprint,
            force=int(force),
            pushed_model=types.Channel(type=standard_artifacts.PushedModel),
        )
        # TFX's own constructor builds TFX's own spec, which has no place for the provenance.
        base_component.BaseComponent.__init__(self, spec=spec)
