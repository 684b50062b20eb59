"""The manifests of `deploy/kubernetes`: what the API takes, what the Pod Security Standards allow, and what they do."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from taxiway.pipeline.kubeflow.pod_folders import GIVE_VOLUME
from tests.deploy.kubernetes_objects import find_mistakes

CHECKOUT = Path(__file__).parents[2]
MANIFESTS = sorted((CHECKOUT / "deploy" / "kubernetes").glob("*.yaml"))
BASELINE_CAPABILITIES = {
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}  # fmt: skip
"""What the standard *baseline* lets a container add."""


def read_manifest(name):
    return yaml.safe_load((CHECKOUT / "deploy" / "kubernetes" / name).read_text())


def get_pod(job):
    return job["spec"]["template"]["spec"]


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.name)
def test_the_api_takes_every_field(file):
    for document in yaml.safe_load_all(file.read_text()):
        assert find_mistakes(document) == []


def test_the_judge_finds_mistakes():
    job = read_manifest("give-volume.yaml")
    container = get_pod(job)["containers"][0]
    container["securityContext"]["runAsUsr"] = 0
    container["volumeMounts"][0].pop("mountPath")
    job["spec"]["backoffLimit"] = "2"
    found = "\n".join(find_mistakes(job))
    assert "runAsUsr: unknown to V1SecurityContext" in found
    assert "`mount_path`, must not be `None`" in found and "backoffLimit: '2' is no int" in found


def test_the_messages_name_a_manifest_that_is_there():
    assert (CHECKOUT / GIVE_VOLUME).is_file()


def test_claims_are_those_of_the_volume():
    claim = read_manifest("volume.yaml")["metadata"]["name"]
    for name in ("give-volume.yaml", "give-volume-restricted.yaml"):
        [volume] = get_pod(read_manifest(name))["volumes"]
        assert volume["persistentVolumeClaim"]["claimName"] == claim


def test_what_needs_root_stays_within_baseline():
    [container] = get_pod(read_manifest("give-volume.yaml"))["containers"]
    security = container["securityContext"]
    assert security["capabilities"]["drop"] == ["ALL"]
    assert set(security["capabilities"]["add"]) <= BASELINE_CAPABILITIES
    assert not security["allowPrivilegeEscalation"]


def test_the_other_stays_within_restricted():
    pod = get_pod(read_manifest("give-volume-restricted.yaml"))
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert {kind for volume in pod["volumes"] for kind in volume} == {"name", "persistentVolumeClaim"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_job_gives_the_volume_away(tmp_path):
    """Its own command, on a folder: everything inside belongs to the user afterwards, a second time changes nothing."""
    (tmp_path / "serving" / "taxi").mkdir(parents=True)
    (tmp_path / "serving" / "live").symlink_to("/nowhere")
    [container] = get_pod(read_manifest("give-volume.yaml"))["containers"]
    [script] = container["args"]
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    for _ in range(2):
        subprocess.run(
            [*container["command"], script.replace("/volume", shlex.quote(str(tmp_path)))],
            env={**os.environ, **environment},
            check=True,
            capture_output=True,
        )
        for path in (tmp_path, *tmp_path.rglob("*")):
            assert (path.lstat().st_uid, path.lstat().st_gid) == (1000, 1000)
