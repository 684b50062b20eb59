"""Starts `cluster_server.py` for a test, and the files that a step needs to find it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from taxiway.components.training import TrainingJob
from taxiway.pipeline.resources import KubeflowConfig
from taxiway.pipeline.resources.pod_template import make_pod_template
from tests.components.training.synthetic import make_job

MODULE = "tests.components.training.distribution.kubernetes.cluster_server"


@dataclass
class FakeCluster:
    """A running server.

    Attributes:
        port: Where it listens.
        folder: Its logs, and the objects that it was given.
        volume: The claim `taxiway`, which pods mount at the same path.
    """

    port: int
    folder: Path
    volume: Path

    def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        content = json.dumps(body).encode() if body else None
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", content, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def list_pods(self, plural: str) -> dict[str, dict[str, Any]]:
        """The pods of the last object of a kind, by name."""
        name = json.loads((self.folder / f"{plural}.json").read_text())["metadata"]["name"]
        label = {"jobsets": "jobset.sigs.k8s.io/jobset-name", "tfjobs": "training.kubeflow.org/job-name"}[plural]
        found = self.ask(f"/api/v1/namespaces/team/pods?labelSelector={label}%3D{name}")
        return {pod["metadata"]["name"].removeprefix(f"{name}-"): pod for pod in found["items"]}

    def make_job(self, data: Path, training: dict[str, Any]) -> TrainingJob:
        """A job for two pods, whose checkpoints are on the volume and whose data is not."""
        claim = {"claim": "taxiway", "mount_path": str(self.volume)}
        settings = {"image": "registry.example/taxiway:1", "default": {"volumes": [claim], "gpu_count": 0}}
        pod = make_pod_template(KubeflowConfig.model_validate(settings), "Trainer")
        places = {
            "training_dir": str(self.folder / "own" / "training"),
            "export_dir": str(self.folder / "own" / "export"),
            "checkpoint_dir": str(self.volume / "checkpoints" / "one"),
            "fingerprint": "0123456789ab",
        }
        return make_job(data, training=training, cluster_pod=pod, **places)


@contextlib.contextmanager
def start_cluster(folder: Path, **settings: Any) -> Iterator[FakeCluster]:
    """A server until the block ends; `settings` are those of `cluster_server.Cluster`."""
    volume = folder / "volume"
    volume.mkdir(parents=True)
    settings = {"folder": str(folder), "claims": {"taxiway": str(volume)}, "installed": ["jobsets"]} | settings
    (folder / "settings.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", MODULE, str(folder / "settings.json")]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        port = int(server.stdout.readline())  # type: ignore[union-attr]
        write_kubeconfig(folder / "kubeconfig", f"http://127.0.0.1:{port}")
        yield FakeCluster(port, folder, volume)
    finally:
        server.terminate()
        server.wait(60)


def write_kubeconfig(path: Path, url: str) -> None:
    context = {"cluster": "one", "user": "me", "namespace": "team"}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "one", "cluster": {"server": url}}],
        "users": [{"name": "me", "user": {"token": "secret"}}],
        "contexts": [{"name": "one", "context": context}],
        "current-context": "one",
    }
    path.write_text(yaml.safe_dump(content))
