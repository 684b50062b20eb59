"""The compiled pipeline: parameters, resources, conditions, caching."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from taxiway.components.errors import ConfigError
from taxiway.pipeline import stacks
from taxiway.pipeline.kubeflow.compiler import compile_for_target
from taxiway.pipeline.kubeflow.page.outputs import FINAL_NODE
from taxiway.pipeline.kubeflow.parameters import ROOT_TOKEN
from tests.pipeline.kubeflow.conftest import KUBEFLOW, taxi


def tasks(compiled):
    return compiled.spec["root"]["dag"]["tasks"]


def test_kfps_own_loader_reads_both_documents(compiled, tmp_path):
    from kfp.client.client import _extract_pipeline_yaml

    file = tmp_path / "pipeline.yaml"
    file.write_text(compiled.text)
    read = _extract_pipeline_yaml(str(file))
    assert read.pipeline_spec.schema_version == "2.1.0"
    executors = read.platform_spec.platforms["kubernetes"].deployment_spec.executors
    assert set(executors) == {f"{node}_executor" for node in tasks(compiled)}


def test_the_same_input_gives_the_same_bytes_in_another_process_and_place(compiled, tmp_path):
    """Sets have another order there: Python's hash seed differs."""
    file = tmp_path / "pipeline.yaml"
    command = [sys.executable, "-m", "taxiway", "compile", "-o", str(file), "--set"]
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    done = subprocess.run(
        [*command, f"resources.kubeflow={json.dumps(KUBEFLOW)}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert file.read_text() == compiled.text


def test_no_path_of_this_machine(compiled):
    text = compiled.text
    for place in (Path.home(), Path.cwd(), Path(__file__).parents[3]):
        assert f"{place}/" not in text


def test_only_containers_and_nothing_before_the_cache(compiled):
    for label, executor in compiled.spec["deploymentSpec"]["executors"].items():
        assert set(executor) == {"container"}
        assert "lifecycle" not in executor["container"]
        program = executor["container"]["command"][2].removeprefix("taxiway.pipeline.kubeflow.")
        special = {f"{FINAL_NODE}_executor": "page.final_step", "DataDigest_executor": "data_digest.program"}
        assert program == special.get(label, "entrypoint")


def test_what_looks_at_the_serving_directory_is_never_cached(compiled):
    cached = {node: task.get("cachingOptions", {}).get("enableCache", False) for node, task in tasks(compiled).items()}
    assert {node for node, enabled in cached.items() if not enabled} == {"Baseline", "DataDigest", "Pusher", FINAL_NODE}
    forced = compile_for_target(taxi({"components": {"Pusher": {"cache": True}}}))
    assert not tasks(forced)["Pusher"].get("cachingOptions", {}).get("enableCache", False)


def test_a_data_gate_that_looks_back_is_not_cached():
    config = taxi()
    gates = config.gates.model_copy(update={"drift": config.gates.drift.model_copy(update={"against": "live"})})
    looking = config.model_copy(update={"gates": gates})
    looking._source = config.source
    assert not tasks(compile_for_target(looking))["DataGate"].get("cachingOptions", {}).get("enableCache", False)


def test_conditions_name_inputs_of_their_node(compiled):
    policies = {node: task.get("triggerPolicy", {}) for node, task in tasks(compiled).items()}
    conditions = {node: policy["condition"] for node, policy in policies.items() if "condition" in policy}
    assert "Transform" in conditions and "Pusher" in conditions and "DataGate" not in conditions
    for node, condition in conditions.items():
        for key in re.findall(r"artifacts\['([^']+)'\]", condition):
            assert key in tasks(compiled)[node]["inputs"]["artifacts"], node


def test_parameters_of_a_run(compiled):
    parameters = compiled.spec["root"]["inputDefinitions"]["parameters"]
    assert set(parameters) == {"root", "data_path", "span", "scheduled_time", "max_steps", "epochs"}
    assert parameters["root"]["defaultValue"] == "/taxiway"
    assert parameters["scheduled_time"]["defaultValue"] == ""
    assert tasks(compiled)["Trainer"]["inputs"]["parameters"]["taxiway_epochs"] == {"componentInputParameter": "epochs"}
    assert tasks(compiled)["Pusher"]["inputs"]["parameters"]["run_id"] == {
        "runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}
    }


def test_an_image_of_another_stack_is_not_compiled_for():
    other = next(stack for stack in stacks.STACKS if stack is not stacks.find_installed_stack())
    with pytest.raises(ConfigError, match=f"is of the stack {other.name}"):
        compile_for_target(taxi({"image": f"registry.example/taxiway:1-{other.name}"}))


def test_resources_reach_the_container_and_the_task():
    asked = {"cpu_cores": 3, "memory_gb": 6, "gpu_count": 1, "retries": 2, "environment": {"A": "b"}}
    asked |= {"image": "gpu:1-{stack}"}
    compiled = compile_for_target(taxi({"components": {"Trainer": asked}}))
    container = compiled.spec["deploymentSpec"]["executors"]["Trainer_executor"]["container"]
    assert container["image"] == f"gpu:1-{stacks.find_installed_stack().name}"
    assert container["env"] == [{"name": "A", "value": "b"}]
    assert container["resources"] == {
        "cpuLimit": 3.0,
        "memoryLimit": 6.0,
        "accelerator": {"type": "nvidia.com/gpu", "count": "1"},
    }
    assert tasks(compiled)["Trainer"]["retryPolicy"] == {
        "maxRetryCount": 2,
        "backoffDuration": "30s",
        "backoffFactor": 2.0,
        "backoffMaxDuration": "31536000s",
    }
    assert "retryPolicy" not in tasks(compiled)["Transform"]


def test_files_beside_the_configuration_are_those_in_the_image(tmp_path):
    from taxiway.pipeline.config import DEFAULT_CONFIG, load_config
    from taxiway.pipeline.kubeflow.checks import examine_pipeline

    content = yaml.safe_load(DEFAULT_CONFIG.read_text())
    content["data"]["path"] = "rows/*.csv"
    content["resources"] = {"kubeflow": KUBEFLOW}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    curated = '# curated\nfeature { name: "fare" type: FLOAT }\n'
    (tmp_path / "schema.pbtxt").write_text(curated)
    compiled = compile_for_target(load_config(tmp_path / "mine.yaml"))
    example_gen, schema_gen = tasks(compiled)["ExampleGen"], tasks(compiled)["SchemaGen"]
    data = json.loads(example_gen["inputs"]["parameters"]["data"]["runtimeValue"]["constant"])
    assert data["path"] == "/opt/taxiway/config/rows/*.csv"
    assert schema_gen["inputs"]["parameters"]["edited"]["runtimeValue"]["constant"] == curated
    rules = json.loads(example_gen["inputs"]["parameters"]["schema"]["runtimeValue"]["constant"])
    assert rules == {"inferred_from": "", "kinds": {"fare": "float"}}
    assert str(tmp_path) not in compiled.text
    assert example_gen["cachingOptions"]  # DataDigest sees the data, wherever it is
    assert not [finding for finding in examine_pipeline(compiled) if finding.level == "refused"]


def test_vertex_has_no_second_document():
    kubeflow = {"root": "/gcs/bucket/taxiway", "components": {"Trainer": {"retries": 1, "retry_max_wait_seconds": 90}}}
    compiled = compile_for_target(taxi(kubeflow), target="vertex")
    assert len(list(yaml.safe_load_all(compiled.text))) == 1
    assert tasks(compiled)["Trainer"]["retryPolicy"]["backoffMaxDuration"] == "90s"  # there it limits one wait


def test_a_resolver_is_compiled_by_tfx_and_refused_by_us(changed):
    from taxiway.pipeline.kubeflow.checks.specification import check_resolvers

    def resolver(spec):
        spec["deploymentSpec"]["executors"]["Baseline_executor"] = {"resolver": {}}

    [finding] = check_resolvers(changed(resolver))
    assert finding.node == "Baseline" and "argocompiler" in finding.source


@pytest.mark.parametrize("name", ["pipeline.json", "pipeline"])
def test_the_file_is_yaml(name, tmp_path):
    from taxiway.components.errors import UsageError
    from taxiway.pipeline.kubeflow.commands import compile_to_file

    with pytest.raises(UsageError, match=r"not named \*\.yaml"):
        compile_to_file(tmp_path / name, None, (), "kfp")


def test_a_search_is_a_step_whose_best_settings_reach_the_trainer():
    config = taxi()
    searching = config.model_copy(update={"tuning": config.tuning.model_copy(update={"enabled": True, "trials": 7})})
    searching._source = config.source
    compiled = compile_for_target(searching)
    tuner, trainer = (tasks(compiled)[node]["inputs"] for node in ("Tuner", "Trainer"))
    best = {"taskOutputArtifact": {"outputArtifactKey": "best_hyperparameters", "producerTask": "Tuner"}}
    assert trainer["artifacts"]["hyperparameters"] == best
    assert {name: trainer["artifacts"][name] for name in ("examples", "transform_graph", "schema")} == {
        name: tuner["artifacts"][name] for name in ("examples", "transform_graph", "schema")
    }
    component = compiled.spec["components"]["Tuner"]
    types = {
        name: output["artifactType"].get("schemaTitle") or output["artifactType"]["instanceSchema"]
        for name, output in component["outputDefinitions"]["artifacts"].items()
    }
    assert set(types) == {"best_hyperparameters", "tuner_results", "record"}
    assert "HyperParameters" in types["best_hyperparameters"] and "TunerResults" in types["tuner_results"]
    for name in ("epochs", "max_steps"):
        assert tuner["parameters"][f"taxiway_{name}"] == {"componentInputParameter": name}
    asked = json.loads(tuner["parameters"]["tuning"]["runtimeValue"]["constant"])
    assert asked["trials"] == 7
    assert tuner["parameters"]["storage_root"]["runtimeValue"]["constant"].startswith(ROOT_TOKEN)
    assert compiled.spec["deploymentSpec"]["executors"]["Tuner_executor"]["container"]["image"]
