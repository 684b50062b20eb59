"""Checks of what must not be in the compiled text: secrets, and addresses that mean another machine in a pod."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from taxiway.pipeline.kubeflow.checks.finding import (
    TargetFinding,
    is_inside,
    list_resources,
    list_tasks,
    make_note,
    make_refusal,
)
from taxiway.pipeline.kubeflow.compiler import CompiledPipeline
from taxiway.pipeline.kubeflow.packed_properties import read_constants

SECRET_NAME = re.compile(r"(?i)(password|passwd|secret|token|api_?key|private_?key|credential)")
SECRET_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}|"
    r"\bya29\.[\w-]{20,}|://[^/\s:@']+:[^/\s:@']+@"
)


def _read_all_texts(compiled: CompiledPipeline) -> str:
    """The compiled text, and each node's values as they are: long ones are compressed in it, others broken in lines."""
    constants = (read_constants(compiled.spec, node).values() for node in list_tasks(compiled))
    return "\n".join([compiled.text, *(value for found in constants for value in found if isinstance(value, str))])


def check_secrets(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """Everyone who sees the pipeline reads its text."""
    for node, resources in list_resources(compiled):
        for name in resources.environment:
            if SECRET_NAME.search(name):
                remedy = "Keep it in a Kubernetes secret: secret_variables."
                yield make_refusal(node, f"The variable {name} would be readable in the pipeline.", remedy)
    if SECRET_VALUE.search(_read_all_texts(compiled)):
        yield make_refusal("", "The compiled pipeline holds what looks like a key, a token or a password in a URL.",
                       "Use secret_variables or secret_volumes.")  # fmt: skip


def check_machine_paths(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """A pod does not see this machine, and its paths may name the person who compiled."""
    text = _read_all_texts(compiled)
    source = compiled.config.source
    places = {str(Path.home()), str(Path.cwd()), str(Path(__file__).parents[4])}
    places |= {str(source.parent)} if source else set()
    mounted = [v.mount_path for _, r in list_resources(compiled) for v in r.volumes]
    for place in sorted(places):
        if len(PurePosixPath(place).parts) > 2 and not is_inside(place, tuple(mounted)) and f"{place}/" in text:
            yield make_refusal("", f"The compiled pipeline names {place}, a folder of this machine.",
                           "Give paths of the image or of a volume.")  # fmt: skip


def check_loopback(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """In a pod, a loopback address is the pod itself.

    But for Beam's environment, which the engine's machines look up: there it is the pool of workers beside each.
    """
    beam = compiled.config.resources.beam
    for key in ("job_endpoint", "artifact_endpoint", "master"):
        if _is_here(getattr(beam, key)):
            problem = f"resources.beam.{key} {getattr(beam, key)!r} points at the pod itself."
            yield make_refusal("", problem, "Name a service.")
    for argument in compiled.config.resources.beam_args:
        if argument.startswith(("--environment_config=", "--environment_option")):
            continue
        host = re.search(r"=(?:\w+://)?([\w.]+):\d+", argument)
        if host and _is_here(host[0].removeprefix("=")):
            yield make_refusal("", f"The Beam option {argument!r} points at the pod itself.", "Name a service.")
    for node, resources in list_resources(compiled):
        for name, value in sorted(resources.environment.items()):
            host = re.match(r"\w+://(?:\[(::1)\]|([\w.-]+))", value)
            if host and ((host[2] or "") == "localhost" or _is_loopback(host[1] or host[2])):
                yield make_note(node, f"The variable {name} points at the pod itself: {value}.", "Name a service.")


def _is_here(address: str) -> bool:
    """Whether `[http://]host:port` means the machine that looks it up."""
    host = address.rpartition("//")[2].rpartition(":")[0].strip("[]")
    return host == "localhost" or _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
