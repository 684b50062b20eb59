"""What `taxiway emulate` does: reads the options, runs, prints."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components.errors import UsageError
from pipeline import output
from pipeline.assignments import assignments
from pipeline.emulator.containers import Containers
from pipeline.emulator.launcher import Processes
from pipeline.emulator.run import RunResult, Settings, TaskResult, emulate

FOLDER = "kfp"
ROOT_PARAMETER = "root"
EXIT_FAILED, EXIT_BLOCKED = 1, 3
_COLORS = {"succeeded": "green", "cached": "cyan", "skipped": "yellow", "omitted": "dim", "failed": "bold red"}


@dataclass(frozen=True)
class Request:
    """The options of the command."""

    file: Path
    root: Path
    parameters: tuple[str, ...] = ()
    pipeline_root: str = ""
    cache: bool = True
    in_containers: bool = False
    volumes: tuple[str, ...] = ()
    json: bool = False


def run(request: Request) -> int:
    """Emulates.

    Returns:
        0; 1 where a task failed; 3 where a condition kept tasks from running.

    Raises:
        RefusedError: The backend would not take the pipeline.
        UsageError: The file or an option cannot be used.
    """
    text = _read(request.file)
    root = request.root.expanduser().resolve()
    shown = output.console(stderr=request.json)

    def heard(task: str, result: TaskResult) -> None:
        color = _COLORS[result.state]
        reason = output.plain_lines(result.reason)
        shown.print(f"[{color}]{result.state:>9}[/] {task}  {output.seconds(result.seconds)}  {reason}")

    parameters = assignments("--param", request.parameters, "epochs=3")
    if ROOT_PARAMETER in _declared(text) and not request.in_containers:
        parameters.setdefault(ROOT_PARAMETER, str(root))  # volumes are folders of this machine
    result = emulate(
        text,
        Settings(
            folder=root / FOLDER,
            parameters=parameters,
            pipeline_root=request.pipeline_root,
            cache=request.cache,
            runtime=Containers(_volumes(request, text)) if request.in_containers else Processes(),
            heard=heard,
        ),
    )
    for ignored in result.ignored:
        shown.print(f"[yellow]  ignored[/] {output.plain(ignored)}")
    if request.json:
        output.print_json(as_json(result))
    return exit_code(result)


def exit_code(result: RunResult) -> int:
    """As `taxiway run` ends: a gate that blocks is no failure."""
    if not result.succeeded:
        return EXIT_FAILED
    return EXIT_BLOCKED if any(task.state == "skipped" for task in result.tasks.values()) else 0


def as_json(result: RunResult) -> dict[str, Any]:
    """The whole result as JSON values."""
    return {
        "run_id": result.run_id,
        "succeeded": result.succeeded,
        "tasks": {name: dataclasses.asdict(task) for name, task in result.tasks.items()},
        "outputs": {name: dict(outputs) for name, outputs in result.outputs.items()},
        "ignored": list(result.ignored),
    }


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}", "Make it with `taxiway compile -o FILE`.") from error


def _documents(text: str) -> list[Any]:
    try:
        return [document for document in yaml.safe_load_all(text) if isinstance(document, dict)]
    except yaml.YAMLError:
        return []  # the emulator says what the backend says


def _declared(text: str) -> set[str]:
    names: set[str] = set()
    for document in _documents(text):
        names |= set(document.get("root", {}).get("inputDefinitions", {}).get("parameters", {}))
    return names


def _volumes(request: Request, text: str) -> dict[str, Path]:
    """Folders of volume claims: those given, and for any other one a folder under the root.

    The claim that is mounted where the parameter `root` points is the root itself, so that `taxiway versions --root`
    finds what a run in containers pushed.
    """
    given = {
        name: Path(folder).expanduser().resolve() for name, _, folder in (v.partition("=") for v in request.volumes)
    }
    root = request.root.expanduser().resolve()
    folders = {}
    for claim, path in _claims(text).items():
        own = root if path == _default_root(text) else root / FOLDER / "volumes" / claim
        folders[claim] = given.get(claim, own)
        folders[claim].mkdir(parents=True, exist_ok=True)
    return folders


def _claims(text: str) -> dict[str, str]:
    claims = {}
    for document in _documents(text):
        deployment = document.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {})
        for config in deployment.get("executors", {}).values():
            claims.update(
                {mount.get("constant", ""): mount.get("mountPath", "") for mount in config.get("pvcMount", [])}
            )
    return claims


def _default_root(text: str) -> str:
    for document in _documents(text):
        found = document.get("root", {}).get("inputDefinitions", {}).get("parameters", {}).get(ROOT_PARAMETER)
        if found:
            return str(found.get("defaultValue", ""))
    return ""
