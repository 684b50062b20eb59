"""Compiled files that the backend refuses, each in its words, and what it ignores."""

from __future__ import annotations

import pytest

from taxiway.pipeline.emulator.errors import RefusedError
from taxiway.pipeline.emulator.package import EmulatorLimitError, read_package
from tests.pipeline.emulator.sample import text, two_tasks

HOOK = {"preCacheCheck": {"command": ["python"], "args": ["-m", "x"]}}


def refused(spec_text: str) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        read_package(spec_text)
    return caught.value


def edited(**changes) -> str:
    spec = two_tasks()
    for path, value in changes.items():
        *parents, last = path.split("__")
        inner = spec
        for key in parents:
            inner = inner[key]
        inner[last] = value
    return text(spec)


@pytest.mark.parametrize(
    ("changes", "said", "source"),
    [
        ({"schemaVersion": "2.0.0"}, "KFP only supports schema version 2.1.0", "v2_template.go"),
        ({"pipelineInfo__name": ""}, "name is empty", "v2_template.go"),
        ({"unheard": 1}, "invalid v2 pipeline spec", "v2_template.go"),
        ({"deploymentSpec__executors__use_executor": {"resolver": {}}}, "resolver executors not implemented", "dag.go"),
        ({"deploymentSpec__executors__use_executor": {"customJob": {}}}, "not implemented", "visitor.go"),
        ({"deploymentSpec__executors__use_executor": {"importer": {}}}, "condition on importer task", "dag.go"),
        ({"components__use__executorLabel": "none"}, "not found in deployment config", "visitor.go"),
        ({"root__dag__tasks__use__componentRef__name": "none"}, "cannot find component ref", "visitor.go"),
        ({"root__dag__tasks__use__dependentTasks": ["none"]}, "unknown producer task", "dag.go"),
        ({"pipelineInfo__name": "ÄÖ"}, "name should consist of lower case", "v2_template.go"),
        ({"root__dag__tasks": {}}, "one or more non-exit tasks", "dag.go"),
        ({"root": {}}, "unknown component implementation", "visitor.go"),
        ({"root__dag__tasks__use__componentRef": {}}, "component ref name is empty", "visitor.go"),
        ({"root__dag__tasks__make__dependentTasks": ["use"]}, "depend on one another", "dag.go"),
    ],
)
def test_refusals_cite_the_backend(changes, said, source):
    error = refused(edited(**changes))
    assert said in str(error)
    assert source in error.source and error.source.startswith("backend/src/")


def test_two_pipelines_in_one_file():
    assert "multiple pipeline specs" in str(refused(text(two_tasks()) + "---\n" + text(two_tasks())))


def test_two_platforms_in_one_file():
    platform = "---\nplatforms: {kubernetes: {}}\n"
    assert "multiple platform specs" in str(refused(text(two_tasks()) + 2 * platform))


def test_a_pipeline_without_a_root():
    spec = two_tasks()
    del spec["root"]
    assert "root component is empty" in str(refused(text(spec)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"components__use__executorLabel": ""}, "no sub-DAGs"),
        ({"root__dag__tasks__use__parameterIterator": {"itemInput": "x"}}, "no loops"),
        ({"deploymentSpec__executors__make_executor": {"importer": {}}}, "no importers"),
        (
            {"deploymentSpec__executors__make_executor": {"container": {"image": "argostub/createpvc"}}},
            "no claims made by a pipeline",
        ),
    ],
)
def test_what_the_backend_takes_and_the_emulator_has_not_is_no_refusal(changes, said):
    with pytest.raises(EmulatorLimitError, match=said):
        read_package(edited(**changes))


def test_no_pipeline_and_no_yaml():
    assert "no pipeline spec is provided" in str(refused("a: 1\n"))
    assert "unable to decode yaml" in str(refused("a: [1\n"))


def test_a_field_that_the_platforms_proto_does_not_have():
    error = refused(text(two_tasks(), make={"nodeSelectors": {}}))
    assert 'unknown field "nodeSelectors"' in str(error) and "spec_patch.go" in error.source


def test_what_is_read_is_what_is_depended_on():
    spec = two_tasks()
    del spec["root"]["dag"]["tasks"]["use"]["dependentTasks"]
    package = read_package(text(spec))
    assert package.depends["use"] == ("make",) and package.order == ("make", "use")


def test_what_the_backend_does_not_look_at_is_named():
    container = {**two_tasks()["deploymentSpec"]["executors"]["make_executor"]["container"], "lifecycle": HOOK}
    spec_text = edited(defaultPipelineRoot="gs://b/x", deploymentSpec__executors__make_executor__container=container)
    root, hook = read_package(spec_text).ignored
    assert "root_dag.go" in root
    assert "make_executor: lifecycle.preCacheCheck never runs (backend/src/v2/driver/container.go)" in hook
