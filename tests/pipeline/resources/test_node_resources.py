"""What the section takes, and what it says of what it does not take."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from taxiway.components.errors import ConfigError
from taxiway.pipeline.config import load_config
from taxiway.pipeline.resources import NodeResources


def test_the_factor_of_retries_is_a_whole_number():
    assert NodeResources(retry_factor=2.0).retry_factor == 2
    with pytest.raises(ValidationError, match=r"1\.5 is no whole number"):
        NodeResources.model_validate({"retry_factor": 1.5})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"environment": {"1X": "a"}}, "no name of an environment variable"),
        ({"environment": {"A": "a"}, "field_variables": {"A": "metadata.name"}}, "A is set 2 times"),
        ({"secret_variables": [{"name": "s", "variables": {}}]}, "at least 1 item"),
        ({"field_variables": {"A": "spec.containers"}}, "'spec.containers' is no field of a pod"),
        ({"volumes": [{"claim": "a.b", "mount_path": "/a"}]}, "volumes.0.claim"),
        ({"volumes": [{"claim": "a", "mount_path": "a"}]}, "volumes.0.mount_path"),
        ({"volumes": [{"claim": "a", "mount_path": "/a", "sub_path": "../b"}]}, "no folder inside of the volume"),
        (
            {"volumes": [{"claim": "a", "mount_path": "/a"}, {"claim": "b", "mount_path": "/a/"}]},
            "/a is mounted 2 times",
        ),
        ({"empty_directories": [{"mount_path": "/gcs/x"}]}, "/gcs/x cannot be mounted"),
        ({"shared_memory": "1Gi", "empty_directories": [{"mount_path": "/dev/shm"}]}, "/dev/shm is mounted 2 times"),
        (
            {"volumes": [{"claim": "a", "mount_path": "/a"}], "secret_volumes": [{"name": "a", "mount_path": "/b"}]},
            "'a' is the name in volumes and secret_volumes",
        ),
        ({"config_map_volumes": [{"name": "ca-bundle", "mount_path": "/b"}]}, "the backend's own volumes"),
        ({"shared_memory": "2 GB"}, "'2 GB' is no quantity of Kubernetes, such as 512Mi"),
        ({"ephemeral_volumes": [{"mount_path": "/x", "size": "1Gi", "access_modes": ["RWX"]}]}, "ReadWriteMany"),
        ({"labels": {"team": "a b"}}, "'a b' is no value of a label"),
        ({"labels": {"team/": "a"}}, "'team/' is no key of Kubernetes"),
        ({"annotations": {"": "a"}}, "no key of Kubernetes"),
        ({"node_selector": {"a": "-"}}, "no value of a label"),
        ({"image_pull_secrets": ["Registry"]}, "image_pull_secrets.0"),
        ({"tolerations": [{"operator": "Exists", "key": "a", "value": "b"}]}, "with operator Exists there is no value"),
        ({"tolerations": [{"value": "b"}]}, "operator Equal needs a key"),
        ({"node_affinity": [{}]}, "matches nothing"),
        (
            {"node_affinity": [{"expressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}]},
            "takes no values",
        ),
        ({"node_affinity": [{"expressions": [{"key": "a"}]}]}, "operator In takes one value or more"),
        ({"node_affinity": [{"expressions": [{"key": "a", "operator": "Gt", "values": ["x"]}]}]}, "'x' is none"),
        ({"security_context": {"run_as_user": 0, "run_as_non_root": True}}, "run_as_user 0 is root"),
        ({"security_context": {"run_as_usr": 0}}, "Did you mean 'run_as_user'"),
        ({"empty_directorys": []}, "Did you mean 'empty_directories'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_refused(settings, said):
    with pytest.raises(ConfigError) as refused:
        load_config(overrides=[f"resources.kubeflow.default={settings}"])
    assert said in str(refused.value) and "resources.kubeflow.default" in str(refused.value)


def test_the_same_claim_may_be_mounted_in_parts():
    mounts = [{"claim": "a", "mount_path": f"/{name}", "sub_path": name} for name in ("b", "c")]
    assert len(NodeResources.model_validate({"volumes": mounts}).volumes) == 2
