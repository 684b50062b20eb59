"""Which releases know a setting of Kubernetes, and which apply it."""

from __future__ import annotations

from taxiway.pipeline.kubeflow import platform
from taxiway.pipeline.kubeflow.checks import platform_fields
from taxiway.pipeline.kubeflow.compiler import CompiledPipeline
from taxiway.pipeline.resources import NodeResources
from tests.pipeline.kubeflow.conftest import KUBEFLOW, taxi


def compile_platform(compiled, **resources):
    spec = platform.make_platform_spec({"Trainer_executor": NodeResources.model_validate(resources)})
    return CompiledPipeline(compiled.config, "kfp", compiled.spec, spec)


def test_the_releases_of_what_is_used(compiled):
    asked = compile_platform(
        compiled,
        labels={"a": "b"},
        empty_directories=[{"mount_path": "/tmp"}],
        node_affinity=[{"expressions": [{"key": "zone", "values": ["a"]}]}],
    )
    assert [finding.problem for finding in platform_fields.check_releases(asked)] == [
        "podMetadata: a backend before 2.1.0 refuses it.",
        "emptyDirMounts: a backend before 2.3.0 refuses it.",
        "nodeAffinity: a backend before 2.14.0 ignores it.",
    ]
    assert list(platform_fields.check_releases(compiled)) == []


def test_affinity_to_pods_is_compiled_and_said_to_be_ignored(compiled):
    asked = compile_platform(compiled, pod_affinity=[{"labels": {"a": "b"}, "topology_key": "zone"}])
    [finding] = platform_fields.check_never_applied(asked)
    assert finding.level == "ignored" and "no release of the backend up to 2.17.0 applies it" in finding.problem
    assert list(platform_fields.check_installed(asked)) == []


def test_what_the_installed_release_does_not_know_is_refused_with_the_one_that_does(compiled, monkeypatch):
    asked = compile_platform(compiled, security_context={"run_as_non_root": True})
    known = not platform.find_unknown_fields({"securityContext": {}})
    assert [finding.level for finding in platform_fields.check_installed(asked)] == ([] if known else ["refused"])
    monkeypatch.setattr(platform, "find_unknown_fields", lambda config: ["securityContext"])
    monkeypatch.setattr(platform, "get_installed_release", lambda: "1.5.0")
    [finding] = platform_fields.check_installed(asked)
    assert (finding.node, finding.level) == ("Trainer", "refused")
    assert finding.problem == (
        "securityContext is unknown to the installed kfp-kubernetes 1.5.0; kfp-kubernetes 2.16.0 knows it."
    )


def test_a_value_of_a_wrong_type_is_refused(compiled):
    spec = platform.make_platform_spec({"Trainer_executor": NodeResources(timeout_seconds=5)})
    spec["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["Trainer_executor"]["activeDeadlineSeconds"] = "5.5"
    [finding] = platform_fields.check_installed(CompiledPipeline(compiled.config, "kfp", compiled.spec, spec))
    assert "does not read its settings" in finding.problem and "activeDeadlineSeconds" in finding.problem


def test_vertex_has_none_of_them(changed):
    config = taxi({"default": {**KUBEFLOW["default"], "shared_memory": "1Gi", "timeout_seconds": 5}})
    found = list(platform_fields.check_vertex(changed(config=config, target="vertex")))
    assert {finding.problem for finding in found} == {"Vertex AI has no volumes, shared_memory, timeout_seconds."}
    assert list(platform_fields.check_vertex(changed(config=config))) == []
