"""Checks of sizes: of the workflow, and of each argument of a process."""

from __future__ import annotations

from collections.abc import Iterator

from taxiway.pipeline.kubeflow.argument_sizes import MAX_ARGUMENT_BYTES, find_long_arguments
from taxiway.pipeline.kubeflow.checks.finding import BACKEND, TargetFinding, make_refusal
from taxiway.pipeline.kubeflow.compiler import CompiledPipeline

MAX_SPEC_BYTES = 1 << 20
"""A workflow is one object in etcd, which takes 1.5 MiB, and holds the specification with what Argo adds."""


def check_size(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """A workflow is one Kubernetes object."""
    size = len(compiled.text.encode())
    if size > MAX_SPEC_BYTES and compiled.target == "kfp":
        yield make_refusal("", f"The specification has {size} bytes.", f"A workflow holds at most {MAX_SPEC_BYTES}.")


def check_arguments(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """The backend hands the inputs of a step to its processes as arguments, and Linux limits each of them."""
    if compiled.target != "kfp":
        return
    for long in find_long_arguments(compiled.spec):
        packed = long.parameter_size != long.value_size
        from_size = f" ({long.value_size} before they were compressed)" if packed else ""
        problem = f"An argument would have {long.size} bytes, and Linux starts no process with more than "
        problem += f"{MAX_ARGUMENT_BYTES}; {long.parameter_size} are the parameter {long.parameter!r}{from_size}."
        remedy = "Describe fewer columns (features.leave_out, a shorter schema.pbtxt), or run it with `taxiway run`, "
        remedy += "which has no such limit."
        yield make_refusal(long.node, problem, remedy, f"{BACKEND}/v2/driver/container.go")
