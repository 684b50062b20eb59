"""What `taxiway emulate` does: reads the options, runs, prints."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from taxiway.components.errors import UsageError
from taxiway.pipeline.assignments import parse_assignments
from taxiway.pipeline.console import printing
from taxiway.pipeline.emulator.pods.containers import ContainerRuntime
from taxiway.pipeline.emulator.pods.processes import PodRuntime, ProcessRuntime
from taxiway.pipeline.emulator.pods.restricted import DEFAULT_USER, RestrictedRuntime, check_restrictions
from taxiway.pipeline.emulator.releases import DEFAULT_RELEASE, find_release
from taxiway.pipeline.emulator.run import EmulationSettings, RunResult, TaskResult, emulate_run
from taxiway.pipeline.exit_codes import EXIT_BLOCKED, EXIT_FAILED, EXIT_LIVE
from taxiway.pipeline.runs import interruption

FOLDER = "kfp"
ROOT_PARAMETER = "root"
FORMER_ENTRY_POINT = "pipeline.kubeflow.entrypoint"
"""What containers started before `taxiway` was the one import name: images of then have it, this Python has not."""
_COLORS = {"succeeded": "green", "cached": "cyan", "skipped": "yellow", "omitted": "dim", "failed": "bold red"}


@dataclass(frozen=True)
class EmulationRequest:
    """The options of the command."""

    file: Path
    root: Path
    parameters: tuple[str, ...] = ()
    pipeline_root: str = ""
    cache: bool = True
    in_containers: bool = False
    restricted: bool = False
    volumes: tuple[str, ...] = ()
    release: str = DEFAULT_RELEASE
    prepare: Callable[[str], str] = lambda text: text
    """From the file's text to the text that would be submitted."""
    read_parameters: Callable[[str, Sequence[str]], dict[str, Any]] = lambda text, given: parse_assignments(
        "--param", given, "epochs=3"
    )
    """From that text and the parameters as they were given to the values that would be submitted."""
    json: bool = False

    @property
    def has_own_paths(self) -> bool:
        """Whether pods see the paths that the pipeline was compiled for, or those of this machine."""
        return self.in_containers or self.restricted


def run_package(request: EmulationRequest) -> int:
    """Runs a compiled pipeline and prints how each task ended.

    Returns:
        0; 1 where a task failed; 3 where a condition kept tasks from running.

    Raises:
        RefusedError: The backend would not take the pipeline.
        UsageError: The file or an option cannot be used.
        RunInterrupted: SIGINT or SIGTERM; the step that was running has ended.
    """
    text = request.prepare(_read_package(request.file))
    if not request.in_containers:
        _check_entry_point(request.file, text)
    root = request.root.expanduser().resolve()
    shown = printing.make_console(stderr=request.json)

    def print_result(task: str, result: TaskResult) -> None:
        color = _COLORS[result.state]
        reason = printing.escape_lines(result.reason)
        shown.print(f"[{color}]{result.state:>9}[/] {task}  {printing.format_seconds(result.seconds)}  {reason}")

    parameters = request.read_parameters(text, request.parameters)
    release = find_release(request.release)
    shown.print(f"as {release.title}")
    if ROOT_PARAMETER in _list_parameters(text) and not request.has_own_paths:
        parameters.setdefault(ROOT_PARAMETER, str(root))  # volumes are folders of this machine
    settings = EmulationSettings(
        folder=root / FOLDER,
        parameters=parameters,
        pipeline_root=request.pipeline_root,
        cache=request.cache,
        runtime=_make_runtime(request, text),
        release=release.name,
        on_result=print_result,
    )
    with interruption.catch_signals():  # SIGTERM too: the step is ended before this process is
        result = emulate_run(text, settings)
    for ignored in result.ignored:
        shown.print(f"[yellow]  ignored[/] {printing.escape_markup(ignored)}")
    if request.json:
        printing.print_json({"release": release.name, **result_to_json(result)})
    return choose_exit_code(result)


def _make_runtime(request: EmulationRequest, text: str) -> PodRuntime:
    if request.in_containers and request.restricted:
        raise UsageError("--in-containers and --restricted are two ways to run a pod.", "Give one of them.")
    if request.in_containers:
        return ContainerRuntime(_make_volumes(request, text))
    if request.restricted:
        check_restrictions()
        return RestrictedRuntime(_make_volumes(request, text))
    return ProcessRuntime()


def choose_exit_code(result: RunResult) -> int:
    """As `taxiway run` ends: a gate that blocks is no failure."""
    if not result.succeeded:
        return EXIT_FAILED
    return EXIT_BLOCKED if any(task.state == "skipped" for task in result.tasks.values()) else EXIT_LIVE


def result_to_json(result: RunResult) -> dict[str, Any]:
    """The whole result as JSON values."""
    return {
        "run_id": result.run_id,
        "succeeded": result.succeeded,
        "tasks": {name: dataclasses.asdict(task) for name, task in result.tasks.items()},
        "outputs": {name: dict(outputs) for name, outputs in result.outputs.items()},
        "ignored": list(result.ignored),
    }


def _read_package(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}", "Make it with `taxiway compile -o FILE`.") from error


def _load_documents(text: str) -> list[Any]:
    try:
        return [document for document in yaml.safe_load_all(text) if isinstance(document, dict)]
    except yaml.YAMLError:
        return []  # the emulator says what the backend says


def _check_entry_point(file: Path, text: str) -> None:
    for document in _load_documents(text):
        for executor in _find(document, "deploymentSpec", "executors").values():
            if FORMER_ENTRY_POINT in (_find(executor, "container").get("command") or ()):
                raise UsageError(
                    f"{file} was compiled by an earlier Taxiway, for images that hold {FORMER_ENTRY_POINT}.",
                    "Compile it again with `taxiway compile`, and submit it with an image of this version.",
                )


def _list_parameters(text: str) -> set[str]:
    names: set[str] = set()
    for document in _load_documents(text):
        names |= set(_find(document, "root", "inputDefinitions", "parameters"))
    return names


def _find(document: Any, *keys: str) -> dict[str, Any]:
    """A mapping in a document; empty where there is none, of which the emulator says what the backend says."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}


def _make_volumes(request: EmulationRequest, text: str) -> dict[str, Path]:
    """Folders of volume claims: those given, and for any other one a folder under the root.

    The claim that is mounted where the parameter `root` points is the root itself, so that `taxiway versions --root`
    finds what a run in containers pushed.
    """
    given = dict(map(_read_volume, request.volumes))
    root = request.root.expanduser().resolve()
    folders = {}
    for claim, path in _list_claims(text).items():
        own = root if path == _find_default_root(text) else root / FOLDER / "volumes" / claim
        folders[claim] = given.get(claim, own)
        _make_volume(folders[claim])
    return {**given, **folders}


def _read_volume(text: str) -> tuple[str, Path]:
    name, _, folder = text.partition("=")
    if not name or not folder:
        raise UsageError(f"--volume {text!r} is not of the form NAME=FOLDER.", "Such as --volume taxiway=/mnt/taxiway.")
    return name, Path(folder).expanduser().resolve()


def _make_volume(folder: Path) -> None:
    """A new volume is made writable for the pods, as an administrator does; an old one stays as it is."""
    if not folder.exists():
        folder.mkdir(parents=True)
        if os.getuid() == 0:
            os.chown(folder, *DEFAULT_USER)


def _list_claims(text: str) -> dict[str, str]:
    claims = {}
    for document in _load_documents(text):
        for config in _find(document, "platforms", "kubernetes", "deploymentSpec", "executors").values():
            claims.update(
                {mount.get("constant", ""): mount.get("mountPath", "") for mount in config.get("pvcMount", [])}
            )
    return claims


def _find_default_root(text: str) -> str:
    for document in _load_documents(text):
        parameter = _find(document, "root", "inputDefinitions", "parameters", ROOT_PARAMETER)
        if parameter:
            return str(parameter.get("defaultValue", ""))
    return ""
