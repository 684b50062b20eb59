"""One compiled taxi pipeline that many tests look at: compiling imports TFX."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from taxiway.pipeline.config import PipelineConfig, load_config
from taxiway.pipeline.kubeflow.client import credentials
from tests.pipeline.kubeflow.api_server import ApiServer, serve

KUBEFLOW = {
    "image": "registry.example/taxiway:1",
    "pipeline_root": "gs://bucket/pipelines",
    "default": {"volumes": [{"claim": "taxiway", "mount_path": "/taxiway"}]},
}


def taxi(kubeflow: dict[str, Any] | None = None) -> PipelineConfig:
    """The taxi example for a cluster; `kubeflow` over settings that the checks accept."""
    return load_config(overrides=[f"resources.kubeflow={ {**KUBEFLOW, **(kubeflow or {})} }"])


@pytest.fixture(scope="session")
def compiled():
    from taxiway.pipeline.kubeflow.compiler import compile_for_target

    return compile_for_target(taxi())


@pytest.fixture()
def changed(compiled) -> Callable[..., Any]:
    """A copy of the compiled pipeline with its specification changed by a function, or its configuration replaced."""
    from taxiway.pipeline.kubeflow.compiler import CompiledPipeline

    def change(
        edit: Callable[[dict], None] = lambda spec: None, config: PipelineConfig | None = None, target: str = "kfp"
    ):
        spec = copy.deepcopy(compiled.spec)
        edit(spec)
        return CompiledPipeline(config or compiled.config, target, spec, compiled.platform)

    return change


@pytest.fixture()
def nobodys_home(tmp_path, monkeypatch):
    """The client keeps a context in the home folder and reads variables."""
    from kfp.client import client

    monkeypatch.setattr(client.Client, "_LOCAL_KFP_CONTEXT", str(tmp_path / "context.json"))
    for name in (
        credentials.TOKEN_VARIABLE,
        credentials.TOKEN_FILE_VARIABLE,
        credentials.COOKIES_VARIABLE,
        "KF_PIPELINES_ENDPOINT",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture()
def backend(nobodys_home):
    state = ApiServer()
    httpd = serve(state)
    state.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    yield state
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture()
def package(tmp_path) -> Path:
    """A compiled pipeline of one step and two parameters."""
    parameters = {
        "span": {"parameterType": "STRING", "defaultValue": ""},
        "epochs": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 6},
    }
    spec = {
        "pipelineInfo": {"name": "taxi"},
        "schemaVersion": "2.1.0",
        "defaultPipelineRoot": "gs://bucket/root",
        "root": {"inputDefinitions": {"parameters": parameters}, "dag": {"tasks": {"ExampleGen": {}}}},
    }
    file = tmp_path / "pipeline.yaml"
    file.write_text(yaml.safe_dump(spec))
    return file
