"""What Kubernetes is asked for, held against the definitions that JobSet and the training operator publish."""

from __future__ import annotations

import io
import json
import re
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from taxiway.components.training.distribution.kubernetes import manifests
from taxiway.pipeline.resources import KubeflowConfig
from taxiway.pipeline.resources.pod_template import make_pod_template
from tests.components.training.distribution.kubernetes.cluster_server import check_schema

FULL: dict[str, Any] = {
    "image": "registry.example/taxiway:1",
    "default": {
        "cpu_cores": 4, "memory_gb": 16, "cpu_request_cores": 0.5, "gpu_count": 2, "image_pull_policy": "Always",
        "image_pull_secrets": ["pull"], "node_selector": {"pool": "gpu"}, "environment": {"A": "b"},
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "node_affinity": [{"expressions": [{"key": "zone", "values": ["a"]}]},
                          {"expressions": [{"key": "new", "operator": "Exists"}], "weight": 5}],
        "pod_affinity": [{"labels": {"app": "x"}, "topology_key": "kubernetes.io/hostname", "anti": True}],
        "secret_variables": [{"name": "keys", "variables": {"k": "AWS_KEY"}}],
        "config_map_variables": [{"name": "map", "variables": {"k": "MAP_KEY"}}],
        "field_variables": {"NODE": "spec.nodeName"},
        "volumes": [{"claim": "taxiway", "mount_path": "/taxiway", "sub_path": "a"}],
        "secret_volumes": [{"name": "ca", "mount_path": "/ca", "optional": True}],
        "config_map_volumes": [{"name": "conf", "mount_path": "/conf"}],
        "empty_directories": [{"mount_path": "/scratch", "memory": True, "size_limit": "1Gi"}],
        "ephemeral_volumes": [{"mount_path": "/tmp", "size": "20Gi"}],
        "shared_memory": "2Gi", "security_context": {"run_as_user": 1000, "run_as_non_root": True},
        "labels": {"team": "x"}, "annotations": {"note": "y"},
    },
}  # fmt: skip
DEFINITIONS = {
    "jobsets": (
        "sigs.k8s.io/jobset",
        "v0.10.1",
        "config/components/crd/bases/jobset.x-k8s.io_jobsets.yaml",
    ),
    "tfjobs": ("github.com/kubeflow/training-operator", "v1.8.1", "manifests/base/crds/kubeflow.org_tfjobs.yaml"),
}
BUILDERS = {"jobsets": manifests.build_jobset, "tfjobs": manifests.build_tfjob}


def make_plan(kinds: tuple[tuple[str, int], ...] = (("chief", 1), ("worker", 3), ("ps", 2))) -> manifests.ClusterPlan:
    pod = make_pod_template(KubeflowConfig.model_validate(FULL), "Trainer")
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "step", "uid": "1"}
    return manifests.ClusterPlan("taxiway-one", "team", kinds, pod, "/taxiway/checkpoints/k/cluster", owner=owner)


def fetch_schema(plural: str, folder: Path) -> str:
    """The definition's own schema, strict about unknown fields, which an API server would drop."""
    module, version, name = DEFINITIONS[plural]
    address = f"https://proxy.golang.org/{module}/@v/{version}.zip"
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            archive = zipfile.ZipFile(io.BytesIO(answer.read()))
    except OSError as error:
        pytest.skip(f"{address}: {error}")
    definition = yaml.load(archive.read(f"{module}@{version}/{name}"), yaml.CSafeLoader)
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    forbid_unknown(schema)
    (folder / f"{plural}.schema.json").write_text(json.dumps(schema))
    return str(folder / f"{plural}.schema.json")


def forbid_unknown(schema: dict[str, Any]) -> None:
    if schema.get("properties") and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    inner = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
    for each in inner:
        if isinstance(each, dict):
            forbid_unknown(each)


@pytest.mark.parametrize("plural", DEFINITIONS)
def test_the_object_is_what_its_definition_allows(plural: str, tmp_path: Path) -> None:
    pytest.importorskip("jsonschema")
    path = fetch_schema(plural, tmp_path)
    made = BUILDERS[plural](make_plan())
    check_schema(made, path)
    made["spec"]["typo"] = 1
    with pytest.raises(ValueError, match="typo"):
        check_schema(made, path)


def test_pods_find_each_other_by_names_that_are_known_before(tmp_path: Path) -> None:
    made = manifests.build_jobset(make_plan((("chief", 1), ("worker", 2))))
    assert [job["name"] for job in made["spec"]["replicatedJobs"]] == ["chief", "worker"]
    job = made["spec"]["replicatedJobs"][1]["template"]["spec"]
    assert (job["completions"], job["completionMode"], job["backoffLimit"]) == (2, "Indexed", 0)
    variables = {item["name"]: item.get("value") for item in job["template"]["spec"]["containers"][0]["env"]}
    assert json.loads(variables[manifests.MEMBERS_VARIABLE] or "")["worker"] == [
        "taxiway-one-worker-0-0.taxiway-one:2222",
        "taxiway-one-worker-0-1.taxiway-one:2222",
    ]
    assert made["spec"]["successPolicy"]["targetReplicatedJobs"] == ["chief"]
    assert made["metadata"]["ownerReferences"][0]["uid"] == "1"


def test_the_pod_has_what_resources_kubeflow_says() -> None:
    spec = make_pod_template(KubeflowConfig.model_validate(FULL), "Trainer")["spec"]
    container = spec["containers"][0]
    assert container["resources"]["limits"] == {"cpu": "4000m", "memory": "16000M", "nvidia.com/gpu": "2"}
    mounted = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert set(mounted) == {"/taxiway", "/ca", "/conf", "/scratch", "/tmp", "/dev/shm"}
    assert set(mounted.values()) == {volume["name"] for volume in spec["volumes"]}
    assert spec["affinity"]["podAntiAffinity"] and "podAffinity" not in spec["affinity"]


def test_rbac_allows_what_is_asked(repository: Path) -> None:
    """The verbs and resources that `api.py` checks are those of the manifest."""
    documents = list(yaml.safe_load_all((repository / "deploy/kubernetes/training-cluster.yaml").read_text()))
    [role] = [document for document in documents if document["kind"] == "Role"]
    allowed = {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    needed = {(group, plural, verb) for group, plural in (("jobset.x-k8s.io", "jobsets"), ("kubeflow.org", "tfjobs"))
              for verb in ("create", "get", "delete")}  # fmt: skip
    assert allowed == needed | {("", "pods", "list"), ("", "pods/log", "get")}
    source = (repository / "components/training/distribution/kubernetes/api.py").read_text()
    assert re.search(r'for verb in \("create", "get", "delete"\)', source)


@pytest.fixture
def repository() -> Path:
    return Path(__file__).resolve().parents[5]


def test_a_pod_alone_knows_its_task_where_the_operator_does_not_say_it() -> None:
    alone = manifests.build_tfjob(make_plan((("chief", 1),)))["spec"]["tfReplicaSpecs"]["Chief"]
    others = manifests.build_tfjob(make_plan())["spec"]["tfReplicaSpecs"]["Chief"]
    [first, second] = [{v["name"] for v in r["template"]["spec"]["containers"][0]["env"]} for r in (alone, others)]
    assert first - second == {manifests.KIND_VARIABLE, manifests.MEMBERS_VARIABLE}
