"""`taxiway emulate`: what it prints, its parameters and its exit code; it shares no code with the compiler."""

from __future__ import annotations

import ast
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from taxiway.components.errors import UsageError
from taxiway.pipeline.emulator import commands
from taxiway.pipeline.emulator.errors import RefusedError
from taxiway.pipeline.runs.interruption import RunInterrupted
from tests.pipeline.emulator.sample import text, two_tasks


def test_json_is_all_that_is_printed(tmp_path, capsys):
    file = tmp_path / "pipeline.yaml"
    file.write_text(text(two_tasks()))
    code = commands.run_package(
        commands.EmulationRequest(file, tmp_path / "root", ("words=hi",), "gs://bucket/x", json=True)
    )
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert code == 0 and result["succeeded"]
    assert result["outputs"]["use"]["copy"]["uri"].startswith("gs://bucket/x/sample/")
    assert "succeeded" in printed.err
    stored = tmp_path / "root" / "kfp" / "objects" / result["outputs"]["use"]["copy"]["uri"].replace("://", "/")
    assert (stored / "data").read_text() == "hi copied"


def test_the_parameter_root_is_this_machines_root(tmp_path):
    spec = two_tasks()
    spec["root"]["inputDefinitions"]["parameters"]["root"] = {"parameterType": "STRING", "defaultValue": "/taxiway"}
    task = spec["root"]["dag"]["tasks"]["make"]["inputs"]["parameters"]
    task["text"] = {"componentInputParameter": "root"}
    file = tmp_path / "pipeline.yaml"
    file.write_text(text(spec))
    assert commands.run_package(commands.EmulationRequest(file, tmp_path / "root")) == 0
    [data] = (tmp_path / "root" / "kfp" / "objects").rglob("make/*/model/data")
    assert data.read_text() == str(tmp_path / "root")


@pytest.mark.parametrize("parameter", ["words", "=x", "words=[1"])
def test_parameters_of_another_form(tmp_path, parameter):
    file = tmp_path / "pipeline.yaml"
    file.write_text(text(two_tasks()))
    with pytest.raises(UsageError, match="--param"):
        commands.run_package(commands.EmulationRequest(file, tmp_path / "root", parameters=(parameter,)))


@pytest.mark.parametrize("text", ["pipelineInfo: {}\nroot:\n", "deploymentSpec:\nroot: []\n"])
def test_a_file_with_gaps_is_refused_as_the_backend_does(tmp_path, text):
    file = tmp_path / "pipeline.yaml"
    file.write_text(text)
    with pytest.raises(RefusedError):
        commands.run_package(commands.EmulationRequest(file, tmp_path / "root"))


@pytest.mark.parametrize("volume", ["taxiway", "=/mnt", "taxiway="])
def test_a_volume_has_a_name_and_a_folder(tmp_path, volume):
    file = tmp_path / "pipeline.yaml"
    file.write_text(text(two_tasks()))
    request = commands.EmulationRequest(file, tmp_path / "root", in_containers=True, volumes=(volume,))
    with pytest.raises(UsageError, match="NAME=FOLDER"):
        commands.run_package(request)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        commands.run_package(commands.EmulationRequest(tmp_path / "none.yaml", tmp_path))


def test_the_step_of_an_emulation_that_is_ended_has_ended_too(tmp_path):
    """SIGTERM comes where a CI job is cancelled; the step is in a process group of its own."""
    spec, started = two_tasks(), tmp_path / "started"
    program = f"import os, time; open({str(started)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    spec["deploymentSpec"]["executors"]["make_executor"]["container"]["args"] = [program]
    file = tmp_path / "pipeline.yaml"
    file.write_text(text(spec))

    def end_emulation():
        while not (started.exists() and started.read_text()):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, lambda *_: pytest.fail("SIGTERM would have ended this process at once"))
    threading.Thread(target=end_emulation, daemon=True).start()
    try:
        with pytest.raises(RunInterrupted, match="SIGTERM") as ended:
            commands.run_package(commands.EmulationRequest(file, tmp_path / "root"))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended.value.exit_code == 143
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


def test_emulator_and_compiler_share_no_code():
    home = Path(commands.__file__).parent
    for file in home.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [
                name for name in names if name.startswith(("taxiway.pipeline.kubeflow", "taxiway.pipeline.dag", "tfx"))
            ], file
