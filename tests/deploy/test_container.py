"""The image, run for real: needs podman or docker, and an image that `make image` made."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from taxiway.components.processes.container_engines import ENGINES
from taxiway.pipeline import stacks
from taxiway.pipeline.emulator.pods.containers import ContainerRuntime
from taxiway.pipeline.emulator.run import EmulationSettings, emulate_run
from tests.pipeline.emulator.sample import text, two_tasks

VARIABLE = "TAXIWAY_TEST_IMAGE"

pytestmark = pytest.mark.container


@pytest.fixture(scope="module")
def image() -> tuple[str, str]:
    """Engine and image; a skip says what is missing."""
    engine = next((name for name in ENGINES if shutil.which(name)), "")
    if not engine:
        pytest.skip("neither podman nor docker is on the PATH")
    name = os.environ.get(VARIABLE, "")
    if not name:
        pytest.skip(f"{VARIABLE} names no image: run `make image` and set it")
    found = subprocess.run([engine, "image", "inspect", name], capture_output=True, text=True, timeout=60, check=False)
    if found.returncode:
        pytest.skip(f"{engine} has no image {name}: {found.stderr.strip()[-200:]}")
    return engine, name


def in_image(image: tuple[str, str], *arguments: str) -> str:
    options = ["run", "--rm", "--network=none", f"--entrypoint={arguments[0]}", image[1], *arguments[1:]]
    done = subprocess.run([image[0], *options], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_not_root_and_knows_its_keras(image):
    assert in_image(image, "id", "-u").strip() == "1000"
    assert in_image(image, "printenv", "TF_USE_LEGACY_KERAS").strip() == "1"


def test_packages_label_and_tag_are_of_one_stack(image):
    engine, name = image
    program = "from importlib.metadata import version; print(version('tfx'))"
    installed = stacks.find_stack({"tfx": in_image(image, "python", "-c", program).strip()})
    command = [engine, "image", "inspect", name]
    [described] = json.loads(subprocess.run(command, capture_output=True, timeout=60, check=True).stdout)
    assert installed and described["Config"]["Labels"]["taxiway.stack"] == installed.name
    assert stacks.find_image_stack(name) in (None, installed), "a tag of your own may name no stack"


def test_the_command_works(image):
    assert "compile" in in_image(image, "taxiway", "--help")


def test_a_pipeline_runs_in_it(image, tmp_path):
    spec = two_tasks()
    for executor in spec["deploymentSpec"]["executors"].values():
        executor["container"]["image"] = image[1]
    runtime = ContainerRuntime({}, image[0], ("--network=none",))
    result = emulate_run(text(spec), EmulationSettings(folder=tmp_path, runtime=runtime))
    logs = {name: task.log.read_text() if task.log else "" for name, task in result.tasks.items()}
    assert {task.state for task in result.tasks.values()} == {"succeeded"}, (result, logs)
    uri = result.outputs["use"]["copy"]["uri"]
    assert (tmp_path / "objects" / uri.replace("://", "/") / "data").read_text() == "hello copied"
