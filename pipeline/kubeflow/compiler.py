"""From the configuration to what Kubeflow Pipelines runs: TFX's own compiler, and what it leaves out."""

from __future__ import annotations

import copy
import json
import logging
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

from components.errors import ConfigError, DataError
from components.patterns import quote
from components.tables.config import PACKAGE_PREFIX
from components.tables.files import fingerprint
from pipeline.config import Config
from pipeline.dag import NEVER_CACHED, create_pipeline
from pipeline.kubeflow import platform
from pipeline.kubeflow.entrypoint import DECLARED_OUTPUTS
from pipeline.kubeflow.parameters import (
    DATA_FINGERPRINT,
    ROOT,
    ROOT_TOKEN,
    RUN_PARAMETERS,
    RunParameter,
    Value,
    compiled_value,
)
from pipeline.layout import Root
from pipeline.resources import NodeResources

Target = Literal["kfp", "vertex"]
TARGETS = ("kfp", "vertex")
ENTRY_POINT = ("python", "-m", "pipeline.kubeflow.entrypoint")
RUN_ID = "{{$.pipeline_job_uuid}}"
"""The backend's driver puts the run's id here (`backend/src/v2/driver/resolve.go`)."""
DEFAULT_GPU = "nvidia.com/gpu"
_CONDITION_KEY = re.compile(r"inputs\.artifacts\['([^']+)'\]")


@dataclass(frozen=True)
class Compiled:
    """A compiled pipeline, not yet judged.

    Attributes:
        config: What it was compiled from, its paths those of the image.
        target: Where it is to run.
        spec: The pipeline's specification, JSON values.
        platform: The platform's, JSON values; may be empty.
    """

    config: Config
    target: Target
    spec: dict[str, Any]
    platform: dict[str, Any]

    @cached_property
    def text(self) -> str:
        """The documents, as YAML; the same for the same input, byte for byte."""
        documents = [self.spec, self.platform] if self.platform else [self.spec]
        return _HEADER + yaml.safe_dump_all(documents, sort_keys=True, width=120, allow_unicode=True)


_HEADER = "# Compiled by `taxiway compile`. Parameters of a run are listed under root.inputDefinitions.\n"


def compile_pipeline(config: Config, target: Target = "kfp") -> Compiled:
    """Compiles the same pipeline that `taxiway run` runs.

    Args:
        config: As `pipeline.config.load` gives it.
        target: `kfp`, open-source Kubeflow Pipelines; or `vertex`, Vertex AI Pipelines.

    Raises:
        ConfigError: TFX cannot compile it, or a node is named that there is not. What compiles may still be refused by
            the target: see `pipeline.kubeflow.checks`.
    """
    config, digest = in_image(config), data_digest(config)
    pipeline = create_pipeline(config, Root(Path(ROOT_TOKEN)), run_id=RUN_ID)
    spec = _specification(pipeline, config)
    for task in spec["root"]["dag"]["tasks"].values():
        _mend_condition(task)
    _curated_schema(spec, config)
    _add_parameters(spec, config, digest)
    resources = {node: config.resources.kubeflow.of(node) for node in spec["root"]["dag"]["tasks"]}
    uncached = NEVER_CACHED | ({"DataGate"} if config.gates.looks_back else set())
    for node, asked in resources.items():
        _ask(spec, node, asked, target, cache=node not in uncached and (node != "ExampleGen" or bool(digest)))
    if config.resources.kubeflow.pipeline_root:
        spec["defaultPipelineRoot"] = config.resources.kubeflow.pipeline_root
    documents = platform.platform_spec({_label(spec, node): asked for node, asked in resources.items()})
    return Compiled(config, target, _checked(spec), documents if target == "kfp" else {})


def in_image(config: Config) -> Config:
    """The configuration with paths beside the configuration file moved to where the image holds them."""
    if config.source is None or config.data.path.startswith(PACKAGE_PREFIX) or "://" in config.data.path:
        return config
    try:
        inside = Path(config.data.path).relative_to(quote(config.source.parent))
    except ValueError:
        return config
    path = str(PurePosixPath(config.resources.kubeflow.config_folder) / inside.as_posix())
    moved = config.model_copy(update={"data": config.data.model_copy(update={"path": path})})
    moved._source = config.source
    return moved


def data_digest(config: Config) -> str:
    """Digest of the data's content as this machine sees it; empty where it does not see it."""
    if "://" in config.data.path and not config.data.path.startswith(PACKAGE_PREFIX):
        return ""  # reading a bucket takes credentials and time: `taxiway submit --param data_fingerprint=...`
    try:
        return fingerprint(config.data).digest
    except DataError:
        return ""


def _specification(pipeline: tfx_pipeline.Pipeline, config: Config) -> dict[str, Any]:
    image = config.resources.kubeflow.image or "image-not-set"
    named = {node: r.image for node, r in config.resources.kubeflow.components.items() if r.image}
    default = config.resources.kubeflow.default.image or image
    runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(
        kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
            default_image={**named, "default_image_path": default},
            default_commands=list(ENTRY_POINT),
            use_pipeline_spec_2_1=True,
        )
    )
    logging.getLogger("absl").setLevel(logging.ERROR)  # it warns of the very key that it asks for
    try:
        job = runner.run(pipeline, write_out=False)
    except (NotImplementedError, TypeError, KeyError, ValueError) as error:
        raise ConfigError(
            f"The pipeline cannot be compiled for Kubeflow: {error}",
            "`taxiway doctor --target kfp` names what is not supported there.",
        ) from error
    return copy.deepcopy(job["pipelineSpec"])


def _mend_condition(task: dict[str, Any]) -> None:
    """Calls an artifact in a condition by the name of the input that it is.

    TFX 1.16 leaves such a channel out of the implicit inputs, since the node has it anyway, but still writes the
    implicit name into the condition: the backend would find no such key.
    """
    condition = task.get("triggerPolicy", {}).get("condition")
    if not condition:
        return
    inputs = task["inputs"]["artifacts"]
    names = {f"_{a['taskOutputArtifact']['producerTask']}.{a['taskOutputArtifact']['outputArtifactKey']}": name
             for name, a in inputs.items()}  # fmt: skip
    task["triggerPolicy"]["condition"] = _CONDITION_KEY.sub(
        lambda match: f"inputs.artifacts['{match[1] if match[1] in inputs else names.get(match[1], match[1])}']",
        condition,
    )


def _curated_schema(spec: dict[str, Any], config: Config) -> None:
    """The curated schema travels in the pipeline: no container sees the folder of this machine's configuration."""
    path = config.schema_path
    text = path.read_text(encoding="utf-8") if path and path.exists() else ""
    for node, task in spec["root"]["dag"]["tasks"].items():
        if node == "SchemaGen":
            _constant(task, "path", "")
            _constant(task, "edited", text)


def _constant(task: dict[str, Any], name: str, value: Value) -> None:
    if name in task["inputs"].get("parameters", {}):
        task["inputs"]["parameters"][name] = {"runtimeValue": {"constant": value}}


def _add_parameters(spec: dict[str, Any], config: Config, digest: str) -> None:
    """Makes what changes from run to run a parameter of the pipeline, with what was compiled as the default."""
    fixed: dict[RunParameter, Value | None] = {ROOT: config.resources.kubeflow.root, DATA_FINGERPRINT: digest}
    tasks = spec["root"]["dag"]["tasks"]
    for parameter in RUN_PARAMETERS:
        takers = [parameter.node] if parameter.node else list(tasks)
        for node in (node for node in takers if node in tasks):
            default = fixed[parameter] if parameter in fixed else compiled_value(parameter, _constants(tasks[node]))
            if default is not None:
                _wire(spec, node, parameter, default)


def _wire(spec: dict[str, Any], node: str, parameter: RunParameter, default: Value) -> None:
    kind = {"parameterType": parameter.type}
    roots = spec["root"].setdefault("inputDefinitions", {}).setdefault("parameters", {})
    roots[parameter.name] = {**kind, "defaultValue": default}
    task = spec["root"]["dag"]["tasks"][node]
    inputs = task.setdefault("inputs", {}).setdefault("parameters", {})
    inputs[parameter.input] = {"componentInputParameter": parameter.name}
    component = spec["components"][task["componentRef"]["name"]]
    component.setdefault("inputDefinitions", {}).setdefault("parameters", {})[parameter.input] = kind


def _constants(task: dict[str, Any]) -> dict[str, Any]:
    parameters = task.get("inputs", {}).get("parameters", {})
    return {name: value.get("runtimeValue", {}).get("constant") for name, value in parameters.items()}


def _ask(spec: dict[str, Any], node: str, asked: NodeResources, target: Target, *, cache: bool) -> None:
    """Writes a node's resources, retries and caching into the specification."""
    task = spec["root"]["dag"]["tasks"][node]
    cached = cache if asked.cache is None else asked.cache and node not in NEVER_CACHED
    task["cachingOptions"] = {"enableCache": True} if cached else {}
    if asked.retries:
        task["retryPolicy"] = {
            "maxRetryCount": asked.retries,
            "backoffDuration": f"{asked.retry_wait_seconds}s",
            "backoffFactor": asked.retry_factor,
            "backoffMaxDuration": f"{asked.retry_max_wait_seconds}s",
        }
    container = spec["deploymentSpec"]["executors"][_label(spec, node)].get("container")
    if container is None:
        return
    container["args"] = ["--node", node, DECLARED_OUTPUTS, json.dumps(_output_keys(spec, node)), *container["args"]]
    limits = _limits(asked, target)
    if limits:
        container["resources"] = limits
    if asked.environment:
        container["env"] = [{"name": name, "value": value} for name, value in sorted(asked.environment.items())]


def _limits(asked: NodeResources, target: Target) -> dict[str, Any]:
    limits: dict[str, Any] = {
        "cpuLimit": asked.cpu_cores,
        "memoryLimit": asked.memory_gb,
        "cpuRequest": asked.cpu_request_cores,
        "memoryRequest": asked.memory_request_gb,
    }
    if asked.gpu_count:
        kind = asked.gpu_type or (DEFAULT_GPU if target == "kfp" else "")
        limits["accelerator"] = {"count": str(asked.gpu_count), "type": kind}
    return {name: value for name, value in limits.items() if value}


def _output_keys(spec: dict[str, Any], node: str) -> list[str]:
    component = spec["components"][spec["root"]["dag"]["tasks"][node]["componentRef"]["name"]]
    return sorted(component.get("outputDefinitions", {}).get("artifacts", {}))


def _label(spec: dict[str, Any], node: str) -> str:
    return spec["components"][spec["root"]["dag"]["tasks"][node]["componentRef"]["name"]]["executorLabel"]


def _checked(spec: dict[str, Any]) -> dict[str, Any]:
    """The specification as the real protos read and write it; a misspelled field cannot pass."""
    message = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    deployment = pipeline_spec_pb2.PipelineDeploymentConfig()
    json_format.ParseDict(json.loads(json_format.MessageToJson(message.deployment_spec)), deployment)
    return json_format.MessageToDict(message)
