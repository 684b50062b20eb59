"""How the emulator says no: in the backend's words, with the backend's source."""

from __future__ import annotations

from components.errors import TaxiwayError, UsageError

RELEASE = "2.17.0"
API_SERVER = "backend/src/apiserver/template/v2_template.go"
VISITOR = "backend/src/v2/compiler/visitor.go"
ARGO = "backend/src/v2/compiler/argocompiler/argo.go"
ARGO_DAG = "backend/src/v2/compiler/argocompiler/dag.go"
RESOLVE = "backend/src/v2/driver/resolve.go"
DRIVER = "backend/src/v2/driver/driver.go"
CONTAINER_DRIVER = "backend/src/v2/driver/container.go"
SPEC_PATCH = "backend/src/v2/compiler/argocompiler/spec_patch.go"
EXPRESSION = "backend/src/v2/expression/expression.go"
LAUNCHER = "backend/src/v2/component/launcher_v2.go"
OBJECT_STORE = "backend/src/v2/objectstore/config.go"


class RefusedError(UsageError):
    """The backend would not take the pipeline or the run.

    Args:
        problem: In the backend's words.
        source: The file of kubeflow/pipelines that says so.
    """

    def __init__(self, problem: str, source: str) -> None:
        super().__init__(problem, f"[kubeflow/pipelines {RELEASE}, {source}]")
        self.source = source


class TaskFailedError(TaxiwayError):
    """A task of the run failed; the backend would end the run as failed.

    Args:
        problem: What happened.
        source: The file of kubeflow/pipelines in which it happens there; empty where the container itself failed.
    """

    def __init__(self, problem: str, source: str = "") -> None:
        super().__init__(problem, f"[kubeflow/pipelines {RELEASE}, {source}]" if source else "")
        self.source = source
