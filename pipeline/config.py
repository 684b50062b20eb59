"""The configuration: one YAML file, one frozen object. Each section's class lives beside its component."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, Field, PrivateAttr, ValidationError

from components.addresses import holds_password
from components.configuration import Section
from components.errors import ConfigError, close_matches
from components.evaluation.config import EvaluationConfig
from components.example_gen.config import DataConfig, LabelConfig
from components.gates.config import GatesConfig
from components.gates.location import schema_file
from components.optimizer.config import OptimizationConfig
from components.serving.config import ServingConfig
from components.tables.config import PASSWORD_REMEDY, SPAN_PLACEHOLDER
from components.training.config import ModelConfig, TrainingConfig
from components.transform.config import FeaturesConfig, PreprocessingConfig
from pipeline.assignments import assignment
from pipeline.resources import KubeflowConfig
from pipeline.yaml_text import parse_yaml, read_text

DEFAULT_CONFIG = Path(__file__).parent.parent / "data" / "taxi" / "taxi.yaml"


class ResourcesConfig(Section):
    """What a component may use where it runs."""

    beam_args: tuple[str, ...] = ()
    """Further Beam pipeline options, such as `--runner=FlinkRunner`."""
    kubeflow: KubeflowConfig = KubeflowConfig()
    """Image, volumes, processors and memory of each component in a cluster."""


class Config(Section):
    """Everything that a run is told.

    Raises:
        ConfigError: from `load`, with the key, its value and what is accepted.
    """

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}$")
    """The model's name: the folder under `serving/`, and what clients ask for."""
    data: DataConfig
    label: LabelConfig
    features: FeaturesConfig = FeaturesConfig()
    preprocessing: PreprocessingConfig = PreprocessingConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    gates: GatesConfig = GatesConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    optimization: OptimizationConfig = OptimizationConfig()
    serving: ServingConfig = ServingConfig()
    resources: ResourcesConfig = ResourcesConfig()

    _source: Path | None = PrivateAttr(None)

    @property
    def source(self) -> Path | None:
        """The file it was read from; None for one made in Python."""
        return self._source

    @property
    def schema_path(self) -> Path | None:
        """The curated schema, beside the configuration file; see `components.gates.location`."""
        return schema_file(self._source) if self._source else None


def load(path: str | Path | None = None, overrides: Iterable[str] = ()) -> Config:
    """Reads a configuration file.

    Args:
        path: The YAML file; the taxi example's where None.
        overrides: `section.key=value`, the value in YAML; as `--set` on the command line.

    Raises:
        ConfigError: the file cannot be read, or a key or value is wrong.
    """
    file = Path(path or DEFAULT_CONFIG)
    content = _read(file)
    for override in overrides:
        _apply(content, override)
    config = parse(content, str(file))
    config = config.model_copy(update={"data": config.data.located(file.resolve().parent)})
    config._source = file.resolve()
    return config


def parse(content: Mapping[str, Any], where: str = "the configuration") -> Config:
    """Validates a nested mapping; see `load`."""
    _check_values(content, where)
    try:
        config = Config.model_validate(content)
        config.evaluation.check_metrics(config.label.task, config.label.classes)
        check_spans(config)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_sentences(error)}", "Mend the key and run again.") from error
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


def check_spans(config: Config) -> None:
    """Raises `ConfigError` where drift is to be judged against spans that the data does not have."""
    if config.gates.drift.against == "previous_span" and SPAN_PLACEHOLDER not in config.data.path:
        raise ConfigError(
            f"gates.drift.against is previous_span, but data.path {config.data.path!r} holds no {SPAN_PLACEHOLDER}.",
            "Write {SPAN} where the path has the number of the span, or set gates.drift.against to live.",
        )


def _read(file: Path) -> dict[str, Any]:
    try:
        content = parse_yaml(read_text(file, ConfigError))
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
            f"Sections: {', '.join(Config.model_fields)}.",
        )
    return content


def _apply(content: dict[str, Any], override: str) -> None:
    key, value = assignment("--set", override, "training.epochs=3", ConfigError)
    *sections, last = key.split(".")
    for section in sections:
        inner = content.setdefault(section, {})
        if not isinstance(inner, dict):
            raise ConfigError(
                f"--set {key}: {section!r} is a value, not a section.", "See `taxiway init` for the keys."
            )
        content = inner
    content[last] = value


def _sentences(error: ValidationError) -> str:
    return "; ".join(_sentence(detail) for detail in error.errors())


def _sentence(detail: Any) -> str:
    location = [str(part) for part in detail["loc"]]
    key = ".".join(location)
    if detail["type"] == "extra_forbidden":
        return f"unknown key {key!r}. {close_matches(location[-1], _known_keys(location[:-1]))}".strip()
    if detail["type"] == "missing":
        return f"the key {key!r} is missing"
    value = detail.get("input")
    shown = "" if isinstance(value, dict) else f" (given: {value!r})"
    return f"{key or 'the configuration'}: {detail['msg'].removeprefix('Value error, ')}{shown}"


def _known_keys(location: list[str]) -> list[str]:
    """The keys that the section at `location` takes."""
    section: Any = Config
    for name in location:
        field = getattr(section, "model_fields", {}).get(name)
        if field is None:
            return []
        candidates = (field.annotation, *get_args(field.annotation))
        section = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
    return list(getattr(section, "model_fields", {}))
