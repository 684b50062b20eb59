"""What this machine can and cannot do. What is heavy, or may abort, is tried in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from rich.table import Table

from taxiway.components.processes import memory_limits, subprocesses
from taxiway.components.processes.container_engines import ENGINES
from taxiway.pipeline.console import printing
from taxiway.pipeline.maintenance import advisories, check_versions
from taxiway.pipeline.maintenance.findings import MachineFinding, make_finding
from taxiway.pipeline.root import Root

PROBE_TIMEOUT_SECONDS = 120.0
MIN_DISK_GB = 5.0
MIN_MEMORY_GB = 3.0
COMPILERS = ("c++", "g++", "clang++")
ENGINE_FORMATS = {"podman": "{{.Host.OS}}", "docker": "{{.ServerVersion}}"}
COMMAND_TIMEOUT_SECONDS = 30.0
NO_TENSORRT = "it needs a GPU to build and run engines"
PROBE_MODULE = "taxiway.pipeline.maintenance.tensorflow_probe"


def examine_machine(root: str | Path) -> list[MachineFinding]:
    """Examines the machine.

    Args:
        root: Folder that a run would write to.
    """
    findings = [
        *check_versions.check_versions(),
        check_memory(),
        check_cores(),
        check_disk(Root.at(root).path),
        *check_tensorflow(),
    ]
    return [
        *findings,
        check_tensorrt_library(),
        check_compiler(),
        *check_container_engines(),
        check_model_server(),
        check_kubectl(),
        *list_advisories(),
    ]


def make_findings_table(findings: Iterable[MachineFinding]) -> Table:
    """The findings as a table."""
    rows = [(_format_mark(finding), finding.name, printing.escape_lines(finding.detail)) for finding in findings]
    return printing.make_table("", ("", "what", "found"), rows)


def _format_mark(finding: MachineFinding) -> str:
    if finding.advisories:
        return "[cyan]note[/]"
    if finding.ok:
        return "[green]yes[/]"
    return "[bold red]NO[/]" if finding.needed else "[yellow]no[/]"


def check_memory() -> MachineFinding:
    """Memory of the machine, or of the container if that is less."""
    total = memory_limits.read_total_bytes() / 1e9
    return make_finding(
        "memory", total >= MIN_MEMORY_GB, f"{total:.1f} GB", f"{MIN_MEMORY_GB:g} are needed", needed=True
    )


def check_cores() -> MachineFinding:
    """Cores that this process may use."""
    usable = len(os.sched_getaffinity(0))
    return make_finding("cores", usable >= 2, f"{usable} usable of {os.cpu_count()}", "latencies are noisy on one core")


def check_disk(root: Path) -> MachineFinding:
    """Free space where the root is or would be."""
    place = next(path for path in (root, *root.parents) if path.exists())
    free, writable = shutil.disk_usage(place).free / 1e9, os.access(place, os.W_OK)
    otherwise = f"less than {MIN_DISK_GB:g} GB" if writable else "cannot be written"
    ok = writable and free >= MIN_DISK_GB
    return make_finding("disk", ok, f"{free:.1f} GB free at {place}", otherwise, needed=True)


def check_tensorflow() -> list[MachineFinding]:
    """TensorFlow, Keras 2 and GPUs, asked in a process of its own: the import takes seconds and may abort."""
    outcome = subprocesses.run_module(PROBE_MODULE, {}, None, timeout_seconds=PROBE_TIMEOUT_SECONDS)
    answer = outcome.result
    if answer is None:
        detail = f"{outcome.error} {outcome.log_tail.rpartition(chr(10))[2]}"[:300]
        return [MachineFinding(name="TensorFlow starts", ok=False, needed=True, detail=detail)]
    gpus, trt = answer["gpus"], answer["tensorrt_build"]
    version = f"{answer['version']}, {'with' if answer['cuda'] else 'without'} CUDA"
    return [
        MachineFinding(name="TensorFlow starts", ok=True, needed=True, detail=version),
        MachineFinding(
            name="Keras 2", ok=answer["keras"].startswith("2."), needed=True, detail=f"tf_keras {answer['keras']}"
        ),
        make_finding("GPU", bool(gpus), ", ".join(gpus), "none found: everything runs on the CPU"),
        make_finding(
            "TensorRT in TensorFlow", trt and bool(gpus), f"built {'with' if trt else 'without'} it", NO_TENSORRT
        ),
    ]


def check_tensorrt_library() -> MachineFinding:
    """libnvinfer, looked for and not loaded: TensorFlow's own question aborts the process where it is missing."""
    from ctypes import util

    library = util.find_library("nvinfer")
    return make_finding(
        "TensorRT library", bool(library), library or "", "libnvinfer is not installed: no TensorRT engines"
    )


def check_compiler() -> MachineFinding:
    """Two of the locked packages are source archives with C++ in them."""
    compiler = next((path for path in map(shutil.which, COMPILERS) if path), "")
    return make_finding(
        "C++ compiler", bool(compiler), compiler or "", "none: `make setup` cannot build pyfarmhash; install g++"
    )


def check_container_engines() -> list[MachineFinding]:
    """Container engines: whether they are there and answer."""
    return [_check_container_engine(engine) for engine in ENGINES]


def _check_container_engine(engine: str) -> MachineFinding:
    path = shutil.which(engine)
    if path is None:
        return MachineFinding(
            name=engine, ok=False, detail="not installed: no images are built, no containers run with it"
        )
    return _check_answer(engine, [path, "info", "--format", ENGINE_FORMATS[engine]], path)


def _check_answer(name: str, command: list[str], path: str) -> MachineFinding:
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_SECONDS, check=False)
    except (subprocess.TimeoutExpired, OSError) as error:
        return MachineFinding(name=name, ok=False, detail=f"{path} does not answer: {error}")
    last = ((process.stderr or process.stdout).strip().splitlines() or [""])[-1]
    return make_finding(name, process.returncode == 0, path, f"it does not work: {last[:300]}")


def check_model_server() -> MachineFinding:
    """TensorFlow Serving's own server."""
    server = shutil.which("tensorflow_model_server")
    missing = "tensorflow_model_server is not on PATH: candidates are tried without it, over the same protocols"
    return make_finding("TensorFlow Serving", bool(server), server or "", missing)


def check_kubectl() -> MachineFinding:
    """kubectl, and whether it knows a cluster."""
    path = shutil.which("kubectl")
    if path is None:
        return MachineFinding(
            name="Kubernetes", ok=False, detail="kubectl is not installed: no cluster can be looked at"
        )
    return _check_answer("Kubernetes", [path, "version", "--request-timeout=5s"], path)


def list_advisories() -> list[MachineFinding]:
    """Notes on the advisories that the installed packages have; none is a failure, each says what guards it."""
    return [
        MachineFinding(
            name=f"{found.entry.package} {found.version}",
            ok=True,
            detail=found.to_text(),
            advisories=tuple(each.id for each in found.advisories),
        )
        for found in advisories.find_installed_advisories()
    ]
