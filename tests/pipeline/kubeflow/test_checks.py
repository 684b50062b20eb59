from __future__ import annotations

import pytest

from components.errors import ConfigError
from pipeline.kubeflow import checks
from tests.pipeline.kubeflow.conftest import taxi


def messages(compiled, level="refused"):
    return [str(finding) for finding in checks.examine(compiled) if finding.level == level]


def test_the_taxi_example_is_accepted(compiled):
    assert messages(compiled) == []
    assert checks.require_accepted(compiled)


@pytest.mark.parametrize(
    ("kubeflow", "said"),
    [
        ({"pipeline_root": "/data/root"}, "The pipeline root is '/data/root'"),
        ({"pipeline_root": "hdfs://a/b"}, "Accepted: gs://, s3://, minio://"),
        ({"default": {}}, "is on none of its volumes"),
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
            "description": "x" * checks.MAX_SPEC_BYTES
        }

    return [importer, version, name, artifact, condition, image, key, size]


@pytest.mark.parametrize("edit", edits(), ids=lambda edit: edit.__name__)
def test_refused_specifications(changed, edit):
    compiled = changed(edit)
    assert messages(compiled)
    with pytest.raises(ConfigError, match="would refuse this pipeline"):
        checks.require_accepted(compiled)


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


def test_data_that_no_pod_sees(changed):
    config = taxi()
    for path, refused in (("/home/me/x.csv", True), ("/taxiway/x.csv", False), ("gs://b/x.csv", False)):
        moved = config.model_copy(update={"data": config.data.model_copy(update={"path": path})})
        assert bool(list(checks.check_data_path(changed(config=moved)))) == refused


def test_a_copy_on_an_object_store_says_what_it_needs(changed):
    config = taxi()
    for url, said in (("s3://b/x", "tensorflow-io"), ("gs://b/x", "allowed to write")):
        serving = config.serving.model_copy(update={"publish_to": url})
        [message] = [
            str(finding)
            for finding in checks.examine(changed(config=config.model_copy(update={"serving": serving})))
            if url in finding.problem
        ]
        assert said in message and message.startswith("Pusher: ")
    assert list(checks.check_published_folder(changed())) == []
