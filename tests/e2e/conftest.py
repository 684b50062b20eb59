"""One end-to-end run that many tests inspect, made through the command line as a user makes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from taxiway.pipeline.config import DEFAULT_CONFIG
from taxiway.pipeline.root import Root

RUN_TIMEOUT_SECONDS = 900


@dataclass(frozen=True)
class Run:
    """A finished `taxiway run`, as it left its root; later runs on the same root do not change what this one says."""

    root: Root
    config: Path
    code: int
    printed: str
    summary: dict
    artifacts: dict[tuple[str, str], Path]
    versions: tuple[int, ...]

    @property
    def nodes(self) -> dict:
        return {node["node"]: node for node in self.summary["nodes"]}

    @property
    def states(self) -> dict:
        return {name: node["state"] for name, node in self.nodes.items()}

    def artifact(self, node: str, output: str) -> Path:
        """The newest artifact that a node had written under an output's name when the run ended."""
        return self.artifacts[node, output]

    @property
    def live(self) -> Path:
        return self.root.serving / self.summary["model"] / str(self.versions[-1])


def snapshot(root: Root, config: Path, done: subprocess.CompletedProcess) -> Run:
    folders = sorted(p for p in root.runs.iterdir() if (p / "summary.json").exists())
    summary = json.loads((folders[-1] / "summary.json").read_text())
    newest: dict[tuple[str, str], Path] = {}
    for folder in root.artifacts.glob("*/*/*"):
        key = folder.parts[-3], folder.parts[-2]
        if folder.name.isdigit() and (key not in newest or int(folder.name) > int(newest[key].name)):
            newest[key] = folder
    base = root.serving / yaml.safe_load(config.read_text())["name"]
    versions = sorted(int(p.name) for p in base.iterdir() if p.name.isdigit()) if base.exists() else []
    return Run(root, config, done.returncode, done.stdout + done.stderr, summary, newest, tuple(versions))


def taxiway(
    *arguments: str,
    cwd: Path,
    timeout: float = RUN_TIMEOUT_SECONDS,
    env: Mapping[str, str] = os.environ,
    module: str = "taxiway",
) -> subprocess.CompletedProcess:
    """Runs the command as a user would; never raises for its exit code."""
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**env, "COLUMNS": "140"},
    )


def run(config: Path, root: Path, *arguments: str, guarded: bool = False) -> Run:
    """A run from the command line; `guarded`: only the Evaluators can read the split `test`."""
    checkout = Path(__file__).parents[2]
    done = taxiway(
        "run",
        config,
        "--root",
        root,
        *arguments,
        cwd=checkout if guarded else config.parent,
        module="tests.e2e.guarded" if guarded else "taxiway",
    )
    return snapshot(Root.at(root), config, done)


def taxi_config(folder: Path, **sections: dict) -> Path:
    """The taxi example's configuration in a folder of its own, so that its schema is inferred there."""
    content = yaml.safe_load(DEFAULT_CONFIG.read_text())
    for section, values in sections.items():
        content[section] = {**content.get(section, {}), **values}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "taxi.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


@pytest.fixture(scope="session")
def taxi(tmp_path_factory) -> Run:
    """The taxi example, from files to a live version, with a split `test` that only the Evaluators can read."""
    folder = tmp_path_factory.mktemp("taxi")
    finished = run(taxi_config(folder / "config"), folder / "root", "--profile", guarded=True)
    assert finished.code == 0, finished.printed
    return finished
