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

from taxiway.components.errors import ConfigError
from taxiway.components.files.patterns import quote_name
from taxiway.components.serving.component import RUN_ID_PLACEHOLDER
from taxiway.components.tables.config import PACKAGE_PREFIX
from taxiway.pipeline.config import PipelineConfig
from taxiway.pipeline.dag import NEVER_CACHED
from taxiway.pipeline.images import resolve_images
from taxiway.pipeline.kubeflow import platform
from taxiway.pipeline.kubeflow.data_digest import task as data_digest
from taxiway.pipeline.kubeflow.entrypoint import DECLARED_OUTPUTS, PAGE_FACTS
from taxiway.pipeline.kubeflow.packed_properties import pack_task
from taxiway.pipeline.kubeflow.page import specification
from taxiway.pipeline.kubeflow.page.outputs import PageFacts
from taxiway.pipeline.kubeflow.parameters import (
    ROOT,
    ROOT_TOKEN,
    RUN_PARAMETERS,
    SCHEDULED_TIME,
    RunParameter,
    Value,
    find_compiled_value,
)
from taxiway.pipeline.own_pipeline import build_pipeline
from taxiway.pipeline.resources import NodeResources
from taxiway.pipeline.resources.cluster_pod import resolve_step
from taxiway.pipeline.root import Root

Target = Literal["kfp", "vertex"]
TARGETS = ("kfp", "vertex")
ENTRY_POINT = ("python", "-m", "taxiway.pipeline.kubeflow.entrypoint")
UNCACHED = NEVER_CACHED | {data_digest.NODE, specification.FINAL_NODE}
DEFAULT_GPU = "nvidia.com/gpu"
RETRY_DEADLINE_SECONDS = 365 * 24 * 3600
"""Open-source Kubeflow hands `backoffMaxDuration` to Argo as `maxDuration`: no limit of one wait, but a deadline that
counts from the start of the first try, after which nothing is tried again and later pods are killed. Left out, the
backend writes 0, and nothing is ever tried again (`argocompiler/container.go`). So it is a time that no step takes.
"""
_CONDITION_KEY = re.compile(r"inputs\.artifacts\['([^']+)'\]")


@dataclass(frozen=True)
class CompiledPipeline:
    """A compiled pipeline that `taxiway.pipeline.kubeflow.checks` has not checked yet.

    Attributes:
        config: Configuration that it was compiled from, with the paths of the image, and images of the stack.
        target: Backend that it is to run on.
        spec: Specification of the pipeline, as JSON values, with all tasks in its root. The last step becomes an exit
            handler when the file is submitted (`taxiway.pipeline.kubeflow.client.package.make_submitted`).
        platform: Specification of the platform, as JSON values; may be empty.
    """

    config: PipelineConfig
    target: Target
    spec: dict[str, Any]
    platform: dict[str, Any]

    @cached_property
    def text(self) -> str:
        """The documents, as YAML; the same for the same input, byte for byte."""
        documents = [self.spec, self.platform] if self.platform else [self.spec]
        return _HEADER + yaml.safe_dump_all(documents, sort_keys=True, width=120, allow_unicode=True)


_HEADER = "# Compiled by `taxiway compile`. Parameters of a run are listed under root.inputDefinitions.\n"


def compile_for_target(config: PipelineConfig, target: Target = "kfp") -> CompiledPipeline:
    """Compiles the same pipeline that `taxiway run` runs.

    Args:
        config: Configuration from `taxiway.pipeline.config.load_config`.
        target: Backend: `kfp`, open-source Kubeflow Pipelines; or `vertex`, Vertex AI Pipelines.

    Raises:
        ConfigError: TFX cannot compile it, an image is of another stack, or a node is named that there is not. What
            compiles may still be refused by the target: see `taxiway.pipeline.kubeflow.checks`.
    """
    config = _name_images(move_paths_to_image(config))
    pipeline = build_pipeline(config, Root(Path(ROOT_TOKEN)))
    spec = _compile_specification(pipeline, config)
    for task in spec["root"]["dag"]["tasks"].values():
        _fix_condition(task)
    _embed_schema(spec, config)
    has_digest = data_digest.add_task(spec, RUN_ID_PLACEHOLDER)
    shows_page = target == "kfp" and config.resources.kubeflow.page
    if shows_page:
        own = config.resources.kubeflow.resolve_resources(specification.FINAL_NODE).image
        specification.add_final_step(spec, own or _find_default_image(config))
    _add_parameters(spec, config)
    if has_digest:
        data_digest.connect_reader(spec)
    kubeflow = config.resources.kubeflow
    resources = {node: resolve_step(config.training, kubeflow, node) for node in spec["root"]["dag"]["tasks"]}
    uncached = UNCACHED | ({"DataGate"} if config.gates.looks_back else set())
    for node, node_resources in resources.items():
        _set_node_options(spec, node, node_resources, target, cache=node not in uncached)
    if shows_page:
        specification.add_page_outputs(spec, _make_page_facts(config), PAGE_FACTS)
    if config.resources.kubeflow.pipeline_root:
        spec["defaultPipelineRoot"] = config.resources.kubeflow.pipeline_root
    documents = platform.make_platform_spec(
        {_find_executor_label(spec, node): node_resources for node, node_resources in resources.items()}
    )
    return CompiledPipeline(config, target, _check_specification(spec), documents if target == "kfp" else {})


def move_paths_to_image(config: PipelineConfig) -> PipelineConfig:
    """The configuration with paths beside the configuration file moved to where the image holds them."""
    if config.source is None or config.data.path.startswith(PACKAGE_PREFIX) or "://" in config.data.path:
        return config
    try:
        inside = Path(config.data.path).relative_to(quote_name(config.source.parent))
    except ValueError:
        return config
    path = str(PurePosixPath(config.resources.kubeflow.config_folder) / inside.as_posix())
    moved = config.model_copy(update={"data": config.data.model_copy(update={"path": path})})
    moved._source = config.source
    return moved


def _name_images(config: PipelineConfig) -> PipelineConfig:
    """The configuration with the compiling stack's images."""
    resources = config.resources
    named = resources.model_copy(update={"kubeflow": resolve_images(resources.kubeflow)})
    return config.model_copy(update={"resources": named})


def _compile_specification(pipeline: tfx_pipeline.Pipeline, config: PipelineConfig) -> dict[str, Any]:
    kubeflow = config.resources.kubeflow
    named = {node: resources.image for node, resources in kubeflow.components.items() if resources.image}
    default = _find_default_image(config)
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


def _find_default_image(config: PipelineConfig) -> str:
    kubeflow = config.resources.kubeflow
    return kubeflow.default.image or kubeflow.image or "image-not-set"


def _make_page_facts(config: PipelineConfig) -> PageFacts:
    label = config.label
    return PageFacts(label.column, label.task, config.evaluation.get_main_metric(label.task), config.name)


def _fix_condition(task: dict[str, Any]) -> None:
    """Calls an artifact in a condition by the name of the input that it is.

    TFX, 1.16 as 1.21, leaves such a channel out of the implicit inputs, since the node has it anyway, but still writes
    the implicit name into the condition: the backend would find no such key.
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


def _embed_schema(spec: dict[str, Any], config: PipelineConfig) -> None:
    """The curated schema travels in the pipeline: no container sees the folder of this machine's configuration."""
    path = config.schema_path
    text = path.read_text(encoding="utf-8") if path and path.exists() else ""
    task = spec["root"]["dag"]["tasks"].get("SchemaGen", {})
    _set_constant(task, "path", "")
    _set_constant(task, "edited", text)


def _set_constant(task: dict[str, Any], name: str, value: Value) -> None:
    parameters = task.get("inputs", {}).get("parameters", {})
    if name in parameters:
        parameters[name] = {"runtimeValue": {"constant": value}}


def _add_parameters(spec: dict[str, Any], config: PipelineConfig) -> None:
    """Makes what changes from run to run a parameter of the pipeline, with what was compiled as the default."""
    fixed: dict[RunParameter, Value | None] = {ROOT: config.resources.kubeflow.root, SCHEDULED_TIME: ""}
    tasks = spec["root"]["dag"]["tasks"]
    for parameter in RUN_PARAMETERS:
        for node in (node for node in parameter.nodes or tasks if node in tasks):
            default = (
                fixed[parameter] if parameter in fixed else find_compiled_value(parameter, _list_constants(tasks[node]))
            )
            if default is not None:
                _wire_parameter(spec, node, parameter, default)


def _wire_parameter(spec: dict[str, Any], node: str, parameter: RunParameter, default: Value) -> None:
    kind = {"parameterType": parameter.type}
    roots = spec["root"].setdefault("inputDefinitions", {}).setdefault("parameters", {})
    roots[parameter.name] = {**kind, "defaultValue": default}
    task = spec["root"]["dag"]["tasks"][node]
    inputs = task.setdefault("inputs", {}).setdefault("parameters", {})
    inputs[parameter.input] = {"componentInputParameter": parameter.name}
    component = spec["components"][task["componentRef"]["name"]]
    component.setdefault("inputDefinitions", {}).setdefault("parameters", {})[parameter.input] = kind


def _list_constants(task: dict[str, Any]) -> dict[str, Any]:
    parameters = task.get("inputs", {}).get("parameters", {})
    return {name: value.get("runtimeValue", {}).get("constant") for name, value in parameters.items()}


def _set_node_options(
    spec: dict[str, Any], node: str, resources: NodeResources, target: Target, *, cache: bool
) -> None:
    """Writes a node's resources, retries and caching into the specification."""
    task = spec["root"]["dag"]["tasks"][node]
    cached = cache if resources.cache is None else resources.cache and node not in UNCACHED
    task["cachingOptions"] = {"enableCache": True} if cached else {}
    if resources.retries:
        task["retryPolicy"] = _make_retry_policy(resources, target)
    container = spec["deploymentSpec"]["executors"][_find_executor_label(spec, node)].get("container")
    if container is None:
        return
    container["args"] = [
        "--node",
        node,
        DECLARED_OUTPUTS,
        json.dumps(_list_output_keys(spec, node)),
        *pack_task(task),
        *container["args"],
    ]
    limits = _make_limits(resources, target)
    if limits:
        container["resources"] = limits
    if resources.environment:
        container["env"] = [{"name": name, "value": value} for name, value in sorted(resources.environment.items())]


def _make_retry_policy(resources: NodeResources, target: Target) -> dict[str, Any]:
    longest = resources.retry_max_wait_seconds if target == "vertex" else RETRY_DEADLINE_SECONDS
    return {
        "maxRetryCount": resources.retries,
        "backoffDuration": f"{resources.retry_wait_seconds}s",
        "backoffFactor": resources.retry_factor,
        "backoffMaxDuration": f"{longest}s",
    }


def _make_limits(resources: NodeResources, target: Target) -> dict[str, Any]:
    limits: dict[str, Any] = {
        "cpuLimit": resources.cpu_cores,
        "memoryLimit": resources.memory_gb,
        "cpuRequest": resources.cpu_request_cores,
        "memoryRequest": resources.memory_request_gb,
    }
    if resources.gpu_count:
        kind = resources.gpu_type or (DEFAULT_GPU if target == "kfp" else "")
        limits["accelerator"] = {"count": str(resources.gpu_count), "type": kind}
    return {name: value for name, value in limits.items() if value}


def _list_output_keys(spec: dict[str, Any], node: str) -> list[str]:
    component = spec["components"][spec["root"]["dag"]["tasks"][node]["componentRef"]["name"]]
    return sorted(component.get("outputDefinitions", {}).get("artifacts", {}))


def _find_executor_label(spec: dict[str, Any], node: str) -> str:
    return spec["components"][spec["root"]["dag"]["tasks"][node]["componentRef"]["name"]]["executorLabel"]


def _check_specification(spec: dict[str, Any]) -> dict[str, Any]:
    """The specification as the real protos read and write it; a misspelled field cannot pass."""
    message = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    deployment = pipeline_spec_pb2.PipelineDeploymentConfig()
    json_format.ParseDict(json.loads(json_format.MessageToJson(message.deployment_spec)), deployment)
    return json_format.MessageToDict(message)
