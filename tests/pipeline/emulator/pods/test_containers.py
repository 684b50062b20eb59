"""Pods as containers: the engine's command line, with an engine that records how it was called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taxiway.components.errors import UsageError
from taxiway.pipeline.emulator.pods.containers import ContainerRuntime, find_engine
from taxiway.pipeline.emulator.pods.processes import Mount, Pod

ENGINE = """#!/usr/bin/env python3
import json, os, sys
json.dump({"arguments": sys.argv[1:], "secret": os.environ.get("TOKEN")}, open(sys.argv[0] + ".json", "w"))
"""


@pytest.fixture()
def engine(tmp_path) -> Path:
    """Says how it was called."""
    file = tmp_path / "podman"
    file.write_text(ENGINE)
    file.chmod(0o755)
    return file


def pod(tmp_path, **changes) -> Pod:
    values = {
        "name": "Trainer(0)",
        "image": "image:1",
        "command": ("python", "-m", "x", "--flag"),
        "environment": {"TOKEN": "s3cret"},
        "folder": tmp_path / "pod",
        "log": tmp_path / "log.txt",
        "mounts": (Mount("claim", "/taxiway"),),
    }
    return Pod(**{**values, **changes})


def test_the_images_entry_point_is_replaced_and_secrets_are_not_in_the_command_line(engine, tmp_path):
    assert ContainerRuntime({"claim": tmp_path}, str(engine)).run_pod(pod(tmp_path)) == 0
    called = json.loads(Path(f"{engine}.json").read_text())
    arguments = called["arguments"]
    assert arguments[:2] == ["run", "--rm"] and arguments[-4:] == ["image:1", "-m", "x", "--flag"]
    assert "--entrypoint=python" in arguments and f"--volume={tmp_path}:/taxiway" in arguments
    assert f"--volume={tmp_path}/pod/minio:/minio" in arguments
    assert f"--volume={tmp_path}/pod/tmp/kfp/outputs:/tmp/kfp/outputs" in arguments  # where parameters are written
    assert f"--volume={tmp_path}/pod/.cache:/.cache" in arguments
    assert "--env=TOKEN" in arguments and called["secret"] == "s3cret"
    assert not any("s3cret" in argument for argument in arguments)


def test_a_claim_without_a_folder(engine, tmp_path):
    with pytest.raises(UsageError, match="--volume claim=FOLDER"):
        ContainerRuntime({}, str(engine)).run_pod(pod(tmp_path))


def test_the_first_engine_on_the_path_is_taken_and_none_is_said(engine, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_engine() == "podman"
    engine.unlink()
    with pytest.raises(UsageError, match="Neither podman nor docker is on the PATH"):
        find_engine()


def test_paths_are_the_launchers_own(tmp_path):
    assert ContainerRuntime({}, "podman").local_path(tmp_path, "/minio/mlpipeline/a/b") == "/minio/mlpipeline/a/b"
