"""The launcher: downloads a task's inputs, fills in its command line, runs it, and uploads its outputs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from taxiway.pipeline.emulator import errors
from taxiway.pipeline.emulator.driver import EXECUTOR_LOGS, TaskDecision, format_parameter, relative_local_path
from taxiway.pipeline.emulator.errors import TaskFailedError
from taxiway.pipeline.emulator.pods.processes import Pod, PodRuntime
from taxiway.pipeline.emulator.protojson import write_message
from taxiway.pipeline.emulator.releases import Release
from taxiway.pipeline.emulator.store import Artifact, EmulatorState, ObjectStore, TaskOutputs


@dataclass(frozen=True)
class Attempt:
    """One try of a task.

    Attributes:
        pod: Pod with an empty command.
        command: Command and arguments as the driver left them in the pod's patch.
        component: Component of the task.
        number: Number of the try, from 0.
    """

    pod: Pod
    command: Sequence[str]
    component: Any
    number: int = 0


class PodLauncher:
    """Runs one task's container with its artifacts in and out."""

    def __init__(self, objects: ObjectStore, state: EmulatorState, runtime: PodRuntime, release: Release) -> None:
        self._objects, self._state, self._runtime, self._release = objects, state, runtime, release

    def launch_pod(self, decision: TaskDecision, attempt: Attempt) -> TaskOutputs:
        """One try.

        Args:
            decision: Decision of the driver.
            attempt: What the try starts.

        Returns:
            The outputs, as the backend keeps them.

        Raises:
            TaskFailedError: The command failed, or wrote what cannot be read.
        """
        pod = attempt.pod
        shutil.rmtree(pod.folder, ignore_errors=True)
        pod.folder.mkdir(parents=True)
        decision = _number_logs(decision, attempt.number)
        invocation = self._place_artifacts(decision, pod.folder, attempt.component)
        command = compile_command(attempt.command, invocation)
        if not command:
            raise TaskFailedError("command and arguments are empty", errors.LAUNCHER)
        before = pod.log.stat().st_size if pod.log.exists() else 0
        published = self._create_published_log(decision, pod.folder)
        try:
            code = self._runtime.run_pod(replace(pod, command=tuple(command)))
        finally:
            if published is not None:
                published.write_bytes(pod.log.read_bytes()[before:] if pod.log.exists() else b"")
                self._objects.upload(published, decision.outputs[EXECUTOR_LOGS]["uri"])
        if code:
            raise TaskFailedError(f"{pod.name}: the container ended with {code}; {pod.log}")
        return self._collect_outputs(decision, attempt)

    def _create_published_log(self, decision: TaskDecision, folder: Path) -> Path | None:
        """The file of the container's output, which is there before the command starts (`getLogWriter`)."""
        artifact = decision.outputs.get(EXECUTOR_LOGS)
        if artifact is None:
            return None
        file = _find_host_path(folder, artifact["uri"])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        return file

    def _place_artifacts(self, decision: TaskDecision, folder: Path, component: Any) -> dict[str, Any]:
        """The executor input with local paths; the inputs downloaded, the outputs' folders made."""
        invocation: dict[str, Any] = json.loads(json.dumps(decision.executor_input))
        for side in ("inputs", "outputs"):
            for entry in invocation[side].get("artifacts", {}).values():
                for artifact in entry["artifacts"]:
                    self._place_artifact(artifact, folder, download=side == "inputs")
        outputs = invocation["outputs"]
        for entry in (outputs, *outputs.get("parameters", {}).values()):
            _find_host_file(folder, entry["outputFile"]).parent.mkdir(parents=True, exist_ok=True)
            entry["outputFile"] = self._runtime.local_path(folder, entry["outputFile"])
        for name, spec in component.input_definitions.parameters.items():  # `addDefaultParams`
            if spec.HasField("default_value"):
                values = invocation["inputs"].setdefault("parameterValues", {})
                values.setdefault(name, json_format.MessageToDict(spec.default_value))
        return invocation

    def _place_artifact(self, artifact: Artifact, folder: Path, *, download: bool) -> None:
        uri = artifact["uri"]
        own = f"/{relative_local_path(uri)}"
        host, path = _find_host_path(folder, uri), self._runtime.local_path(folder, own)
        host.parent.mkdir(parents=True, exist_ok=True)
        if download:
            self._objects.download(uri, host)
        if path != own:
            artifact["customPath"] = path

    def _collect_outputs(self, decision: TaskDecision, attempt: Attempt) -> TaskOutputs:
        """Reads the output file, merges it, uploads."""
        folder = attempt.pod.folder
        file = _find_host_file(folder, decision.executor_input["outputs"]["outputFile"])
        written = _read_executor_output(file) if file.exists() else {}
        artifacts = {
            key: self._collect_artifact(key, provisioned, written.get("artifacts", {}).get(key, {}), folder)
            for key, provisioned in decision.outputs.items()
        }
        return TaskOutputs(artifacts, _collect_parameters(decision, attempt, written.get("parameterValues", {})))

    def _collect_artifact(self, key: str, provisioned: Artifact, listed: Mapping[str, Any], folder: Path) -> Artifact:
        """Uploads one output. What was not written is registered all the same, or fails the task: see the release."""
        said: dict[str, Any] = {} if key == EXECUTOR_LOGS else next(iter(listed.get("artifacts", [])), {})
        uri = said.get("uri") or provisioned["uri"]
        host = _find_host_path(folder, uri)
        metadata = {**provisioned.get("metadata", {}), **said.get("metadata", {})}
        self._release.check_output(key, provisioned["type"].get("schemaTitle", ""), metadata, host.exists())
        self._objects.upload(host, uri)
        number = self._state.take_number()
        return self._release.store_output(number, key, provisioned["type"], uri, metadata)


def _number_logs(decision: TaskDecision, number: int) -> TaskDecision:
    """`qualifyExecutorLogsForRetry`: each try has a log of its own, `executor-logs-0` and on."""
    if EXECUTOR_LOGS not in decision.outputs:
        return decision
    logs = {**decision.outputs[EXECUTOR_LOGS], "uri": f"{decision.outputs[EXECUTOR_LOGS]['uri']}-{number}"}
    outputs = decision.executor_input["outputs"]
    artifacts = {**outputs["artifacts"], EXECUTOR_LOGS: {"artifacts": [logs]}}
    executor_input = {**decision.executor_input, "outputs": {**outputs, "artifacts": artifacts}}
    return replace(decision, executor_input=executor_input, outputs={**decision.outputs, EXECUTOR_LOGS: logs})


def _find_host_path(folder: Path, uri: str) -> Path:
    return folder / relative_local_path(uri)


def _find_host_file(folder: Path, path: str) -> Path:
    return folder / path.lstrip("/")


def _read_executor_output(file: Path) -> dict[str, Any]:
    try:
        output = json_format.Parse(file.read_text(encoding="utf-8"), pipeline_spec_pb2.ExecutorOutput())
    except json_format.ParseError as error:
        problem = f'failed to unmarshall ExecutorOutput in file "{file.name}": {error}'
        raise TaskFailedError(problem, errors.LAUNCHER) from error
    return dict(json_format.MessageToDict(output))


def _collect_parameters(decision: TaskDecision, attempt: Attempt, written: Mapping[str, Any]) -> dict[str, Any]:
    """`collectOutputParameters`: what the output file does not say comes from each parameter's own file."""
    parameters = dict(written)
    for name, spec in attempt.component.output_definitions.parameters.items():
        if name not in parameters:
            path = decision.executor_input["outputs"]["parameters"][name]["outputFile"]
            kind = pipeline_spec_pb2.ParameterType.ParameterTypeEnum.Name(spec.parameter_type)
            parameters[name] = _read_parameter(name, kind, _find_host_file(attempt.pod.folder, path))
    return parameters


def _read_parameter(name: str, kind: str, file: Path) -> Any:
    try:
        text = file.read_text(encoding="utf-8")
        return text if kind == "STRING" else json.loads(text)
    except (OSError, ValueError) as error:
        problem = f'failed to read output parameter name="{name}" type="{kind}": {error}'
        raise TaskFailedError(problem, errors.LAUNCHER) from error


def compile_command(template: Sequence[str], invocation: Mapping[str, Any]) -> list[str]:
    """`compileCmdAndArgs`: the placeholders of a command line.

    The command itself knows `{{$}}` only: the launcher replaces the others in a copy that it then does not use.
    """
    whole = write_message(invocation)
    placeholders = dict(_list_placeholders(invocation))
    compiled = []
    for index, text in enumerate(template):
        text = text.replace("{{$}}", whole)
        if index:
            for placeholder, value in placeholders.items():
                text = text.replace(placeholder, value)
        compiled.append(text)
    return compiled


def _list_placeholders(invocation: Mapping[str, Any]) -> list[tuple[str, str]]:
    placeholders = []
    for side in ("inputs", "outputs"):
        for name, listed in invocation.get(side, {}).get("artifacts", {}).items():
            for artifact in listed["artifacts"][:1]:
                path = artifact.get("customPath") or f"/{relative_local_path(artifact['uri'])}"
                placeholders.append((f"{{{{$.{side}.artifacts['{name}'].uri}}}}", artifact["uri"]))
                placeholders.append((f"{{{{$.{side}.artifacts['{name}'].path}}}}", path))
    for name, value in invocation.get("inputs", {}).get("parameterValues", {}).items():
        placeholders.append((f"{{{{$.inputs.parameters['{name}']}}}}", format_parameter(value)))
    for name, entry in invocation.get("outputs", {}).get("parameters", {}).items():
        placeholders.append((f"{{{{$.outputs.parameters['{name}'].output_file}}}}", entry["outputFile"]))
    return placeholders
