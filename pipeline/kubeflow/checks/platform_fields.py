"""Checks of the settings that only Kubernetes has: which releases know them, which apply them."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf import json_format

from taxiway.pipeline.kubeflow import platform
from taxiway.pipeline.kubeflow.checks.finding import BACKEND, TargetFinding, list_resources, make_note, make_refusal
from taxiway.pipeline.kubeflow.compiler import CompiledPipeline
from taxiway.pipeline.resources import NodeResources

KUBERNETES_ONLY = (
    "node_selector", "tolerations", "node_affinity", "pod_affinity", "secret_variables", "config_map_variables",
    "field_variables", "volumes", "secret_volumes", "config_map_volumes", "empty_directories", "ephemeral_volumes",
    "shared_memory", "security_context", "labels", "annotations", "image_pull_policy", "image_pull_secrets",
    "timeout_seconds",
)  # fmt: skip
_DEFAULTS = NodeResources()


def check_vertex(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """Vertex AI has no settings of Kubernetes."""
    for node, resources in list_resources(compiled) if compiled.target == "vertex" else ():
        asked = [name for name in KUBERNETES_ONLY if getattr(resources, name) != getattr(_DEFAULTS, name)]
        if asked:
            yield TargetFinding(node=node, level="ignored", problem=f"Vertex AI has no {', '.join(asked)}.")


def check_releases(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """A release of the backend has the settings of its time."""
    releases: dict[str, list[str]] = {}
    for name in sorted(_list_used_fields(compiled) & set(platform.RELEASES)):
        releases.setdefault(platform.RELEASES[name], []).append(name)
    for release, names in sorted(releases.items(), key=lambda item: [int(part) for part in item[0].split(".")]):
        does = "ignores" if names == ["nodeAffinity"] else "refuses"
        what = "it" if len(names) == 1 else "them"
        yield make_note("", f"{', '.join(names)}: a backend before {release} {does} {what}.")


def check_never_applied(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """A field that the backend reads into its message and then does not look at."""
    for name in sorted(_list_used_fields(compiled) & set(platform.NEVER_APPLIED)):
        problem = f"{name}: no release of the backend up to {platform.NEVER_APPLIED[name]} applies it."
        remedy = "Use node_affinity, node_selector or tolerations."
        yield TargetFinding(level="ignored", problem=problem, remedy=remedy, source=f"{BACKEND}/v2/driver/k8s.go")


def check_installed(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """kfp's client reads the document by the installed kfp-kubernetes before it uploads the file."""
    installed = platform.get_installed_release()
    for label, config in sorted(platform.list_executor_configs(compiled.platform).items()):
        node, unknown = label.removesuffix("_executor"), platform.find_unknown_fields(config)
        for name in unknown:
            since = platform.PROTO_RELEASES.get(name, "a later one")
            problem = f"{name} is unknown to the installed kfp-kubernetes {installed}; kfp-kubernetes {since} knows it."
            remedy = "Leave the setting out, or compile with the stack `current` (Python 3.12)."
            yield make_refusal(node, problem, remedy)
        if not unknown:
            yield from _parse_strictly(node, config, installed)


def _parse_strictly(node: str, config: dict[str, object], installed: str) -> Iterator[TargetFinding]:
    try:
        platform.parse_executor_config(config)
    except json_format.ParseError as error:
        yield make_refusal(node, f"kfp-kubernetes {installed} does not read its settings: {error}")


def _list_used_fields(compiled: CompiledPipeline) -> set[str]:
    configs = platform.list_executor_configs(compiled.platform).values()
    return {name for config in configs for name in platform.list_fields(config)}
