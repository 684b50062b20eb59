"""The configuration: one YAML file, one frozen object. Each section's class lives beside its component."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, PrivateAttr, ValidationError, model_validator

from taxiway.components.component_arguments import format_validation_error
from taxiway.components.config_section import Section
from taxiway.components.errors import ConfigError
from taxiway.components.evaluation.config import EvaluationConfig
from taxiway.components.example_gen.config import DataConfig, LabelConfig
from taxiway.components.explanation.config import ExplanationConfig
from taxiway.components.gates.config import GatesConfig
from taxiway.components.optimizer.config import OptimizationConfig
from taxiway.components.redaction import holds_password
from taxiway.components.schema.location import locate_schema
from taxiway.components.serving.config import ServingConfig
from taxiway.components.tables.config import PASSWORD_REMEDY, SPAN_PLACEHOLDER
from taxiway.components.training.config import ModelConfig, TrainingConfig
from taxiway.components.training.kind_defaults import fill_in_training
from taxiway.components.transform.config import FeaturesConfig, PreprocessingConfig
from taxiway.components.tuner.config import TuningConfig
from taxiway.pipeline.assignments import parse_assignment
from taxiway.pipeline.resources import BeamConfig, KubeflowConfig
from taxiway.pipeline.yaml_text import parse_yaml, read_limited_text

DEFAULT_CONFIG = Path(__file__).parent.parent / "data" / "taxi" / "taxi.yaml"


class ResourcesConfig(Section):
    """What a component may use where it runs."""

    beam: BeamConfig = BeamConfig()
    """Engine that runs the Beam steps."""
    beam_args: tuple[str, ...] = ()
    """Further options of Beam itself, such as `--checkpointing_interval=60000`; they win over those of `beam`."""
    concurrency: int = Field(0, ge=0)
    """Processes that a run on this machine keeps busy at a time; 0: one a core. 1: one node after the other, and each
    child process imports TensorFlow for itself."""
    kubeflow: KubeflowConfig = KubeflowConfig()
    """Image, volumes, processors and memory of each component in a cluster."""


class PipelineConfig(Section):
    """The whole configuration of a pipeline. `load_config` reads and checks it."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}$")
    """The model's name: the folder under `serving/`, and what clients ask for."""
    pipeline: str = Field("", pattern=r"^([A-Za-z_][\w.]*:[A-Za-z_]\w*)?$")
    """`module:function` of yours that makes the pipeline, called as `(config, root, cache=..., force=...)`; it may lie
    beside the configuration. Empty: `taxiway.create_pipeline`."""
    data: DataConfig
    label: LabelConfig
    features: FeaturesConfig = FeaturesConfig()
    preprocessing: PreprocessingConfig = PreprocessingConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    tuning: TuningConfig = TuningConfig()
    gates: GatesConfig = GatesConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    optimization: OptimizationConfig = OptimizationConfig()
    serving: ServingConfig = ServingConfig()
    explanation: ExplanationConfig = ExplanationConfig()
    resources: ResourcesConfig = ResourcesConfig()

    _source: Path | None = PrivateAttr(None)

    @model_validator(mode="before")
    @classmethod
    def _fill_in_training(cls, values: Any) -> Any:
        """The settings of `training` that suit the model's kind, where none are given."""
        if not isinstance(values, Mapping):
            return values
        given = values.get("training", {})
        filled = fill_in_training(values.get("model", {}), given)
        return values if filled is given else {**values, "training": filled}

    @property
    def source(self) -> Path | None:
        """The file it was read from; None for one made in Python."""
        return self._source

    @property
    def pipeline_function(self) -> str:
        """The dotted path of the function that `pipeline` names; empty where it names none."""
        return self.pipeline.replace(":", ".")

    @property
    def schema_path(self) -> Path | None:
        """The curated schema, beside the configuration file; see `taxiway.components.schema.location`."""
        return locate_schema(self._source) if self._source else None


def load_config(path: str | Path | None = None, overrides: Iterable[str] = ()) -> PipelineConfig:
    """Reads a configuration file.

    Args:
        path: YAML file; None: the taxi example's.
        overrides: Changes `section.key=value`, the value in YAML; as `--set` on the command line.

    Raises:
        ConfigError: The file cannot be read, or a key or value is wrong.
    """
    file = Path(path or DEFAULT_CONFIG)
    content = _read_settings(file)
    for override in overrides:
        _apply_override(content, override)
    config = parse_config(content, str(file))
    config = config.model_copy(update={"data": config.data.resolve_path(file.resolve().parent)})
    config._source = file.resolve()
    return config


def parse_config(content: Mapping[str, Any], where: str = "the configuration") -> PipelineConfig:
    """Validates a nested mapping; see `load_config`."""
    _check_values(content, where)
    try:
        config = PipelineConfig.model_validate(content)
        config.evaluation.check_metrics(config.label.task, config.label.classes)
        config.training.check_task(config.label.task)
        config.tuning.check_space(config.model, config.training)
        check_spans(config)
    except ValidationError as error:
        raise ConfigError(
            f"{where}: {format_validation_error(error, PipelineConfig)}", "Mend the key and run again."
        ) from error
    return config


def _check_values(value: Any, where: str, key: str = "") -> None:
    """Raises `ConfigError` for NaN and infinity, which YAML can write and no setting means, and for addresses with
    passwords, which would be kept with every run."""
    if isinstance(value, str) and holds_password(value):
        raise ConfigError(f"{where}: {key} is an address with a password or a key in it.", PASSWORD_REMEDY)
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where}: {key} is {value}, which is no number.", "Give a finite number, or take it out.")
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _check_values(inner, where, f"{key}.{name}" if key else str(name))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _check_values(inner, where, key)


def check_spans(config: PipelineConfig) -> None:
    """Raises `ConfigError` where drift is to be judged against spans that the data does not have."""
    if config.gates.drift.against == "previous_span" and SPAN_PLACEHOLDER not in config.data.path:
        raise ConfigError(
            f"gates.drift.against is previous_span, but data.path {config.data.path!r} holds no {SPAN_PLACEHOLDER}.",
            "Write {SPAN} where the path has the number of the span, or set gates.drift.against to live.",
        )


def _read_settings(file: Path) -> dict[str, Any]:
    try:
        content = parse_yaml(read_limited_text(file, ConfigError))
    except FileNotFoundError as error:
        raise ConfigError(
            f"There is no configuration file {str(file)!r}.",
            "Name one, or make one with `taxiway init DATA --label COLUMN -o FILE`.",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}", "A configuration is a YAML file in UTF-8.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{file} is not YAML: {error}", "Mend the line that the message names.") from error
    if not isinstance(content, dict):
        raise ConfigError(
            f"{file} holds {type(content).__name__}, not a mapping of sections.",
            f"Sections: {', '.join(PipelineConfig.model_fields)}.",
        )
    return content


def _apply_override(content: dict[str, Any], override: str) -> None:
    key, value = parse_assignment("--set", override, "training.epochs=3", ConfigError)
    *sections, last = key.split(".")
    for section in sections:
        inner = content.setdefault(section, {})
        if not isinstance(inner, dict):
            raise ConfigError(
                f"--set {key}: {section!r} is a value, not a section.", "See `taxiway init` for the keys."
            )
        content = inner
    content[last] = value
