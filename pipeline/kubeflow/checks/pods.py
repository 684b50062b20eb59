"""Checks of what pods are asked for: image, accelerators, processes, settings of Kubernetes, retries."""

from __future__ import annotations

import re
from collections.abc import Iterator

from taxiway.pipeline.kubeflow.checks.finding import (
    BACKEND,
    TargetFinding,
    list_executors,
    list_resources,
    make_note,
    make_refusal,
)
from taxiway.pipeline.kubeflow.compiler import CompiledPipeline
from taxiway.pipeline.resources import NodeResources


def check_image(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """The cache knows code by the image's name only."""
    for image in sorted({e["container"]["image"] for _, _, e in list_executors(compiled) if "container" in e}):
        if image == "image-not-set":
            yield make_refusal("", "No image is named.", "`make image`, push it, and set resources.kubeflow.image.")
        elif not re.search(r"@sha256:[0-9a-f]{64}$|:[^/:]+$", image) or image.endswith(":latest"):
            remedy = "Name a revision's tag or a digest, or old outputs are reused after a change of code."
            yield make_note("", f"The image {image!r} may change under its name.", remedy)


def check_accelerators(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """Each target has its own names of accelerators."""
    for node, resources in list_resources(compiled):
        if not resources.gpu_count:
            continue
        if compiled.target == "vertex" and not re.fullmatch(r"(NVIDIA|TPU)_[A-Z0-9_]+", resources.gpu_type):
            yield make_refusal(
                node, f"gpu_type {resources.gpu_type!r} is no accelerator of Vertex AI.", "Such as NVIDIA_TESLA_T4."
            )
        if compiled.target == "kfp" and resources.gpu_type and "/" not in resources.gpu_type:
            remedy = "Kubernetes counts `nvidia.com/gpu`; choose the kind with node_selector."
            yield make_refusal(node, f"gpu_type {resources.gpu_type!r} is no resource of Kubernetes.", remedy,
                           f"{BACKEND}/v2/driver/driver.go")  # fmt: skip


def check_distribution(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """A node is one pod; without TF_CONFIG, a cluster of training is processes of one machine."""
    training = compiled.config.training
    resources = dict(list_resources(compiled)).get("Trainer", NodeResources())
    if "TF_CONFIG" in resources.list_variables():
        return
    if training.strategy == "multi_worker_mirrored" and training.cluster.workers > 1:
        problem = f"The {training.cluster.workers} workers of multi_worker_mirrored would be processes in one pod."
        remedy = "Set training.strategy to mirrored (all GPUs of the pod), or training.cluster.workers to 1."
        yield make_refusal("Trainer", problem, remedy)
    if training.strategy == "parameter_server":
        yield make_note("Trainer", "Workers and parameter servers are processes in one pod.")


def check_retry_waits(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """Argo limits the time of all tries together, not one wait; the backend does not set its `cap`."""
    for node, resources in list_resources(compiled):
        longest = resources.retry_wait_seconds * resources.retry_factor ** max(resources.retries - 1, 0)
        if compiled.target == "kfp" and resources.retries and longest > resources.retry_max_wait_seconds:
            yield TargetFinding(
                node=node,
                level="ignored",
                problem=f"Retry {resources.retries} waits {longest} s, whatever retry_max_wait_seconds "
                f"({resources.retry_max_wait_seconds}) says.",
                remedy="Lower retry_wait_seconds, retry_factor or retries.",
                source=f"{BACKEND}/v2/compiler/argocompiler/container.go",
            )
