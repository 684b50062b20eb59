"""Parameters of a run, checked against the compiled pipeline before they are sent."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from taxiway.components.config_section import Section
from taxiway.components.errors import UsageError, suggest_matches
from taxiway.components.example_gen.config import DataConfig
from taxiway.components.tables.sources.scheduled_spans import read_moment
from taxiway.components.training.config import TrainingConfig
from taxiway.pipeline.assignments import parse_assignment, parse_assignments
from taxiway.pipeline.kubeflow.client.package import find_specification
from taxiway.pipeline.kubeflow.packed_properties import REWRITTEN, read_constants
from taxiway.pipeline.kubeflow.page.specification import find_tasks
from taxiway.pipeline.kubeflow.parameters import ROOT, RUN_PARAMETERS, SCHEDULED_TIME, RunParameter

MACRO_STARTS = ("[[", "{{$.")
"""What the server fills in when it starts a run, such as `[[ScheduledTime.20060102]]` (`parameter_formatter.go`)."""
_KINDS = {
    "STRING": "a text",
    "NUMBER_INTEGER": "a whole number",
    "NUMBER_DOUBLE": "a number",
    "BOOLEAN": "true or false",
    "LIST": "a list",
    "STRUCT": "a mapping",
}
_SECTIONS: dict[tuple[str, ...], type[Section]] = {(): DataConfig, ("training",): TrainingConfig}
"""By path in the execution property: the section of the configuration in which a parameter is a key."""


def read_parameters(spec: Mapping[str, Any], texts: Iterable[str]) -> dict[str, Any]:
    """The values of `--param NAME=VALUE`, of the types that the pipeline declares.

    Args:
        spec: Specification of the compiled pipeline.
        texts: What followed `--param`.

    Raises:
        UsageError: The pipeline has no such parameter, or takes no such value; or one without a default is missing.
    """
    declared = list_parameters(spec)
    values = {}
    for text in texts:
        name, value = parse_assignment("--param", text, "epochs=3")
        if name not in declared:
            raise UsageError(f"The pipeline has no parameter {name!r}.", suggest_matches(name, declared))
        kind = declared[name].get("parameterType", "")
        values[name] = _convert_value(name, kind, value, text.partition("=")[2])
    missing = [name for name, each in declared.items() if name not in values and not _may_be_left_out(each)]
    if missing:
        raise UsageError(f"The pipeline needs a value for {', '.join(missing)}.", "Give each with --param NAME=VALUE.")
    _check_settings(spec, values)
    _check_texts(values)
    return values


def read_text_parameters(text: str, given: Iterable[str]) -> dict[str, Any]:
    """`read_parameters` of a compiled file's text; of a text that is no pipeline, the values as YAML reads them."""
    spec = find_specification(text)
    return parse_assignments("--param", given, "epochs=3") if spec is None else read_parameters(spec, given)


def list_parameters(spec: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What the pipeline declares: by name the type and the default."""
    return dict(spec.get("root", {}).get("inputDefinitions", {}).get("parameters", {}))


def _may_be_left_out(declared: Mapping[str, Any]) -> bool:
    return "defaultValue" in declared or bool(declared.get("isOptional"))


def _convert_value(name: str, kind: str, value: Any, text: str) -> Any:
    if kind == "STRING":  # `span=3` and `span=007` are texts as they stand
        return value if isinstance(value, str) else text
    if not _is_of_kind(kind, value):
        accepted = f"It takes {_KINDS.get(kind, kind)}."
        raise UsageError(f"--param {name}={text[:200]}: not a value of this parameter.", accepted)
    return value


def _is_of_kind(kind: str, value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "NUMBER_INTEGER":
        return is_number and isinstance(value, int)
    if kind == "NUMBER_DOUBLE":
        return is_number and math.isfinite(value)
    return isinstance(value, {"BOOLEAN": bool, "LIST": list, "STRUCT": dict}.get(kind, object))


def _check_settings(spec: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """What the configuration would refuse is refused here, and not by a pod half an hour later."""
    for parameter in RUN_PARAMETERS:
        value = values.get(parameter.name)
        section = _SECTIONS.get(parameter.keys[:-1]) if parameter.keys else None
        if value is None or section is None or (isinstance(value, str) and _has_macro(value)):
            continue
        content = _find_section(spec, parameter)
        if content is not None:
            _validate_setting(section, content, parameter, value)


def _check_texts(values: Mapping[str, Any]) -> None:
    """Texts that no section of the configuration has."""
    for name, value in values.items():
        if not isinstance(value, str) or _has_macro(value):
            continue
        if REWRITTEN.search(value):
            remedy = "Kubernetes makes $$ to $ and fills in $(NAME), Argo fills in {{name}}: compile it in, with --set."
            raise UsageError(f"--param {name}={value[:200]} would arrive as another text.", remedy)
        if name == ROOT.name and not value.startswith("/"):
            remedy = "Give the folder where the volume is mounted in the pods, such as /taxiway."
            raise UsageError(f"--param root={value}: no absolute path.", remedy)
        if name == SCHEDULED_TIME.name and value:
            read_moment(value)


def _has_macro(value: str) -> bool:
    return any(start in value for start in MACRO_STARTS)


def _find_section(spec: Mapping[str, Any], parameter: RunParameter) -> dict[str, Any] | None:
    """The section as it was compiled, in a step that takes the parameter; None where it is in none as JSON."""
    for node, task in find_tasks(spec).items():
        inputs = task.get("inputs", {}).get("parameters", {})
        if inputs.get(parameter.input, {}).get("componentInputParameter") == parameter.name:
            section = _select_section(read_constants(spec, node).get(parameter.setting), parameter.keys[:-1])
            if section is not None:
                return section
    return None


def _select_section(text: object, keys: tuple[str, ...]) -> dict[str, Any] | None:
    try:
        content = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else None


def _validate_setting(section: type[Section], content: dict[str, Any], parameter: RunParameter, value: Any) -> None:
    key = parameter.keys[-1]
    try:
        section.model_validate({**content, key: value})
    except ValidationError as error:
        own = [each["msg"] for each in error.errors() if each["loc"][:1] in ((key,), ())]
        if own:  # other keys are as they were compiled
            problem, remedy = own[0].removeprefix("Value error, "), "The configuration takes the same values."
            raise UsageError(f"--param {parameter.name}={value}: {problem}.", remedy) from error
