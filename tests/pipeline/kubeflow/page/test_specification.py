"""The compiled file: outputs for the page, and a last step that is an exit handler."""

from __future__ import annotations

import copy
import json

import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from taxiway.pipeline.kubeflow.client.package import make_submitted
from taxiway.pipeline.kubeflow.compiler import compile_for_target
from taxiway.pipeline.kubeflow.data_digest import task as data_digest
from taxiway.pipeline.kubeflow.page.outputs import FINAL_NODE, NODE_OUTPUTS, RECORD, TYPES, PageFacts, list_page_outputs
from taxiway.pipeline.kubeflow.page.specification import INNER, add_page_outputs, find_tasks, wrap_tasks
from taxiway.pipeline.nodes import NODES
from tests.pipeline.kubeflow.conftest import taxi

COMPILED = [node for node in NODES if node != "Tuner"]
STEPS = {*COMPILED, data_digest.NODE}


def outputs(spec, node):
    return {
        name: each["artifactType"].get("schemaTitle", "")
        for name, each in spec["components"][node]["outputDefinitions"]["artifacts"].items()
    }


def test_each_node_has_the_outputs_that_the_page_draws(compiled):
    for node in COMPILED:
        shown = {name: kind for name, kind in outputs(compiled.spec, node).items() if kind.startswith("system.")}
        assert shown == {name: TYPES[name] for name in (*NODE_OUTPUTS.get(node, ()), RECORD)}, node
    assert outputs(compiled.spec, FINAL_NODE) == {"metrics": "system.Metrics", "summary": "system.Markdown",
                                                  "report": "system.HTML"}  # fmt: skip


def test_a_node_declares_only_what_its_component_writes(compiled):
    arguments = compiled.spec["deploymentSpec"]["executors"]["Evaluator_executor"]["container"]["args"]
    declared = json.loads(arguments[arguments.index("--json_serialized_declared_outputs") + 1])
    assert declared == ["blessing", "evaluation"]
    facts = json.loads(arguments[arguments.index("--json_serialized_page_facts") + 1])
    assert facts == {"label": "big_tipper", "metric": "auc", "model": "taxi", "task": "binary"}


def test_a_label_that_kubernetes_would_rewrite_reaches_the_node_as_it_is(compiled):
    spec = copy.deepcopy(compiled.spec)
    add_page_outputs(spec, PageFacts(label="tip $$ (in $(HOME))", task="binary"), "--facts")
    arguments = spec["deploymentSpec"]["executors"]["Evaluator_executor"]["container"]["args"]
    text = arguments[arguments.index("--facts") + 1]
    assert "$" not in text and json.loads(text)["label"] == "tip $$ (in $(HOME))"


def test_a_regression_has_no_curves():
    assert "curves" not in list_page_outputs("Evaluator", "regression")
    assert list_page_outputs("DataDigest", "binary") == ()


def read_submitted(compiled):
    return next(iter(yaml.safe_load_all(make_submitted(compiled.text))))


def test_the_compiled_file_has_every_task_in_its_root(compiled):
    """There nothing calls the last step, which depends on no task: it is submitted in another form."""
    root = next(iter(yaml.safe_load_all(compiled.text)))["root"]["dag"]["tasks"]
    assert set(root) == {*STEPS, FINAL_NODE} and "dependentTasks" not in root[FINAL_NODE]
    text = make_submitted(compiled.text)
    assert make_submitted(text) == text != compiled.text


def test_what_is_submitted_holds_the_pipeline_in_one_task_and_the_last_step_after_it(compiled):
    spec = read_submitted(compiled)
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    root = spec["root"]["dag"]["tasks"]
    assert set(root) == {INNER, FINAL_NODE}
    final = root[FINAL_NODE]
    assert final["dependentTasks"] == [INNER]
    assert final["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    assert "artifacts" not in final["inputs"], "an input of a step that was skipped ends the driver"
    assert not final.get("cachingOptions", {}).get("enableCache", False)
    assert set(spec["components"][INNER]["dag"]["tasks"]) == STEPS


def test_the_inner_pipeline_takes_every_parameter_of_the_run(compiled):
    spec = read_submitted(compiled)
    declared = spec["root"]["inputDefinitions"]["parameters"]
    inner = spec["components"][INNER]["inputDefinitions"]["parameters"]
    assert {name: each["parameterType"] for name, each in inner.items()} == {
        name: each["parameterType"] for name, each in declared.items()
    }
    given = spec["root"]["dag"]["tasks"][INNER]["inputs"]["parameters"]
    assert given == {name: {"componentInputParameter": name} for name in declared}


def test_the_last_step_has_the_resources_of_a_node(compiled):
    platform = list(yaml.safe_load_all(compiled.text))[1]
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert executors[f"{FINAL_NODE}_executor"]["pvcMount"] == executors["Trainer_executor"]["pvcMount"]


def test_without_the_page_all_is_as_tfx_compiles_it():
    compiled = compile_for_target(taxi({"page": False}))
    spec = next(iter(yaml.safe_load_all(compiled.text)))
    assert set(spec["root"]["dag"]["tasks"]) == STEPS == set(find_tasks(spec))
    assert not any(kind.startswith("system.") for node in COMPILED for kind in outputs(spec, node).values())


def test_tasks_are_found_in_both_forms(compiled):
    before = copy.deepcopy(compiled.spec)
    wrapped = wrap_tasks(compiled.spec)
    assert set(find_tasks(wrapped)) == set(find_tasks(compiled.spec)) == {*STEPS, FINAL_NODE}
    assert compiled.spec == before
