"""What this machine can and cannot do. Heavy or dangerous questions are asked in a process of their own."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.table import Table

from components import memory_limits
from components.configuration import Section
from pipeline import output
from pipeline.layout import Root

PROBE_TIMEOUT_SECONDS = 120.0
MIN_DISK_GB = 5.0
MIN_MEMORY_GB = 3.0
PINNED = ("tfx", "tensorflow", "tf-keras", "tensorflow-transform", "apache-beam", "ml-metadata", "kfp")
COMPILERS = ("c++", "g++", "clang++")
ENGINE_FORMATS = {"podman": "{{.Host.OS}}", "docker": "{{.ServerVersion}}"}
COMMAND_TIMEOUT_SECONDS = 30.0
NO_TENSORRT = "it needs a GPU to build and run engines"

TENSORFLOW_PROBE = """
import json, os, sys
import tensorflow as tf
build = tf.sysconfig.get_build_info()
import tf_keras
print(json.dumps({
    "version": tf.__version__,
    "keras": tf_keras.__version__,
    "cuda": bool(build.get("is_cuda_build")),
    "gpus": [device.name for device in tf.config.list_physical_devices("GPU")],
    "tensorrt_build": bool(build.get("is_tensorrt_build")),
}))
"""


class Finding(Section):
    """One thing that was looked at."""

    name: str
    ok: bool
    """This machine can do it."""
    detail: str
    """What was found; where it is not there, what does not work without it."""
    needed: bool = False
    """Without it `taxiway run` does not work."""


def examine(root: str | Path) -> list[Finding]:
    """Looks at everything.

    Args:
        root: Where a run would write.
    """
    findings = [python(), *packages(), memory(), cores(), disk(Root.at(root).path), *tensorflow()]
    return [*findings, tensorrt_libraries(), compiler(), *containers(), model_server(), cluster_tool()]


def table(findings: Iterable[Finding]) -> Table:
    """The findings as a table."""
    rows = [(_mark(finding), finding.name, output.plain_lines(finding.detail)) for finding in findings]
    return output.table("", ("", "what", "found"), rows)


def _mark(finding: Finding) -> str:
    if finding.ok:
        return "[green]yes[/]"
    return "[bold red]NO[/]" if finding.needed else "[yellow]no[/]"


def _judge(name: str, ok: bool, found: str, otherwise: str, *, needed: bool = False) -> Finding:
    """A finding that says `otherwise` only where it is not as it should be."""
    detail = found if ok else "; ".join(part for part in (found, otherwise) if part)
    return Finding(name=name, ok=ok, needed=needed, detail=detail)


def python() -> Finding:
    """TFX 1.16 has wheels for Python 3.9 and 3.10; the lock is for 3.10."""
    found = f"{platform.python_version()} at {sys.executable}"
    return _judge("Python", sys.version_info[:2] == (3, 10), found, "3.10 is needed", needed=True)


def packages() -> list[Finding]:
    """Installed versions against the ones that Taxiway asks for."""
    asked = _asked_versions()
    return [_package(name, asked.get(name, "")) for name in PINNED]


def _package(name: str, asked: str) -> Finding:
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(name=name, ok=False, needed=True, detail="not installed: make setup")
    return _judge(name, not asked or found == asked, found, f"{asked} is asked for: make setup", needed=True)


def _asked_versions() -> dict[str, str]:
    try:
        required = metadata.requires("taxiway") or []
    except metadata.PackageNotFoundError:
        return {}
    matches = (re.match(r"([\w.-]+)(?:\[[^]]*\])?==([\w.]+)", line) for line in required)
    return {match[1]: match[2] for match in matches if match}


def memory() -> Finding:
    """Memory of the machine, or of the container if that is less."""
    total = memory_limits.total_bytes() / 1e9
    return _judge("memory", total >= MIN_MEMORY_GB, f"{total:.1f} GB", f"{MIN_MEMORY_GB:g} are needed", needed=True)


def cores() -> Finding:
    """Cores that this process may use."""
    usable = len(os.sched_getaffinity(0))
    return _judge("cores", usable >= 2, f"{usable} usable of {os.cpu_count()}", "latencies are noisy on one core")


def disk(root: Path) -> Finding:
    """Free space where the root is or would be."""
    place = next(path for path in (root, *root.parents) if path.exists())
    free, writable = shutil.disk_usage(place).free / 1e9, os.access(place, os.W_OK)
    otherwise = f"less than {MIN_DISK_GB:g} GB" if writable else "cannot be written"
    ok = writable and free >= MIN_DISK_GB
    return _judge("disk", ok, f"{free:.1f} GB free at {place}", otherwise, needed=True)


def tensorflow() -> list[Finding]:
    """TensorFlow, Keras 2 and GPUs, asked in a process of its own: the import takes seconds and may abort."""
    answer, error = probe(TENSORFLOW_PROBE)
    if answer is None:
        return [Finding(name="TensorFlow starts", ok=False, needed=True, detail=error)]
    gpus, trt = answer["gpus"], answer["tensorrt_build"]
    version = f"{answer['version']}, {'with' if answer['cuda'] else 'without'} CUDA"
    return [
        Finding(name="TensorFlow starts", ok=True, needed=True, detail=version),
        Finding(name="Keras 2", ok=answer["keras"].startswith("2."), needed=True, detail=f"tf_keras {answer['keras']}"),
        _judge("GPU", bool(gpus), ", ".join(gpus), "none found: everything runs on the CPU"),
        _judge("TensorRT in TensorFlow", trt and bool(gpus), f"built {'with' if trt else 'without'} it", NO_TENSORRT),
    ]


def probe(code: str) -> tuple[dict[str, Any] | None, str]:
    """Runs Python code that prints one JSON object.

    Returns:
        The object, or None and how the process ended.
    """
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", code]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_TIMEOUT_SECONDS, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        return None, f"did not answer within {PROBE_TIMEOUT_SECONDS:g} s"
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        return None, f"ended with {done.returncode}: {last[:300]}"
    return json.loads(done.stdout.strip().splitlines()[-1]), ""


def _run(
    command: list[str], timeout_seconds: float, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_seconds, env=environment, check=False
    )


def tensorrt_libraries() -> Finding:
    """libnvinfer, looked for and not loaded: TensorFlow's own question aborts the process where it is missing."""
    from ctypes import util

    found = util.find_library("nvinfer")
    return _judge("TensorRT library", bool(found), found or "", "libnvinfer is not installed: no TensorRT engines")


def compiler() -> Finding:
    """Two of the locked packages are source archives with C++ in them."""
    found = next((path for path in map(shutil.which, COMPILERS) if path), "")
    return _judge("C++ compiler", bool(found), found or "", "none: `make setup` cannot build pyfarmhash; install g++")


def containers() -> list[Finding]:
    """Container engines: whether they are there and answer."""
    return [_container_engine(engine) for engine in ENGINE_FORMATS]


def _container_engine(engine: str) -> Finding:
    path = shutil.which(engine)
    if path is None:
        return Finding(name=engine, ok=False, detail="not installed: no images are built, no containers run with it")
    return _answers(engine, [path, "info", "--format", ENGINE_FORMATS[engine]], path)


def _answers(name: str, command: list[str], path: str) -> Finding:
    try:
        done = _run(command, COMMAND_TIMEOUT_SECONDS)
    except (subprocess.TimeoutExpired, OSError) as error:
        return Finding(name=name, ok=False, detail=f"{path} does not answer: {error}")
    last = ((done.stderr or done.stdout).strip().splitlines() or [""])[-1]
    return _judge(name, done.returncode == 0, path, f"it does not work: {last[:300]}")


def model_server() -> Finding:
    """TensorFlow Serving's own server."""
    found = shutil.which("tensorflow_model_server")
    missing = "tensorflow_model_server is not on PATH: candidates are tried without it, over the same protocols"
    return _judge("TensorFlow Serving", bool(found), found or "", missing)


def cluster_tool() -> Finding:
    """kubectl, and whether it knows a cluster."""
    path = shutil.which("kubectl")
    if path is None:
        return Finding(name="Kubernetes", ok=False, detail="kubectl is not installed: no cluster can be looked at")
    return _answers("Kubernetes", [path, "version", "--request-timeout=5s"], path)
