from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.errors import UsageError
from pipeline.emulator.containers import Containers
from pipeline.emulator.launcher import Pod

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
        "mounts": {"claim": "/taxiway"},
    }
    return Pod(**{**values, **changes})


def test_the_images_entry_point_is_replaced_and_secrets_are_not_in_the_command_line(engine, tmp_path):
    assert Containers({"claim": tmp_path}, str(engine)).run(pod(tmp_path)) == 0
    called = json.loads(Path(f"{engine}.json").read_text())
    arguments = called["arguments"]
    assert arguments[:2] == ["run", "--rm"] and arguments[-4:] == ["image:1", "-m", "x", "--flag"]
    assert "--entrypoint=python" in arguments and f"--volume={tmp_path}:/taxiway" in arguments
    assert f"--volume={tmp_path}/pod/minio:/minio" in arguments
    assert "--env=TOKEN" in arguments and called["secret"] == "s3cret"
    assert not any("s3cret" in argument for argument in arguments)


def test_a_claim_without_a_folder(engine, tmp_path):
    with pytest.raises(UsageError, match="--volume claim=FOLDER"):
        Containers({}, str(engine)).run(pod(tmp_path))


def test_paths_are_the_launchers_own(tmp_path):
    assert Containers({}, "podman").local(tmp_path, "minio://mlpipeline/a/b") == "/minio/mlpipeline/a/b"
