"""The executor inputs of both backends, as recorded, through our entry point and TFX's own."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from taxiway.pipeline.emulator.launcher import compile_command
from taxiway.pipeline.kubeflow import entrypoint
from taxiway.pipeline.tracking.store import execution_record
from tests.kubeflow.explained import INPUTS_SINCE, OUTPUTS_SINCE, RECORDED_NODES
from tests.kubeflow.seen import SEEN

EXECUTOR = "tests.kubeflow.recorder.Recorder"


def place_artifacts(executor_input: dict[str, Any], folder: Path) -> dict[str, Any]:
    """As the launcher leaves the executor input, with folders of this machine; the file of the logs is there."""
    invocation = json.loads(json.dumps(executor_input))
    for side in ("inputs", "outputs"):
        (folder / side).mkdir(exist_ok=True)
        for key, listed in invocation[side].get("artifacts", {}).items():
            listed["artifacts"][0]["customPath"] = str(folder / side / key)
    (folder / "outputs" / "executor-logs").touch()
    invocation["outputs"]["outputFile"] = str(folder / "output_metadata.json")
    return invocation


def start_node(driven, node: str, folder: Path) -> dict[str, Any]:
    """Runs the node's command, as the pod's patch has it, in this process; returns what the launcher reads."""
    invocation = place_artifacts(driven.decisions[node].executor_input, folder)
    invocation["inputs"]["parameterValues"]["taxiway_root"] = str(folder / "root")
    arguments = compile_command(driven.patches[node]["containers"][0]["args"], invocation)[3:]
    arguments[arguments.index("--executor_class_path") + 1] = EXECUTOR
    entrypoint.run_node(arguments)
    return json.loads((folder / "output_metadata.json").read_text())


@pytest.mark.parametrize("node", RECORDED_NODES)
def test_every_node_takes_what_the_backend_hands_to_it(driven, node, tmp_path):
    written = start_node(driven, node, tmp_path)
    answers, renamed = driven.answers, INPUTS_SINCE.get(node, {})
    reads = {renamed.get(key, key): source for key, source in answers["nodes"][node]["reads"].items()}
    for key, source in reads.items():
        [artifact] = SEEN["inputs"][key]
        producer, output = source.split(".")
        title = answers["nodes"][producer]["writes"][output]
        assert artifact.type_name == title.removeprefix("tfx."), key
        assert artifact.uri == str(tmp_path / "inputs" / key)
        for name, value in answers["artifacts"][source].get("metadata", {}).items():
            if name in ("passed", "blessed", "kind", "rows_train") and not isinstance(value, dict):
                assert artifact.get_custom_property(name) == value
    declared = set(answers["nodes"][node]["writes"]) - {"executor-logs"}
    assert set(SEEN["outputs"]) == declared == set(written["artifacts"]) - set(OUTPUTS_SINCE)
    [record] = execution_record.read_execution_records(tmp_path / "root")
    assert record.node == node and set(record.inputs) >= set(reads) and record.state == "complete"


def test_two_models_of_one_key_stay_two(driven, tmp_path):
    """Without ML Metadata the names of both are `model`, and TFX makes an id of the name."""
    written = start_node(driven, "Evaluator", tmp_path)
    blessing = written["artifacts"]["blessing"]["artifacts"][0]["metadata"]
    inputs = driven.decisions["Evaluator"].executor_input["inputs"]["artifacts"]
    given = {key: listed["artifacts"][0] for key, listed in inputs.items()}
    names = [given[key].get("artifactId", given[key]["name"]) for key in ("model", "baseline_model")]
    assert [blessing["current_model_id"], blessing["baseline_model_id"]] == names and len(set(names)) == 2


def test_a_type_that_the_backend_makes_up_is_not_believed(drive, tmp_path):
    driven = drive("without-mlmd")
    for key, listed in driven.decisions["Trainer"].executor_input["inputs"]["artifacts"].items():
        listed["artifacts"][0]["type"] = {"schemaTitle": f"system.{key}"}
        listed["artifacts"][0]["artifactId"] = str(uuid.uuid4())
    start_node(driven, "Trainer", tmp_path)
    assert {key: artifact.type_name for key, [artifact] in SEEN["inputs"].items()} == {
        "_DataGate.verdict": "taxiway.Verdict",
        "examples": "Examples",
        "schema": "Schema",
        "transform_graph": "TransformGraph",
    }
