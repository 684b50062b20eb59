"""`make image`: builds the container image with podman or docker."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
PACKAGES = ("pipeline", "components", "data")
FILES = ("pyproject.toml", "requirements.lock", "README.md")
ENGINES = ("podman", "docker")
GPU_BASE = "docker.io/nvidia/cuda:12.3.2-cudnn8-runtime-ubuntu22.04"
"""CUDA 12.3 and cuDNN 8.9, for which TensorFlow 2.16 was built, on an Ubuntu that has Python 3.10."""


class ImageError(Exception):
    """The image cannot be built; the message says what to do."""


@dataclass(frozen=True)
class Request:
    """What to build.

    Attributes:
        tag: The image's name.
        config: The user's configuration folder, which the image holds.
        base: Another base image; empty: the Dockerfile's.
        gpu: With CUDA and TensorRT.
        engine: podman or docker; empty: the first one on the PATH.
        isolation: podman's `--isolation`, such as `chroot` inside another container.
    """

    tag: str = ""
    config: Path = HOME / "data" / "taxi"
    base: str = ""
    gpu: bool = False
    engine: str = ""
    isolation: str = ""


def version() -> str:
    """The package's."""
    found = re.search(r'^version = "([^"]+)"', (HOME / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else "0"


def revision() -> str:
    """The commit, with `-dirty` where the tree differs from it; `unknown` outside of git."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    if not commit:
        return "unknown"
    return f"{commit}-dirty" if _git("status", "--porcelain", "--", *PACKAGES, *FILES, "deploy") else commit


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(HOME), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def engine(wanted: str = "") -> str:
    """The container engine.

    Raises:
        ImageError: There is none.
    """
    for name in (wanted,) if wanted else ENGINES:
        if shutil.which(name):
            return name
    raise ImageError(f"{wanted or 'podman or docker'} is not on the PATH: install one, then run `make image` again.")


def make_context(folder: Path, config: Path) -> None:
    """Copies what the image is made of: nothing else of the tree, no secrets that lie about, can get in.

    Raises:
        ImageError: The configuration folder is none.
    """
    if not config.is_dir():
        raise ImageError(f"{config} is no folder: --config takes the folder of your configuration file.")
    left_out = shutil.ignore_patterns("__pycache__", "*.pyc", ".*", "taxiway-root")
    for package in PACKAGES:
        shutil.copytree(HOME / package, folder / package, ignore=left_out)
    for file in FILES:
        shutil.copy2(HOME / file, folder / file)
    shutil.copy2(HOME / "deploy" / "Dockerfile", folder / "Dockerfile")
    shutil.copytree(config, folder / "config", ignore=left_out)


def command(request: Request, context: Path) -> list[str]:
    """The engine's command line."""
    name = engine(request.engine)
    revised = revision()
    base = request.base or (GPU_BASE if request.gpu else "")
    options = [f"--build-arg=VERSION={version()}", f"--build-arg=REVISION={revised}"]
    options += [f"--build-arg=BASE_IMAGE={base}"] if base else []
    options += [f"--target={'gpu' if request.gpu else 'taxiway'}"]
    options += [f"--isolation={request.isolation}"] if request.isolation and name == "podman" else []
    tag = request.tag or f"taxiway:{version()}-{revised}{'-gpu' if request.gpu else ''}"
    return [name, "build", *options, f"--tag={tag}", f"--file={context / 'Dockerfile'}", str(context)]


def build(request: Request) -> int:
    """Builds; returns the engine's exit code."""
    with tempfile.TemporaryDirectory(prefix="taxiway-image-") as folder:
        make_context(Path(folder), request.config)
        arguments = command(request, Path(folder))
        print(" ".join(arguments), flush=True)
        return subprocess.run(arguments, check=False).returncode


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.image", description="Builds Taxiway's container image.")
    parser.add_argument("--tag", default="", help="default: taxiway:VERSION-REVISION")
    parser.add_argument("--config", type=Path, default=Request.config, help="your configuration folder")
    parser.add_argument("--base", default="", help="another base image, with apt")
    parser.add_argument("--gpu", action="store_true", help="with CUDA 12.3 and TensorRT 8.6")
    parser.add_argument("--engine", default="", choices=("", *ENGINES))
    parser.add_argument("--isolation", default="", help="podman's, such as chroot inside another container")
    try:
        return build(Request(**vars(parser.parse_args(argv))))
    except ImageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
