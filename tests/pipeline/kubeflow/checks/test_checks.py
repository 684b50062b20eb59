"""All checks together."""

from __future__ import annotations

import pytest

from taxiway.components.errors import ConfigError
from taxiway.pipeline.config import ResourcesConfig
from taxiway.pipeline.kubeflow import checks
from taxiway.pipeline.kubeflow.checks import sizes
from taxiway.pipeline.kubeflow.packed_properties import pack_task
from tests.pipeline.kubeflow.checks.findings import messages
from tests.pipeline.kubeflow.conftest import taxi


def test_the_taxi_example_is_accepted(compiled):
    assert messages(compiled) == []
    assert checks.require_accepted(compiled) == []


@pytest.mark.parametrize(
    ("kubeflow", "said"),
    [
        ({"pipeline_root": "/data/root"}, "The pipeline root is '/data/root'"),
        ({"pipeline_root": "s3://"}, "names no bucket"),
        ({"pipeline_root": "hdfs://a/b"}, "Accepted: gs://, s3://, minio://"),
        ({"default": {}}, "is on no volume of any step"),
        ({"components": {"Trainr": {"cpu_cores": 1}}}, "Did you mean 'Trainer'"),
        ({"components": {"Trainer": {"environment": {"DB_PASSWORD": "x"}}}}, "DB_PASSWORD would be readable"),
        ({"components": {"Trainer": {"gpu_count": 1, "gpu_type": "T4"}}}, "no resource of Kubernetes"),
    ],
)
def test_refused_configurations(changed, kubeflow, said):
    assert any(said in message for message in messages(changed(config=taxi(kubeflow)))), said


def edits():
    def executor(spec, value):
        spec["deploymentSpec"]["executors"]["Transform_executor"] = value

    def importer(spec):
        executor(spec, {"importer": {}})

    def version(spec):
        spec["schemaVersion"] = "2.0.0"

    def name(spec):
        spec["pipelineInfo"]["name"] = "Taxi_1"

    def artifact(spec):
        spec["components"]["DataGate"]["outputDefinitions"]["artifacts"]["verdict"]["artifactType"] = {
            "instanceSchema": "title: Verdict\ntype: object\n"
        }

    def condition(spec):
        spec["root"]["dag"]["tasks"]["Pusher"]["triggerPolicy"]["condition"] = "inputs.artifacts['x'].artifacts == []"

    def image(spec):
        spec["deploymentSpec"]["executors"]["Trainer_executor"]["container"]["image"] = "image-not-set"

    def key(spec):
        spec["root"]["dag"]["tasks"]["Pusher"]["inputs"]["parameters"]["config"] = {
            "runtimeValue": {"constant": "https://me:hunter2@host/x"}
        }

    def size(spec):
        spec["components"]["DataGate"]["inputDefinitions"]["parameters"]["x"] = {
            "description": "x" * sizes.MAX_SPEC_BYTES
        }

    return [importer, version, name, artifact, condition, image, key, size]


@pytest.mark.parametrize("edit", edits(), ids=lambda edit: edit.__name__)
def test_refused_specifications(changed, edit):
    compiled = changed(edit)
    assert messages(compiled)
    with pytest.raises(ConfigError, match="would refuse this pipeline"):
        checks.require_accepted(compiled)


@pytest.mark.parametrize("length", [115, 5000])
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("https://me:hunter2@host/x", "a password in a URL"),
        ("-----BEGIN RSA PRIVATE KEY-----", "looks like a key"),
        ("FOLDER/rows.csv", "a folder of this machine"),
    ],
)
def test_leaks_in_values_that_are_compressed_or_broken_in_lines(changed, tmp_path, monkeypatch, value, said, length):
    monkeypatch.chdir(tmp_path)
    text = "word " * (length // 5) + value.replace("FOLDER", str(tmp_path))

    def leak(spec):
        task = spec["root"]["dag"]["tasks"]["Pusher"]
        task["inputs"]["parameters"]["config"] = {"runtimeValue": {"constant": text}}
        spec["deploymentSpec"]["executors"]["Pusher_executor"]["container"]["args"] += pack_task(task)

    assert any(said in message for message in messages(changed(leak)))


@pytest.mark.parametrize(
    ("resources", "refused"),
    [
        ({"beam_args": ["--job_endpoint=localhost:8099"]}, True),
        ({"beam_args": ["--job_endpoint=flink:8099", "--environment_config=localhost:50000"]}, False),
        ({"beam": {"runner": "flink", "job_endpoint": "127.0.0.1:8099"}}, True),
        ({"beam": {"runner": "flink", "job_endpoint": "[::1]:8099"}}, True),
        ({"beam": {"runner": "flink", "job_endpoint": "flink:8099", "worker_pool": "localhost:50000"}}, False),
    ],
)
def test_an_engine_in_the_pod_itself_is_refused_its_workers_beside_it_are_not(changed, resources, refused):
    config = taxi({})
    settings = ResourcesConfig.model_validate({**config.resources.model_dump(), **resources})
    said = messages(changed(config=config.model_copy(update={"resources": settings})))
    assert any("points at the pod itself" in message for message in said) == refused


@pytest.mark.parametrize("value", ["http://localhost:9000", "http://127.0.0.1:3128/", "https://[::1]:9000"])
def test_a_variable_that_points_at_the_pod_itself_is_noted(changed, value):
    config = taxi({"components": {"Trainer": {"environment": {"AWS_ENDPOINT_URL_S3": value}}}})
    said = [message for message in messages(changed(config=config), "note") if "the pod itself" in message]
    assert len(said) == 1 and said[0].startswith("Trainer: The variable AWS_ENDPOINT_URL_S3")
    config = taxi({"components": {"Trainer": {"environment": {"AWS_ENDPOINT_URL_S3": "http://seaweedfs.kubeflow:9"}}}})
    assert not any("the pod itself" in message for message in messages(changed(config=config), "note"))


def test_a_hook_before_the_cache_is_ignored(changed):
    def lifecycle(spec):
        spec["deploymentSpec"]["executors"]["ExampleGen_executor"]["container"]["lifecycle"] = {"preCacheCheck": {}}

    [message] = messages(changed(lifecycle), "ignored")
    assert "preCacheCheck never runs" in message


def test_an_image_that_moves_is_noted(changed):
    def latest(spec):
        for executor in spec["deploymentSpec"]["executors"].values():
            executor["container"]["image"] = "registry.example/taxiway:latest"

    assert any("may change under its name" in m for m in messages(changed(latest), "note"))
    assert not any("may change under its name" in m for m in messages(changed(), "note"))


def test_vertex_has_its_own_rules(changed):
    said = messages(changed(config=taxi({"pipeline_root": "s3://b/x"}), target="vertex"))
    assert any("Accepted: gs://" in m for m in said)
    assert any("lost with each container" in m for m in said)
