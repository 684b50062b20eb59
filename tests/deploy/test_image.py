"""The image's build context and the engine's command line."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from deploy import image
from taxiway.components.processes.container_engines import ENGINES


@pytest.fixture()
def podman(tmp_path, monkeypatch):
    """An engine that says how it was called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    engine = folder / "podman"
    engine.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$0.called"\n')
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return engine


def test_the_context_holds_the_package_the_lock_and_the_configuration_and_nothing_else(tmp_path):
    config = tmp_path / "config"
    config.mkdir()
    (config / "mine.yaml").write_text("name: mine\n")
    (config / ".env").write_text("TOKEN=x\n")
    context = tmp_path / "context"
    context.mkdir()
    image.make_context(context, config, "current")
    names = {path.name for path in context.iterdir()}
    assert names == {image.PACKAGE, *image.FILES, "requirements-current.lock", "Dockerfile", "config"}
    assert [path.name for path in (context / "config").iterdir()] == ["mine.yaml"]
    assert (context / "taxiway" / "pipeline" / "dag.py").is_file() and not (
        context / "taxiway" / "pipeline"
    ).is_symlink()
    assert not list(context.rglob("__pycache__"))


def test_the_build_is_labelled_and_tagged(podman):
    assert image.main(["--tag", "t:1", "--base", "localhost/base:1", "--isolation", "chroot"]) == 0
    called = Path(f"{podman}.called").read_text().splitlines()
    assert called[0] == "build" and "--tag=t:1" in called and "--isolation=chroot" in called
    assert "--build-arg=BASE_IMAGE=localhost/base:1" in called
    assert f"--build-arg=VERSION={image.read_version()}" in called
    assert any(re.fullmatch(r"--build-arg=REVISION=([0-9a-f]{12}(-dirty)?|unknown)", a) for a in called)


@pytest.mark.parametrize("stack", image.STACKS)
def test_a_stack_has_its_own_python_lock_base_and_tag(podman, stack):
    assert image.main(["--stack", stack, "--engine", "podman"]) == 0
    called = Path(f"{podman}.called").read_text().splitlines()
    wanted = image.STACKS[stack]
    assert {f"--build-arg=STACK={stack}", f"--build-arg=PYTHON={wanted.python}"} <= set(called)
    assert f"--build-arg=BASE_IMAGE={wanted.base}" in called and "--target=taxiway" in called
    assert any(re.fullmatch(rf"--tag=taxiway:{re.escape(image.read_version())}-\S+-{stack}", each) for each in called)


@pytest.mark.parametrize(("stack", "target"), [("tf216", "tensorrt"), ("current", "taxiway")])
def test_the_gpu_image_has_its_own_base(podman, stack, target):
    assert image.main(["--stack", stack, "--gpu", "--engine", "podman"]) == 0
    called = Path(f"{podman}.called").read_text().splitlines()
    assert f"--target={target}" in called and f"--build-arg=BASE_IMAGE={image.STACKS[stack].gpu_base}" in called
    assert any(each.startswith("--tag=") and each.endswith(f"-{stack}-gpu") for each in called)


def test_another_python_of_the_base(podman):
    assert image.main(["--stack", "current", "--python", "3.13"]) == 0
    assert "--build-arg=PYTHON=3.13" in Path(f"{podman}.called").read_text().splitlines()


def test_the_stack_is_this_machines_unless_one_is_named(podman, monkeypatch):
    monkeypatch.delenv("TAXIWAY_STACK", raising=False)
    chosen = subprocess.run([image.HOME / ".ci" / "stack"], capture_output=True, text=True, check=True).stdout.split()[
        0
    ]
    assert image.main([]) == 0
    assert f"--build-arg=STACK={chosen}" in Path(f"{podman}.called").read_text().splitlines()


def test_an_unknown_stack(podman, capsys):
    assert image.main(["--stack", "tf217"]) == 2
    assert capsys.readouterr().err == "error: There is no stack 'tf217'. Known are current and tf216.\n"


def test_a_machine_without_a_stack_can_name_the_images(podman, capsys, monkeypatch):
    monkeypatch.setenv("TAXIWAY_STACK", "tf217")
    assert image.main([]) == 2
    assert "Or name the stack of the image: make image STACK=current|tf216." in capsys.readouterr().err


@pytest.mark.parametrize("stack", image.STACKS)
def test_images_and_set_up_agree_on_a_stacks_python(stack):
    choices = (image.HOME / ".ci" / "stack").read_text()
    assert f'{stack}) echo "{stack} {image.STACKS[stack].python} ' in choices


def test_no_engine(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert image.main(["--stack", "tf216"]) == 2
    assert "is not on the PATH" in capsys.readouterr().err


def test_no_configuration_folder(podman, capsys, tmp_path):
    assert image.main(["--config", str(tmp_path / "none")]) == 2
    assert "is no folder" in capsys.readouterr().err


def test_the_dockerfile_keeps_its_promises():
    text = (image.HOME / "deploy" / "Dockerfile").read_text()
    assert "--require-hashes --compile-bytecode" in text
    assert "TF_USE_LEGACY_KERAS=1" in text
    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE)[-1] == "1000"
    assert all(f" AS {stack.gpu_target}\n" in text for stack in image.STACKS.values())
    uv = re.search(r"^UV_VERSION=(\S+)$", (image.HOME / ".ci" / "setup").read_text(), re.MULTILINE)
    assert set(re.findall(r"^ARG UV_VERSION=(\S+)$", text, re.MULTILINE)) == {uv[1]}
    for stage in text.split("\nFROM ")[1:]:
        used = set(re.findall(r"\$\{(PYTHON|STACK|UV_VERSION|VERSION|REVISION)\}", stage))
        assert used <= set(re.findall(r"^ARG (\w+)=", stage, re.MULTILINE)), "an argument ends with its stage"


def test_engines_are_looked_for_in_the_packages_order():
    assert image.ENGINES == ENGINES
