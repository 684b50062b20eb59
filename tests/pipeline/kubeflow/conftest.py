"""One compiled taxi pipeline that many tests look at: compiling imports TFX."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.config import Config, load

KUBEFLOW = {
    "image": "registry.example/taxiway:1",
    "pipeline_root": "gs://bucket/pipelines",
    "default": {"volumes": [{"claim": "taxiway", "mount_path": "/taxiway"}]},
}


def taxi(kubeflow: dict[str, Any] | None = None) -> Config:
    """The taxi example for a cluster; `kubeflow` over settings that the checks accept."""
    return load(overrides=[f"resources.kubeflow={ {**KUBEFLOW, **(kubeflow or {})} }"])


@pytest.fixture(scope="session")
def compiled():
    from pipeline.kubeflow.compiler import compile_pipeline

    return compile_pipeline(taxi())


@pytest.fixture()
def changed(compiled) -> Callable[..., Any]:
    """A copy of the compiled pipeline with its specification changed by a function, or its configuration replaced."""
    from pipeline.kubeflow.compiler import Compiled

    def change(edit: Callable[[dict], None] = lambda spec: None, config: Config | None = None, target: str = "kfp"):
        spec = copy.deepcopy(compiled.spec)
        edit(spec)
        return Compiled(config or compiled.config, target, spec, compiled.platform)

    return change
