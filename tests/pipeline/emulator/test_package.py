from __future__ import annotations

import pytest

from pipeline.emulator.package import read
from pipeline.emulator.refusals import RefusedError
from tests.pipeline.emulator.sample import text, two_tasks


def refused(spec_text: str) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        read(spec_text)
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
    ],
)
def test_refusals_cite_the_backend(changes, said, source):
    error = refused(edited(**changes))
    assert said in str(error)
    assert source in error.source and error.source.startswith("backend/src/")


def test_two_pipelines_in_one_file():
    assert "multiple pipeline specs" in str(refused(text(two_tasks()) + "---\n" + text(two_tasks())))


def test_no_pipeline_and_no_yaml():
    assert "no pipeline spec is provided" in str(refused("a: 1\n"))
    assert "unable to decode yaml" in str(refused("a: [1\n"))


def test_a_field_that_the_platforms_proto_does_not_have():
    error = refused(text(two_tasks(), make={"nodeSelectors": {}}))
    assert 'unknown field "nodeSelectors"' in str(error) and "spec_patch.go" in error.source


def test_what_is_read_is_what_is_depended_on():
    spec = two_tasks()
    del spec["root"]["dag"]["tasks"]["use"]["dependentTasks"]
    package = read(text(spec))
    assert package.depends["use"] == ("make",) and package.order == ("make", "use")


def test_what_the_backend_does_not_look_at_is_named():
    ignored = read(edited(defaultPipelineRoot="gs://b/x")).ignored
    assert any("root_dag.go" in line for line in ignored)
