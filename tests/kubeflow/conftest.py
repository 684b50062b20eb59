"""Today's taxi pipeline, compiled with the settings of the recorded one, and driven by the emulator's driver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from taxiway.pipeline.config import load_config
from taxiway.pipeline.emulator.driver import PipelineJob, TaskDecision, decide_task, fill_run_parameters
from taxiway.pipeline.emulator.package import read_package
from taxiway.pipeline.emulator.pods.patch import make_pod_patch
from taxiway.pipeline.emulator.releases import find_release
from taxiway.pipeline.emulator.store import TaskOutputs
from tests.kubeflow.answers.recorded import read_answers, unwrap_metadata
from tests.kubeflow.explained import STEPS_SINCE

RUN_ID = "11111111-2222-3333-4444-555555555555"
ROOTS = {"2.17": "minio://mlpipeline/v2", "without-mlmd": "minio://mlpipeline/v2/artifacts"}
KUBEFLOW = {
    "image": "registry.example/taxiway:0.1.0-4f2a91c07e55",
    "default": {
        "cpu_cores": 1.5,
        "memory_gb": 4.5,
        "volumes": [{"claim": "taxiway", "mount_path": "/taxiway"}],
        "timeout_seconds": 3600,
        "retries": 2,
        "image_pull_policy": "IfNotPresent",
        "image_pull_secrets": ["regcred"],
    },
    "components": {
        "ExampleGen": {"secret_variables": [{"name": "warehouse", "variables": {"password": "WAREHOUSE_PASSWORD"}}]},
        "Trainer": {
            "cpu_cores": 8,
            "gpu_count": 1,
            "node_selector": {"accelerator": "t4"},
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
            "environment": {"NCCL_DEBUG": "INFO"},
        },
    },
}


@dataclass
class Driven:
    """What the emulator's driver answered, by node.

    Attributes:
        answers: The recorded answers.
        decisions: Executor inputs, conditions and provisioned outputs.
        patches: Pod patches.
    """

    answers: dict[str, Any]
    job: PipelineJob
    decisions: dict[str, TaskDecision] = field(default_factory=dict)
    patches: dict[str, dict[str, Any]] = field(default_factory=dict)
    finished: dict[str, TaskOutputs] = field(default_factory=dict)

    def drive_node(self, node: str, number: int) -> None:
        """Decides on a node, and keeps for it what the recorded node wrote."""
        decision = decide_task(self.job, node, self.finished, f"09c3bbf7-50be-4ca1-90f4-{number:012d}")
        self.decisions[node] = decision
        if decision.triggered:
            self.patches[node] = make_pod_patch(self.job, node, decision, number)
            self.finished[node] = self._keep_outputs(node, decision, number)

    def _keep_outputs(self, node: str, decision: TaskDecision, number: int) -> TaskOutputs:
        kept = {}
        for key, provisioned in decision.outputs.items():
            given = self.answers["artifacts"].get(f"{node}.{key}", {}).get("metadata", {})
            written = unwrap_metadata(given, key)
            kept[key] = self.job.release.store_output(number, key, provisioned["type"], provisioned["uri"], written)
        return TaskOutputs(kept)


@pytest.fixture(scope="session")
def package_text() -> str:
    from taxiway.pipeline.kubeflow.client.package import make_submitted
    from taxiway.pipeline.kubeflow.compiler import compile_for_target

    return make_submitted(compile_for_target(load_config(overrides=[f"resources.kubeflow={KUBEFLOW}"])).text)


@pytest.fixture(scope="session")
def drive(package_text) -> Callable[..., Driven]:
    """Drives all nodes of the recorded pipeline, on a release; `change` changes the recorded answers before."""

    def drive_nodes(release: str, change: Callable[[dict], None] = lambda answers: None) -> Driven:
        answers = read_answers(release)
        change(answers)
        package = read_package(package_text)
        # The recording of the branch was made with `PUBLISH_LOGS` off, that of 2.17 with the server's cache off.
        job = PipelineJob(
            package,
            RUN_ID,
            ROOTS[release],
            fill_run_parameters(package, {"root": "/root-folder" if release == "2.17" else "/taxiway"}),
            publish_logs=release == "2.17",
            cache=False,
            release=find_release(release),
        )
        driven = Driven(answers, job)
        driven.finished |= {step: TaskOutputs(parameters=written) for step, written in STEPS_SINCE.items()}
        for number, node in enumerate((name for name in package.order if name in answers["nodes"]), 1):
            driven.drive_node(node, number)
        return driven

    return drive_nodes


@pytest.fixture(scope="session", params=["2.17", "without-mlmd"])
def driven(request, drive) -> Driven:
    return drive(request.param)
