"""What pods read and write."""

from __future__ import annotations

from taxiway.pipeline.kubeflow import checks
from taxiway.pipeline.kubeflow.checks import storage
from tests.pipeline.kubeflow.conftest import taxi


def test_data_that_no_pod_sees(changed):
    config = taxi()
    for path, refused in (("/home/me/x.csv", True), ("/taxiway/x.csv", False), ("gs://b/x.csv", False)):
        moved = config.model_copy(update={"data": config.data.model_copy(update={"path": path})})
        levels = [finding.level for finding in storage.check_data_path(changed(config=moved))]
        assert ("refused" in levels) == refused


def test_a_pod_that_reads_minio_must_know_where_it_is(changed):
    for environment, level in (({}, "refused"), ({"AWS_ENDPOINT_URL_S3": "http://seaweedfs.kubeflow:9000"}, "note")):
        config = taxi({"components": {"ExampleGen": {"environment": environment}}})
        moved = config.model_copy(update={"data": config.data.model_copy(update={"path": "minio://b/x.csv"})})
        [finding] = storage.check_data_path(changed(config=moved))
        assert finding.level == level and "minio://b/x.csv" in finding.problem


def test_a_copy_on_an_object_store_says_what_it_needs(changed):
    config = taxi()
    for url, said in (("s3://b/x", "allowed to write"), ("gs://b/x", "allowed to write")):
        serving = config.serving.model_copy(update={"publish_to": url})
        [message] = [
            str(finding)
            for finding in checks.examine_pipeline(changed(config=config.model_copy(update={"serving": serving})))
            if url in finding.problem
        ]
        assert said in message and message.startswith("Pusher: ")
    assert list(storage.check_published_folder(changed())) == []
