"""A Kubeflow Pipelines API server, through kfp's own client: submits, cancels and lists runs, reads states and logs.

Credentials come from where kfp takes them (in a cluster the pod's token, IAP's variables, the saved context), or from
the environment variables of `client/credentials.py`; never from the command line, which other users can read, and
never into a file.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxiway.components.errors import UsageError
from taxiway.pipeline.kubeflow.client import logs, pipelines
from taxiway.pipeline.kubeflow.client.connection import Connection
from taxiway.pipeline.kubeflow.client.package import CompiledFile, write_submitted
from taxiway.pipeline.kubeflow.client.server_errors import silence_client, translate_errors
from taxiway.pipeline.kubeflow.run_status import FINISHED, NodeStatus, RunStatus, read_run

LARGEST_PAGE = 200
"""A server gives no longer page, and says nothing of it (`backend/src/apiserver/server/list_request_util.go`)."""
DEFAULT_EXPERIMENT = "taxiway"


@dataclass(frozen=True)
class Submission:
    """What is submitted.

    Attributes:
        compiled: The compiled pipeline.
        parameters: Parameters of the run; those left out keep their defaults.
        experiment: Name of the experiment, which is made where there is none.
        namespace: Namespace, in installations with several users; empty: the client's.
        service_account: Account under which the pods run; empty: the cluster's default.
        revision: Name of the pipeline's version; empty: made from the file's content.
        cache: Whether steps may take earlier outputs, where they were compiled so.
    """

    compiled: CompiledFile
    parameters: Mapping[str, Any]
    experiment: str = DEFAULT_EXPERIMENT
    namespace: str = ""
    service_account: str = ""
    revision: str = ""
    cache: bool = True

    @property
    def version(self) -> str:
        """Name of the version: a file whose cache is switched off is another one."""
        revision = self.revision or self.compiled.digest
        return revision if self.cache else f"{revision}-no-cache"


@dataclass(frozen=True)
class UploadedVersion:
    """A version of a pipeline on the server, and the experiment for its runs."""

    pipeline: str
    experiment_id: str
    pipeline_id: str
    version_id: str


class KubeflowServer(Connection):
    """One API server, and what is done with runs there."""

    def make_link(self, run_id: str) -> str:
        """The run's page."""
        return f"{self.host}/#/runs/details/{run_id}"

    def submit_run(self, submission: Submission) -> str:
        """Uploads the pipeline as a version of its own and starts a run of it.

        Returns:
            The run's id.

        Raises:
            KubeflowServerError: The server refuses; its own words are in the message.
        """
        uploaded = self.upload_version(submission)
        with translate_errors(f"{self.host}: starting the run"), silence_client():
            run = self.client.run_pipeline(
                experiment_id=uploaded.experiment_id,
                job_name=f"{uploaded.pipeline} {submission.version}",
                pipeline_id=uploaded.pipeline_id,
                version_id=uploaded.version_id,
                params=dict(submission.parameters),
                # The backend does not look at the file's own root.
                pipeline_root=submission.compiled.specification.get("defaultPipelineRoot"),
                service_account=submission.service_account or None,
            )
        return str(run.run_id)

    def upload_version(self, submission: Submission) -> UploadedVersion:
        """Uploads the pipeline as a version of its own, unless it is there, and makes the experiment.

        Raises:
            KubeflowServerError: The server refuses; its own words are in the message.
            UsageError: The experiment is archived, or the version is there with the content of another file.
        """
        compiled, namespace = submission.compiled, submission.namespace or None
        with translate_errors(f"{self.host}: the experiment {submission.experiment!r}"), silence_client():
            experiment = self.client.create_experiment(submission.experiment, namespace=namespace)
        if experiment.storage_state == "ARCHIVED":
            raise UsageError(
                f"The experiment {submission.experiment!r} is archived: the page would not show its runs.",
                "Restore it there, or give another one: --experiment NAME.",
            )
        what = f"{self.host}: uploading {compiled.path.name}"
        with translate_errors(what), silence_client(), tempfile.TemporaryDirectory() as folder:
            file = write_submitted(compiled, Path(folder), cache=submission.cache)
            ids = pipelines.upload_package(
                self.client, file, compiled.name, submission.version, submission.namespace, digest=compiled.digest
            )
        return UploadedVersion(compiled.name, str(experiment.experiment_id), *ids)

    def fetch_status(self, run_id: str, *, with_nodes: bool = False) -> RunStatus:
        """How a run stands; its nodes once it has ended.

        Args:
            run_id: Id of the run.
            with_nodes: Whether the nodes of one that goes on are asked for too: a release without ML Metadata answers
                with all that is known of their artifacts, which is too much for every look.

        Raises:
            KubeflowUnavailableError: There is no answer now, or one that is no run, such as a page to sign in.
            KubeflowServerError: The server refuses.
        """
        status = read_run(self.fetch_run(run_id))
        if status.nodes or not (with_nodes or status.state in FINISHED):
            return status
        return read_run(self.fetch_run(run_id, view="FULL"))

    def cancel_run(self, run_id: str) -> None:
        """Asks the server to end a run."""
        with translate_errors(f"{self.host}: cancelling the run {run_id}"), silence_client():
            self.client.terminate_run(run_id)

    def find_log(self, run_id: str, node: NodeStatus) -> tuple[str, str]:
        """Name of the pod of a node's last try, and its log.

        Raises:
            KubeflowServerError: The server has it under none of the names that the pod may have, or not any more.
        """
        return logs.find_log(self, run_id, node)

    def list_runs(self, limit: int = 20, experiment: str = "") -> list[dict[str, Any]]:
        """The newest runs: id, name, state, times.

        Args:
            limit: So many at most.
            experiment: Name of the experiment; empty: all of them.
        """
        namespace = self.namespace or None
        with translate_errors(f"{self.host}: the list of runs"), silence_client():
            found = self.client.get_experiment(experiment_name=experiment, namespace=namespace) if experiment else None
            wanted = {
                "sort_by": "created_at desc",
                "experiment_id": found.experiment_id if found else None,
                "namespace": None if found else namespace,
            }
            runs = list(itertools.islice(self._list_all_runs(min(limit, LARGEST_PAGE), wanted), limit))
        return [
            {
                "run_id": run.run_id,
                "name": run.display_name,
                "state": run.state,
                "created_at": run.created_at,
                "finished_at": run.finished_at,
                "error": run.error.message if run.error else "",
            }
            for run in runs
        ]

    def _list_all_runs(self, page_size: int, wanted: Mapping[str, Any]) -> Iterator[Any]:
        token = ""
        while True:
            page = self.client.list_runs(page_token=token, page_size=page_size, **wanted)
            yield from page.runs or ()
            token = page.next_page_token or ""
            if not token:
                return
