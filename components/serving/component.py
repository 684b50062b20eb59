"""The serving validator and the pusher: what flows in and out."""

from __future__ import annotations

from tfx import types
from tfx.components import Pusher as TfxPusher
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import pusher_pb2
from tfx.types import component_spec, standard_artifacts, standard_component_specs

from components import artifacts
from components.serving.config import ServingConfig
from components.serving.executor import PusherExecutor, ServingValidatorExecutor

_CHANNEL, _PARAMETER = component_spec.ChannelParameter, component_spec.ExecutionParameter


class ServingValidatorSpec(component_spec.ComponentSpec):
    """In: candidate, trained model, live model, examples, the optimizer's report. Out: blessing and report."""

    PARAMETERS = {
        "config": _PARAMETER(type=str),
        "label": _PARAMETER(type=str),
        "task": _PARAMETER(type=str),
        "model_name": _PARAMETER(type=str),
        "split": _PARAMETER(type=str),
    }
    INPUTS = {
        "model": _CHANNEL(type=standard_artifacts.Model),
        "trained_model": _CHANNEL(type=standard_artifacts.Model),
        "baseline_model": _CHANNEL(type=standard_artifacts.Model, optional=True),
        "examples": _CHANNEL(type=standard_artifacts.Examples),
        "schema": _CHANNEL(type=standard_artifacts.Schema, optional=True),
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

    def __init__(
        self,
        *,
        model: types.BaseChannel,
        trained_model: types.BaseChannel,
        examples: types.BaseChannel,
        label: str,
        task: str,
        config: str,
        model_name: str,
        baseline_model: types.BaseChannel | None = None,
        schema: types.BaseChannel | None = None,
        optimization_report: types.BaseChannel | None = None,
        split: str = "eval",
    ) -> None:
        """Args:
        model: The candidate.
        trained_model: What the candidate must answer like.
        examples: Raw examples.
        label: The label's column, which no request holds.
        task: `binary`, `multiclass` or `regression`.
        config: `ServingConfig` as JSON.
        model_name: Under which the server knows the model.
        baseline_model: The live model, whose clients must find their inputs again; the naive one has none.
        schema: For the lineage only.
        optimization_report: The optimizer's, with the chosen variant's stated error.
        split: Of the examples, from which requests are made.
        """
        ServingConfig.model_validate_json(config)
        spec = ServingValidatorSpec(
            model=model,
            trained_model=trained_model,
            baseline_model=baseline_model,
            examples=examples,
            schema=schema,
            optimization_report=optimization_report,
            label=label,
            task=task,
            config=config,
            model_name=model_name,
            split=split,
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
    """TFX's Pusher with a push that is atomic and reversible, and says honestly whether it pushed."""

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(PusherExecutor)

    def __init__(
        self,
        *,
        model: types.BaseChannel,
        serving_directory: str,
        model_name: str,
        run_id: str,
        config: str,
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
        serving_directory: The model's own folder, `<root>/serving/<model>`; absolute.
        model_name: Under which the server knows the model.
        run_id: Of this run; a new one makes TFX run the pusher rather than answer from its cache.
        config: `ServingConfig` as JSON.
        model_blessing: The Evaluator's. Not blessed: nothing is pushed, and that is recorded.
        infra_blessing: The serving validator's; it also names the bytes that were tried.
        optimization_report: The optimizer's, for the provenance.
        evaluation: The Evaluator's, for the provenance.
        examples: What the model was made from, for the provenance; the version carries how their rows were read.
        code_fingerprint: Of code and configuration, for the provenance.
        force: Push even what is live already or was rolled back.
        """
        ServingConfig.model_validate_json(config)
        destination = pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=serving_directory)
        )
        spec = PusherSpec(
            model=model,
            model_blessing=model_blessing,
            infra_blessing=infra_blessing,
            optimization_report=optimization_report,
            evaluation=evaluation,
            examples=examples,
            push_destination=destination,
            custom_config="null",
            config=config,
            model_name=model_name,
            run_id=run_id,
            code_fingerprint=code_fingerprint,
            force=int(force),
            pushed_model=types.Channel(type=standard_artifacts.PushedModel),
        )
        # TFX's own constructor builds TFX's own spec, which has no place for the provenance.
        base_component.BaseComponent.__init__(self, spec=spec)
