"""`make image`: builds the container image with podman or docker."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
PACKAGE = "taxiway"
SOURCES = (PACKAGE, "pipeline", "components", "data")
"""The package holds links to the other folders; the context gets their files."""
FILES = ("pyproject.toml", "README.md", "LICENSE", "THIRD_PARTY_LICENSES.md")
"""What every image's context holds, beside the lock of its stack."""
ENGINES = ("podman", "docker")
"""The order of `taxiway.components.processes.container_engines`; an image is built without the package installed."""


class ImageError(Exception):
    """The image cannot be built; the message says what to do."""


@dataclass(frozen=True)
class ImageStack:
    """What an image of a stack (docs/upgrading.md) is built on.

    Attributes:
        python: Version of Python.
        base: Base image.
        gpu_base: Base image with CUDA and cuDNN.
        gpu_target: Target of the Dockerfile for GPUs.
    """

    python: str
    base: str
    gpu_base: str
    gpu_target: str


STACKS = {
    # TensorFlow 2.16 was built for CUDA 12.3 and cuDNN 8.9, with TensorRT 8.6.
    "tf216": ImageStack(
        "3.11",
        "docker.io/library/python:3.11-slim-bookworm",
        "docker.io/nvidia/cuda:12.3.2-cudnn8-runtime-ubuntu22.04",
        "tensorrt",
    ),
    # TensorFlow 2.21 was built for CUDA 12.5; its own extra `and-cuda` takes CUDA 12.5 to 12.9 and cuDNN 9.3 or newer.
    # Its companions need glibc 2.39, which Ubuntu 24.04 has.
    "current": ImageStack(
        "3.12",
        "docker.io/library/python:3.12-slim-trixie",
        "docker.io/nvidia/cuda:12.9.1-cudnn-runtime-ubuntu24.04",
        "taxiway",
    ),
}
"""The stacks by name; `.ci/stack` knows the same."""
LOCKS = {stack: f"requirements-{stack}.lock" for stack in STACKS}
"""The files with their pinned packages."""


@dataclass(frozen=True)
class ImageRequest:
    """The image to build.

    Attributes:
        stack: Name of the stack; empty: this machine's, as `make setup` chooses it.
        tag: Name of the image; empty: made from version, revision and stack.
        config: Folder of the user's configuration, which the image holds.
        base: Base image; empty: the stack's.
        python: Version of Python; empty: the stack's.
        gpu: Whether the image has CUDA, and TensorRT where TensorFlow was built with it.
        engine: Container engine, podman or docker; empty: the first one on the PATH.
        isolation: Value of podman's `--isolation`, such as `chroot` inside another container.
    """

    stack: str = ""
    tag: str = ""
    config: Path = HOME / "data" / "taxi"
    base: str = ""
    python: str = ""
    gpu: bool = False
    engine: str = ""
    isolation: str = ""


def read_version() -> str:
    """The version of the package."""
    found = re.search(r'^version = "([^"]+)"', (HOME / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else "0"


def read_revision() -> str:
    """The commit, with `-dirty` where the tree differs from it; `unknown` outside of git."""
    commit = _run_git("rev-parse", "--short=12", "HEAD")
    if not commit:
        return "unknown"
    parts = (*SOURCES, *FILES, *LOCKS.values(), "deploy")
    return f"{commit}-dirty" if _run_git("status", "--porcelain", "--", *parts) else commit


def _run_git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(HOME), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def find_stack(wanted: str = "") -> str:
    """The stack's name.

    Args:
        wanted: Name that was asked for; empty: this machine's own.

    Raises:
        ImageError: There is no such stack, or this machine has none.
    """
    if not wanted:
        return _ask_machine()
    if wanted not in STACKS:
        raise ImageError(f"There is no stack {wanted!r}. Known are {' and '.join(sorted(STACKS))}.")
    return wanted


def _ask_machine() -> str:
    done = subprocess.run([str(HOME / ".ci" / "stack")], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"{done.stderr.strip()}\nOr name the stack of the image: make image STACK=current|tf216.")
    return done.stdout.split()[0]


def find_engine(wanted: str = "") -> str:
    """The container engine.

    Raises:
        ImageError: There is none.
    """
    for name in (wanted,) if wanted else ENGINES:
        if shutil.which(name):
            return name
    raise ImageError(f"{wanted or 'podman or docker'} is not on the PATH: install one, then run `make image` again.")


def make_context(folder: Path, config: Path, stack: str) -> None:
    """Copies what the image is made of: nothing else of the tree, no secrets that lie about, can get in.

    Raises:
        ImageError: The configuration folder is none.
    """
    if not config.is_dir():
        raise ImageError(f"{config} is no folder: --config takes the folder of your configuration file.")
    left_out = shutil.ignore_patterns("__pycache__", "*.pyc", ".*", "taxiway-root")
    shutil.copytree(HOME / PACKAGE, folder / PACKAGE, ignore=left_out)
    for file in (*FILES, LOCKS[stack]):
        shutil.copy2(HOME / file, folder / file)
    shutil.copy2(HOME / "deploy" / "Dockerfile", folder / "Dockerfile")
    shutil.copytree(config, folder / "config", ignore=left_out)


def make_command(request: ImageRequest, context: Path) -> list[str]:
    """The engine's command line; the request names its stack."""
    engine, stack, revision = find_engine(request.engine), STACKS[request.stack], read_revision()
    arguments = {
        "VERSION": read_version(),
        "REVISION": revision,
        "STACK": request.stack,
        "PYTHON": request.python or stack.python,
        "BASE_IMAGE": request.base or (stack.gpu_base if request.gpu else stack.base),
    }
    options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    options += [f"--target={stack.gpu_target if request.gpu else 'taxiway'}"]
    options += [f"--isolation={request.isolation}"] if request.isolation and engine == "podman" else []
    tag = request.tag or f"taxiway:{read_version()}-{revision}-{request.stack}{'-gpu' if request.gpu else ''}"
    return [engine, "build", *options, f"--tag={tag}", f"--file={context / 'Dockerfile'}", str(context)]


def build_image(request: ImageRequest) -> int:
    """Builds the image; returns the engine's exit code."""
    request = replace(request, stack=find_stack(request.stack))
    with tempfile.TemporaryDirectory(prefix="taxiway-image-") as folder:
        make_context(Path(folder), request.config, request.stack)
        arguments = make_command(request, Path(folder))
        print(" ".join(arguments), flush=True)
        return subprocess.run(arguments, check=False).returncode


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.image", description="Builds Taxiway's container image.")
    parser.add_argument("--stack", default="", help=f"{' or '.join(STACKS)}; default: this machine's")
    parser.add_argument("--tag", default="", help="default: taxiway:VERSION-REVISION-STACK")
    parser.add_argument("--config", type=Path, default=ImageRequest.config, help="your configuration folder")
    parser.add_argument("--base", default="", help="another base image, with apt")
    parser.add_argument("--python", default="", help="another version of Python that the stack allows")
    parser.add_argument("--gpu", action="store_true", help="with CUDA; tf216 with TensorRT 8.6 too")
    parser.add_argument("--engine", default="", choices=("", *ENGINES))
    parser.add_argument("--isolation", default="", help="podman's, such as chroot inside another container")
    try:
        return build_image(ImageRequest(**vars(parser.parse_args(argv))))
    except ImageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
