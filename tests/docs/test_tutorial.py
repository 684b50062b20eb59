"""The tutorial's commands, run from the page itself in an empty folder."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import HOME, list_blocks

PAGE = HOME / "docs" / "tutorial.md"
PORTS = ("8501", "8500")
TIMEOUT_SECONDS = 1800
MARK = "=== block"


def test_the_marked_output_is_in_the_page():
    """`text` blocks are what a command above them prints."""
    assert len(list_blocks(PAGE, "text")) == 1
    assert len(list_blocks(PAGE, "sh")) == 7


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What each `sh` block prints. Ports are free ones: other tests serve too."""
    script = "set -euo pipefail\n" + "\n".join(
        f"echo '{MARK}'\n{_replace_ports(block)}" for block in list_blocks(PAGE, "sh")
    )
    commands = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    folder = tmp_path_factory.mktemp("tutorial")
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        env={**os.environ, "PATH": commands, "COLUMNS": "140"},
    )
    log = folder / "server.log"
    assert done.returncode == 0, done.stdout + done.stderr + (log.read_text() if log.exists() else "")
    return [block.strip() for block in done.stdout.split(MARK)[1:]]


def _replace_ports(block):
    for port in PORTS:
        block = re.sub(rf"\b{port}\b", _FREE[port], block)
    return block


def _find_free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


_FREE = {port: _find_free_port() for port in PORTS}


@pytest.mark.e2e
@pytest.mark.timeout(TIMEOUT_SECONDS + 60)
def test_the_commands_lead_to_a_served_model(printed):
    _, init, run, predictions, served, history, python = printed
    assert _squeeze(init) == _squeeze(list_blocks(PAGE, "text")[0])
    assert "Live: churn version" in run
    assert predictions.count("probabilities") == 2
    version = re.search(r"Live: churn version (\d+)", run)[1]
    _check_answers(served, version)
    assert version in history and "live" in history
    assert f"live as version {version}" in python
    assert "chosen variant: " in python and "/Trainer/model/" in python


def _check_answers(served, version):
    """The command's answers of five rows, then the REST API's to one."""
    table, answer = served[: served.index("{")], json.loads(served[served.index("{") :])
    assert f"version {version}" in table
    [prediction] = answer["predictions"]
    assert prediction["predicted_label"] == "yes"
    assert 0.5 < prediction["probabilities"][0] < 1


def _squeeze(text):
    return re.sub(r"\s+", " ", text).strip()
