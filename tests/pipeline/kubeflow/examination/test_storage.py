"""The pipeline root, as far as this machine sees it."""

from __future__ import annotations

from taxiway.components.files.object_stores import ObjectFolder
from taxiway.pipeline.kubeflow.examination.storage import check_pipeline_root


def test_the_clusters_own():
    found = check_pipeline_root("", "team")
    assert found.state == "ok" and "kfp-launcher -n team" in found.remedy


def test_an_address_that_the_launcher_does_not_read():
    found = check_pipeline_root("/mnt/x", "")
    assert found.state == "failed" and "gs://, s3://, minio://" in found.remedy


def test_a_bucket_that_can_be_written_is_left_as_it_was(s3):
    found = check_pipeline_root(f"s3://{s3.bucket}/doctor/root", "")
    assert found.state == "ok" and "the pods have their own" in found.detail
    assert ObjectFolder(f"s3://{s3.bucket}/doctor").list_names() == set()


def test_a_bucket_that_there_is_not(s3):
    found = check_pipeline_root("s3://no-such-bucket/root", "")
    assert found.state == "failed" and "no such bucket" in found.detail and "pipeline_root" in found.remedy


def test_a_store_that_this_machine_does_not_reach(s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    found = check_pipeline_root(f"s3://{s3.bucket}/root", "")
    assert found.state == "unknown" and "cannot be reached" in found.detail and found.remedy


def test_the_clusters_store_without_its_address(s3, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    found = check_pipeline_root("minio://mlpipeline/v2/artifacts", "")
    assert found.state == "unknown" and "port-forward" in found.remedy
