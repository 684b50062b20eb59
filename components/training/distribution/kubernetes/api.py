"""The few questions that a training step asks the API server, through the official client."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxiway.components.errors import ConfigError, TrainingError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
RBAC_FILE = "deploy/kubernetes/training-cluster.yaml"
TIMEOUT_SECONDS = 30.0
LOG_TIMEOUT_SECONDS = 60.0
"""A pod that is silent so long is followed anew: its connection may be dead."""


@dataclass(frozen=True)
class JobKind:
    """A kind of object that makes a cluster of pods.

    Attributes:
        group, version, plural: Where the API server has it.
        label: The label by which its pods are found.
        done, failed: The types of the conditions that it ends with.
    """

    group: str
    version: str
    plural: str
    label: str
    done: str
    failed: str


JOB_SET = JobKind("jobset.x-k8s.io", "v1alpha2", "jobsets", "jobset.sigs.k8s.io/jobset-name", "Completed", "Failed")
TF_JOB = JobKind("kubeflow.org", "v1", "tfjobs", "training.kubeflow.org/job-name", "Succeeded", "Failed")


class ApiUnavailableError(TrainingError):
    """The API server does not answer now; it may later."""


class ObjectExistsError(TrainingError):
    """An object of this name is there already."""


class KubernetesApi:
    """The API server that this pod, or the user's kubeconfig, knows.

    Attributes:
        namespace: Where this step runs, or the kubeconfig's.

    Raises:
        ConfigError: the client is not installed, or no cluster is known.
    """

    def __init__(self) -> None:
        try:
            import kubernetes
        except ImportError as error:
            raise ConfigError(
                "training.cluster.where is 'kubernetes', and the package kubernetes is not installed.",
                "Install Taxiway with its locked dependencies, which hold it, or set training.cluster.where: local.",
            ) from error
        self._kubernetes = kubernetes
        self.namespace = self._load_configuration()
        client = kubernetes.client.ApiClient()
        self._objects = kubernetes.client.CustomObjectsApi(client)
        self._core = kubernetes.client.CoreV1Api(client)
        self._rights = kubernetes.client.AuthorizationV1Api(client)

    def _load_configuration(self) -> str:
        config = self._kubernetes.config
        try:
            if (SERVICE_ACCOUNT / "namespace").exists() and "KUBERNETES_SERVICE_HOST" in os.environ:
                config.load_incluster_config()
                return (SERVICE_ACCOUNT / "namespace").read_text().strip()
            config.load_kube_config()
            return str(config.list_kube_config_contexts()[1]["context"].get("namespace") or "default")
        except config.ConfigException as error:
            raise ConfigError(
                f"training.cluster.where is 'kubernetes', and no cluster is known here: {error}",
                "Run the pipeline on Kubeflow, give a kubeconfig (KUBECONFIG), or set training.cluster.where: local.",
            ) from error

    def choose_kind(self) -> JobKind:
        """The kind of object that the cluster knows; a JobSet where it knows both.

        Raises:
            ConfigError: it knows neither.
        """
        for kind in (JOB_SET, TF_JOB):
            if self._knows_kind(kind):
                return kind
        raise ConfigError(
            "training.cluster.where is 'kubernetes', and the cluster knows neither JobSet (jobset.x-k8s.io/v1alpha2) "
            "nor TFJob (kubeflow.org/v1).",
            "Have an administrator install JobSet (https://jobset.sigs.k8s.io), or set training.cluster.where: local.",
        )

    def _knows_kind(self, kind: JobKind) -> bool:
        with self._translate_errors("read", f"apis/{kind.group}"):
            try:
                answer = self._objects.get_api_resources(kind.group, kind.version, _request_timeout=TIMEOUT_SECONDS)
            except self._kubernetes.client.ApiException as error:
                if error.status == 404:
                    return False
                raise
        return any(resource.name == kind.plural for resource in answer.resources)

    def check_rights(self, kind: JobKind) -> None:
        """Before anything is made: this step may do all that it will do.

        Raises:
            ConfigError: it may not; every verb and resource is named.
        """
        wanted = [(kind.group, kind.plural, verb, "") for verb in ("create", "get", "delete")]
        wanted += [("", "pods", "list", ""), ("", "pods", "get", "log")]
        missing = [
            f"{verb} {'/'.join(filter(None, (plural, sub)))}{f'.{group}' if group else ''}"
            for group, plural, verb, sub in wanted
            if not self._is_allowed(group, plural, verb, sub)
        ]
        if missing:
            raise ConfigError(
                f"The service account of the Trainer step may not {', '.join(missing)} in namespace {self.namespace}.",
                f"Have an administrator apply {RBAC_FILE}, with that namespace and service account.",
            )

    def _is_allowed(self, group: str, plural: str, verb: str, sub: str) -> bool:
        attributes = {
            "namespace": self.namespace,
            "group": group,
            "resource": plural,
            "verb": verb,
            "subresource": sub,
        }
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                  "spec": {"resourceAttributes": attributes}}  # fmt: skip
        with self._translate_errors("create", "selfsubjectaccessreviews.authorization.k8s.io"):
            answer = self._rights.create_self_subject_access_review(review, _request_timeout=TIMEOUT_SECONDS)
        return bool(answer.status.allowed)

    def create_object(self, kind: JobKind, manifest: dict[str, Any]) -> None:
        """Makes the object.

        Raises:
            ObjectExistsError: one of its name is there.
        """
        with self._translate_errors("create", f"{kind.plural}.{kind.group}"):
            self._objects.create_namespaced_custom_object(
                kind.group, kind.version, self.namespace, kind.plural, manifest, _request_timeout=TIMEOUT_SECONDS
            )

    def read_status(self, kind: JobKind, name: str) -> dict[str, Any] | None:
        """The object's status, as JSON values; None where it is gone."""
        with self._translate_errors("get", f"{kind.plural}.{kind.group}"):
            try:
                found = self._objects.get_namespaced_custom_object(
                    kind.group, kind.version, self.namespace, kind.plural, name, _request_timeout=TIMEOUT_SECONDS
                )
            except self._kubernetes.client.ApiException as error:
                if error.status == 404:
                    return None
                raise
        return dict(found.get("status") or {})

    def delete_object(self, kind: JobKind, name: str) -> None:
        """Deletes the object and, in the background, everything that was made for it. No error where it is gone."""
        with self._translate_errors("delete", f"{kind.plural}.{kind.group}"):
            try:
                self._objects.delete_namespaced_custom_object(
                    kind.group, kind.version, self.namespace, kind.plural, name,
                    propagation_policy="Background", _request_timeout=TIMEOUT_SECONDS,
                )  # fmt: skip
            except self._kubernetes.client.ApiException as error:
                if error.status != 404:
                    raise

    def list_pods(self, kind: JobKind, name: str) -> list[Any]:
        """The object's pods."""
        with self._translate_errors("list", "pods"):
            selector = f"{kind.label}={name}"
            found = self._core.list_namespaced_pod(
                self.namespace, label_selector=selector, _request_timeout=TIMEOUT_SECONDS
            )
        return list(found.items)

    def follow_log(self, pod: str, container: str, since_seconds: int | None) -> Iterator[bytes]:
        """The lines of a pod's output, each after the time that the cluster gave it, until the pod or the connection
        ends.

        Args:
            pod, container: Their names.
            since_seconds: Lines that are older are left out; None: none are.

        Raises:
            ApiUnavailableError: the connection broke, or nothing came for `LOG_TIMEOUT_SECONDS`.
        """
        since = {} if since_seconds is None else {"since_seconds": since_seconds}
        with self._translate_errors("get", "pods/log"):
            answer = self._core.read_namespaced_pod_log(
                pod, self.namespace, container=container, follow=True, timestamps=True, _preload_content=False,
                _request_timeout=(TIMEOUT_SECONDS, LOG_TIMEOUT_SECONDS), **since,
            )  # fmt: skip
            with contextlib.closing(answer):
                rest = b""
                for part in answer.stream():
                    *lines, rest = (rest + part).split(b"\n")
                    yield from (line + b"\n" for line in lines)
                if rest:
                    yield rest

    @contextlib.contextmanager
    def _translate_errors(self, verb: str, resource: str) -> Iterator[None]:
        import urllib3

        try:
            yield
        except self._kubernetes.client.ApiException as error:
            raise self._explain_refusal(error, verb, resource) from error
        except urllib3.exceptions.HTTPError as error:
            raise ApiUnavailableError(f"The API server of Kubernetes does not answer: {error}") from error

    def _explain_refusal(self, error: Any, verb: str, resource: str) -> TrainingError | ConfigError:
        said = str(error.body or error.reason)[:500]
        if error.status in (401, 403):
            return ConfigError(
                f"The API server does not let this step {verb} {resource} in namespace {self.namespace}: {said}",
                f"Have an administrator apply {RBAC_FILE}, with that namespace and service account.",
            )
        if error.status == 409:
            return ObjectExistsError(f"The API server has such an object in namespace {self.namespace}: {said}")
        if error.status == 429 or error.status >= 500:
            return ApiUnavailableError(f"The API server of Kubernetes answers {error.status}: {said}")
        return TrainingError(
            f"The API server refuses to {verb} {resource} in namespace {self.namespace} ({error.status}): {said}",
            "Look at training.cluster and resources.kubeflow, from which the object was made.",
        )
