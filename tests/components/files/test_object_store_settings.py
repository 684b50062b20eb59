"""Endpoint, region and credentials of a store: Kubeflow's description first, then the environment."""

from __future__ import annotations

import os

import pytest

from taxiway.components.errors import StoreError
from taxiway.components.files.object_store_settings import find_settings, read_secret

PROVIDERS = """
s3:
  default:
    endpoint: s3.amazonaws.com
    region: us-east-2
    disableSSL: false
    credentials: {fromEnv: true}
  Overrides:
    - bucketName: team
      keyPrefix: a/
      endpoint: minio.team:9000
      disableSSL: true
      forcePathStyle: true
      credentials: {secretRef: {secretName: team-keys, accessKeyKey: access, secretKeyKey: secret}}
minio:
  default: {endpoint: http://seaweedfs.kubeflow:9000, maxRetries: 5}
gs:
  default: {credentials: {secretRef: {secretName: google, tokenKey: key.json}}}
"""


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith(("AWS_", "TAXIWAY_OBJECT_"))]:
        monkeypatch.delenv(name)


@pytest.fixture(params=["providers", "config map"])
def described(request, tmp_path, monkeypatch):
    indented = PROVIDERS.replace("\n", "\n    ")
    text = f"kind: ConfigMap\ndata:\n  providers: |{indented}" if request.param == "config map" else PROVIDERS
    (tmp_path / "stores.yaml").write_text(text)
    monkeypatch.setenv("TAXIWAY_OBJECT_STORES", str(tmp_path / "stores.yaml"))


@pytest.mark.parametrize(
    ("place", "endpoint", "region"),
    [
        (("s3", "other", "a/x"), "https://s3.amazonaws.com", "us-east-2"),
        (("s3", "team", "b/x"), "https://s3.amazonaws.com", "us-east-2"),
        (("s3", "team", "a/x"), "http://minio.team:9000", "us-east-2"),
        (("minio", "mlpipeline", "x"), "http://seaweedfs.kubeflow:9000", ""),
        (("gs", "bucket", "x"), "", ""),
    ],
)
def test_what_kubeflow_describes(described, place, endpoint, region):
    settings = find_settings(*place)
    assert (settings.endpoint_url, settings.region) == (endpoint, region)


def test_the_environment_fills_what_is_not_described(described, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://localhost:9000")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert find_settings("minio", "b", "x").endpoint_url == "http://seaweedfs.kubeflow:9000"
    assert find_settings("minio", "b", "x").region == "eu-west-1"


def test_the_environment_alone(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:9000")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    settings = find_settings("minio", "b", "x")
    assert (settings.endpoint_url, settings.region) == ("http://localhost:9000", "eu-west-1")


def test_secrets_are_read_where_they_are_mounted(described, tmp_path, monkeypatch):
    assert read_secret(find_settings("s3", "team", "a/x")) == {}
    (tmp_path / "team-keys").mkdir()
    (tmp_path / "team-keys" / "access").write_text("me\n")
    (tmp_path / "team-keys" / "secret").write_text("hush")
    monkeypatch.setenv("TAXIWAY_OBJECT_STORE_SECRETS", str(tmp_path))
    assert read_secret(find_settings("s3", "team", "a/x")) == {"access_key": "me", "secret_key": "hush"}
    assert read_secret(find_settings("s3", "other", "x")) == {}
    with pytest.raises(StoreError, match="The secret google cannot be read"):
        read_secret(find_settings("gs", "bucket", "x"))


def test_minio_without_an_endpoint_never_asks_amazon():
    with pytest.raises(StoreError, match="Nothing says where") as raised:
        find_settings("minio", "mlpipeline", "x")
    assert "AWS_ENDPOINT_URL_S3" in raised.value.remedy and "TAXIWAY_OBJECT_STORES" in raised.value.remedy


@pytest.mark.parametrize("text", [None, "[1, 2]", "a: {b", "s3: {default: {endpoint: {}}}", "s3: nothing", "data: 3"])
def test_a_description_that_is_none(tmp_path, monkeypatch, text):
    if text is not None:
        (tmp_path / "stores.yaml").write_text(text)
    monkeypatch.setenv("TAXIWAY_OBJECT_STORES", str(tmp_path / "stores.yaml"))
    with pytest.raises(StoreError, match="describes no object stores"):
        find_settings("s3", "b", "x")
