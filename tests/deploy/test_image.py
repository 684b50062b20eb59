from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from deploy import image


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
    image.make_context(context, config)
    assert {path.name for path in context.iterdir()} == {*image.PACKAGES, *image.FILES, "Dockerfile", "config"}
    assert [path.name for path in (context / "config").iterdir()] == ["mine.yaml"]
    assert not list(context.rglob("__pycache__"))


def test_the_build_is_labelled_and_tagged(podman):
    assert image.main(["--tag", "t:1", "--base", "localhost/base:1", "--isolation", "chroot"]) == 0
    called = Path(f"{podman}.called").read_text().splitlines()
    assert called[0] == "build" and "--tag=t:1" in called and "--isolation=chroot" in called
    assert "--build-arg=BASE_IMAGE=localhost/base:1" in called
    assert f"--build-arg=VERSION={image.version()}" in called
    assert any(re.fullmatch(r"--build-arg=REVISION=([0-9a-f]{12}(-dirty)?|unknown)", a) for a in called)


def test_the_gpu_target_has_its_own_base(podman):
    assert image.main(["--gpu", "--engine", "podman"]) == 0
    called = Path(f"{podman}.called").read_text().splitlines()
    assert "--target=gpu" in called and f"--build-arg=BASE_IMAGE={image.GPU_BASE}" in called


def test_no_engine(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert image.main([]) == 2
    assert "is not on the PATH" in capsys.readouterr().err


def test_no_configuration_folder(podman, capsys, tmp_path):
    assert image.main(["--config", str(tmp_path / "none")]) == 2
    assert "is no folder" in capsys.readouterr().err


def test_the_dockerfile_keeps_its_promises():
    text = (image.HOME / "deploy" / "Dockerfile").read_text()
    assert "--require-hashes --compile-bytecode" in text
    assert "TF_USE_LEGACY_KERAS=1" in text
    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE)[-1] == "1000"
    uv = re.search(r"^UV_VERSION=(\S+)$", (image.HOME / ".ci" / "setup").read_text(), re.MULTILINE)
    assert f"ARG UV_VERSION={uv[1]}" in text
