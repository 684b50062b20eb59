"""Refusals and failures of the emulator, in the backend's words and with the backend's source."""

from __future__ import annotations

from taxiway.components.errors import TaxiwayError, UsageError

RELEASE = "2.17.0"
API_SERVER = "backend/src/apiserver/template/v2_template.go"
VISITOR = "backend/src/v2/compiler/visitor.go"
ARGO_DAG = "backend/src/v2/compiler/argocompiler/dag.go"
RESOLVE = "backend/src/v2/driver/resolve.go"
DRIVER = "backend/src/v2/driver/driver.go"
CONTAINER_DRIVER = "backend/src/v2/driver/container.go"
SPEC_PATCH = "backend/src/v2/compiler/argocompiler/spec_patch.go"
EXPRESSION = "backend/src/v2/expression/expression.go"
CONVERTER = "backend/src/v2/metadata/converter.go"
PLATFORM = "backend/src/v2/driver/k8s.go"
LAUNCHER = "backend/src/v2/component/launcher_v2.go"
RETRIES = "argoproj/argo-workflows, workflow/controller/operator.go"
OBJECT_STORE = "backend/src/v2/objectstore/config.go"


def cite_source(source: str) -> str:
    """Where a rule is written; a file of Kubeflow's, where it names no other project."""
    return f"[{source}]" if source == RETRIES else f"[kubeflow/pipelines {RELEASE}, {source}]"


class RefusedError(UsageError):
    """The backend would not take the pipeline or the run.

    Args:
        problem: Message of the backend.
        source: File of kubeflow/pipelines that the message comes from.
    """

    def __init__(self, problem: str, source: str) -> None:
        super().__init__(problem, cite_source(source))
        self.source = source


class TaskFailedError(TaxiwayError):
    """A task of the run failed; the backend would end the run as failed.

    Args:
        problem: Sentence on what happened.
        source: File of kubeflow/pipelines in which it would happen; empty where the container itself failed.
    """

    def __init__(self, problem: str, source: str = "") -> None:
        super().__init__(problem, cite_source(source) if source else "")
        self.source = source
