"""The launcher: brings the inputs, fills in the command line, runs it, reads what it wrote and takes it away."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.emulator import refusals
from pipeline.emulator.driver import EXECUTOR_LOGS, Decision, as_text
from pipeline.emulator.refusals import TaskFailedError
from pipeline.emulator.store import Artifact, ObjectStore, State

GRACE_SECONDS = 5.0
_FOLDERS = {"gs": "gcs", "s3": "s3", "minio": "minio"}


@dataclass(frozen=True)
class Pod:
    """What the launcher starts.

    Attributes:
        name: The task's name and the try's number.
        image: The container's image.
        command: Command and arguments, placeholders filled in.
        environment: Variables of the container.
        folder: On this machine; `gcs`, `s3` and `minio` in it are the container's `/gcs`, `/s3` and `/minio`.
        log: Where output and errors go.
        timeout_seconds: The pod is ended after this; 0: never.
        mounts: Paths in the container, by volume claim.
    """

    name: str
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    timeout_seconds: float = 0
    mounts: Mapping[str, str] | None = None


class Runtime(Protocol):
    """Runs a pod's command."""

    def local(self, folder: Path, uri: str) -> str:
        """The path by which the command knows an artifact; a custom path where it is not the launcher's usual one."""

    def run(self, pod: Pod) -> int:
        """Runs it to its end.

        Raises:
            TaskFailedError: It took too long, or could not be started.
        """


def local_path(uri: str) -> str:
    """`LocalPathForURI`, without the leading slash."""
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme not in _FOLDERS:
        problem = f"failed to generate local path for URI {uri}: unsupported storage scheme"
        raise TaskFailedError(problem, refusals.LAUNCHER)
    return f"{_FOLDERS[scheme]}/{rest}"


class Processes:
    """Pods as processes of this machine, with this Python: the image is the environment that the emulator runs in.

    The container's paths are not this machine's, so each artifact gets the launcher's `customPath`.
    """

    def local(self, folder: Path, uri: str) -> str:
        return str(folder / local_path(uri))

    def run(self, pod: Pod) -> int:
        folder = pod.folder / "work"
        folder.mkdir(parents=True, exist_ok=True)
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        environment = {**_inherited(), **pod.environment, "PATH": path, "TMPDIR": str(folder)}
        with pod.log.open("ab") as log:
            try:
                process = subprocess.Popen(
                    pod.command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log,
                    stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                raise TaskFailedError(f"{pod.name}: {pod.command[0]} cannot be started: {error}") from error
            return wait(process, pod)


def _inherited() -> dict[str, str]:
    """What every process here needs, and nothing that a container would not have."""
    names = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV")
    return {name: os.environ[name] for name in names if name in os.environ}


def wait(process: subprocess.Popen[bytes], pod: Pod) -> int:
    """Waits for a process group; past the pod's deadline it is ended, as `activeDeadlineSeconds` does.

    Raises:
        TaskFailedError: It took too long.
    """
    try:
        return process.wait(pod.timeout_seconds or None)
    except subprocess.TimeoutExpired as error:
        problem = f"{pod.name}: Pod was active on the node longer than the specified deadline"
        raise TaskFailedError(f"{problem} ({pod.timeout_seconds:g} s)", "backend/src/v2/driver/k8s.go") from error
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends what is left of the process group: first asked, then forced."""
    if process.poll() is not None:
        return
    for request in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, request)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
            return


class Launcher:
    """Runs one task's container with its artifacts in and out."""

    def __init__(self, objects: ObjectStore, state: State, runtime: Runtime) -> None:
        self._objects, self._state, self._runtime = objects, state, runtime

    def launch(self, decision: Decision, pod: Pod, container: Any, component: Any) -> dict[str, Artifact]:
        """One try.

        Args:
            decision: The driver's.
            pod: With an empty command; filled in here.
            container: The executor's container.
            component: The task's component.

        Returns:
            The outputs, as the metadata store keeps them.

        Raises:
            TaskFailedError: The command failed, or wrote what cannot be read.
        """
        shutil.rmtree(pod.folder, ignore_errors=True)
        pod.folder.mkdir(parents=True)
        invocation = self._placed(decision, pod.folder, component)
        command = compile_command([*container.command, *container.args], invocation)
        if not command:
            raise TaskFailedError("command and arguments are empty", refusals.LAUNCHER)
        before = pod.log.stat().st_size if pod.log.exists() else 0
        published = self._create_published_log(decision, pod.folder)
        code = self._runtime.run(Pod(**{**vars(pod), "command": tuple(command)}))
        if published is not None:
            published.write_bytes(pod.log.read_bytes()[before:] if pod.log.exists() else b"")
        if code:
            raise TaskFailedError(f"{pod.name}: the container ended with {code}; {pod.log}")
        return self._collect(decision, pod.folder)

    def _create_published_log(self, decision: Decision, folder: Path) -> Path | None:
        """The file of the container's output, which is there before the command starts (`launcher_v2.go`)."""
        artifact = decision.outputs.get(EXECUTOR_LOGS)
        if artifact is None:
            return None
        file = self._host(folder, artifact["uri"])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        return file

    def _placed(self, decision: Decision, folder: Path, component: Any) -> dict[str, Any]:
        """The executor input with local paths; the inputs downloaded, the outputs' folders made."""
        invocation: dict[str, Any] = json.loads(json.dumps(decision.executor_input))
        for side in ("inputs", "outputs"):
            for found in invocation[side]["artifacts"].values():
                for artifact in found["artifacts"]:
                    self._place(artifact, folder, download=side == "inputs")
        invocation["outputs"]["outputFile"] = self._runtime.local(folder, self._output_file(decision))
        self._host(folder, self._output_file(decision)).parent.mkdir(parents=True, exist_ok=True)
        for name, spec in component.input_definitions.parameters.items():  # `addDefaultParams`
            if spec.HasField("default_value"):
                values = invocation["inputs"]["parameterValues"]
                values.setdefault(name, json_format.MessageToDict(spec.default_value))
        return invocation

    def _place(self, artifact: Artifact, folder: Path, *, download: bool) -> None:
        uri = artifact["uri"]
        host, path = self._host(folder, uri), self._runtime.local(folder, uri)
        host.parent.mkdir(parents=True, exist_ok=True)
        if download:
            self._objects.download(uri, host)
        if path != f"/{local_path(uri)}":
            artifact["customPath"] = path

    @staticmethod
    def _host(folder: Path, uri: str) -> Path:
        return folder / local_path(uri)

    @staticmethod
    def _output_file(decision: Decision) -> str:
        """Beside the outputs: `<task root>/output_metadata.json`."""
        uris = [artifact["uri"] for artifact in decision.outputs.values()]
        root = uris[0].rsplit("/", 1)[0] if uris else "minio://none"
        return f"{root}/output_metadata.json"

    def _collect(self, decision: Decision, folder: Path) -> dict[str, Artifact]:
        """Reads the output file, merges it, uploads; what was not written is registered all the same."""
        file = self._host(folder, self._output_file(decision))
        written = _executor_output(file) if file.exists() else {}
        outputs = {}
        for key, provisioned in decision.outputs.items():
            listed = written.get(key, {}).get("artifacts") or [{}]
            uri = listed[0].get("uri") or provisioned["uri"]
            metadata = {**provisioned.get("metadata", {}), **listed[0].get("metadata", {})}
            host = self._host(folder, provisioned["uri"])
            if uri != provisioned["uri"]:
                host = self._host(folder, uri)
            self._objects.upload(host, uri)
            metadata.setdefault("display_name", key)
            metadata.setdefault("store_session_info", "{}")
            outputs[key] = {"name": self._state.number(), "uri": uri, "metadata": _as_stored(metadata)}
        return outputs


def _executor_output(file: Path) -> dict[str, Any]:
    try:
        output = json_format.Parse(file.read_text(encoding="utf-8"), pipeline_spec_pb2.ExecutorOutput())
    except json_format.ParseError as error:
        problem = f'failed to unmarshall ExecutorOutput in file "{file.name}": {error}'
        raise TaskFailedError(problem, refusals.LAUNCHER) from error
    return dict(json_format.MessageToDict(output).get("artifacts", {}))


def _as_stored(metadata: dict[str, Any]) -> dict[str, Any]:
    """`StructValueToMLMDValue` and back: booleans become numbers, lists are wrapped."""
    stored: dict[str, Any] = {}
    for name, value in metadata.items():
        if isinstance(value, bool):
            stored[name] = float(value)
        else:
            stored[name] = {"list": value} if isinstance(value, list) else value
    return stored


def compile_command(template: Sequence[str], invocation: Mapping[str, Any]) -> list[str]:
    """`compileCmdAndArgs`: the placeholders of a command line.

    The command itself knows `{{$}}` only: the launcher replaces the others in a copy that it then does not use.
    """
    whole = json.dumps(invocation)
    placeholders = dict(_placeholders(invocation))
    compiled = []
    for index, text in enumerate(template):
        text = text.replace("{{$}}", whole)
        if index:
            for placeholder, value in placeholders.items():
                text = text.replace(placeholder, value)
        compiled.append(text)
    return compiled


def _placeholders(invocation: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = []
    for side in ("inputs", "outputs"):
        for name, listed in invocation.get(side, {}).get("artifacts", {}).items():
            for artifact in listed["artifacts"][:1]:
                path = artifact.get("customPath") or f"/{local_path(artifact['uri'])}"
                found.append((f"{{{{$.{side}.artifacts['{name}'].uri}}}}", artifact["uri"]))
                found.append((f"{{{{$.{side}.artifacts['{name}'].path}}}}", path))
    for name, value in invocation.get("inputs", {}).get("parameterValues", {}).items():
        found.append((f"{{{{$.inputs.parameters['{name}']}}}}", as_text(value)))
    return found
