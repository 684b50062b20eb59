"""The pod patch of every node, field by field, against the one that Kubeflow's driver 2.17 made."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.kubeflow.answers.recorded import mask_text
from tests.kubeflow.explained import ARGUMENTS_SINCE, FLAGS_SINCE, OPTIONS_SINCE, OUTPUTS_SINCE, RECORDED_NODES


@pytest.fixture(scope="module")
def driven(drive):
    return drive("2.17")


def expect_patch(answers: dict[str, Any], node: str) -> dict[str, Any]:
    """The recorded patch, of what all pods had in common and what this one had."""
    own, common = dict(answers["nodes"][node]["pod"]), answers["every_pod"]
    main = {name: own.pop(name) for name in ("env", "resources") if name in own}
    arguments = [own.pop("executor") if text == "EXECUTOR" else text for text in common["main"]["args"]]
    own.pop("parameter_types")
    arguments = [node if text == "NODE" else text for text in arguments]
    return {**common, **own, "main": {**common["main"], **main, "args": arguments}}


def mask_patch(patch: dict[str, Any]) -> dict[str, Any]:
    [main] = patch["containers"]
    rest = {name: value for name, value in patch.items() if name != "containers"}
    masked = {"command": mask_command(main["command"]), "args": forget_changes(main["args"])}
    return {**rest, "main": {**main, **masked}}


def mask_command(command: list[str]) -> list[str]:
    masks = {"--execution_id": "ID", "--executor_input": "INPUT", "--component_spec": "COMPONENT"}
    masked = []
    for option, text in zip(["", *command], command, strict=False):
        server = option.endswith(("_address", "_port"))
        masked.append("SERVER" if server else masks.get(option, mask_text(text)))
    return masked


def forget_changes(arguments: list[str]) -> list[str]:
    """Our arguments as they were then."""
    kept: list[str] = []
    texts = iter(text for text in arguments if text not in FLAGS_SINCE)
    for text in texts:
        if text in OPTIONS_SINCE:
            next(texts)
            continue
        for then, now in ARGUMENTS_SINCE.items():
            text = then + text.removeprefix(now) if text.startswith(now) else text
        kept.append("SPEC" if kept and kept[-1] == "--json_serialized_inputs_spec_args" else text)
    return kept


def read_option(patch: dict[str, Any], option: str) -> Any:
    command = patch["containers"][0]["command"]
    return json.loads(command[command.index(option) + 1])


@pytest.mark.parametrize("node", RECORDED_NODES)
def test_every_field_is_as_recorded(driven, node):
    assert mask_patch(driven.patches[node]) == expect_patch(driven.answers, node)


@pytest.mark.parametrize("node", RECORDED_NODES)
def test_the_launcher_is_given_the_executor_input_and_the_component(driven, node):
    patch = driven.patches[node]
    assert read_option(patch, "--executor_input") == driven.decisions[node].executor_input
    component = read_option(patch, "--component_spec")
    assert set(component) == {"inputDefinitions", "outputDefinitions", "executorLabel"}
    assert component["executorLabel"] == f"{node}_executor"
    outputs = component["outputDefinitions"]["artifacts"]
    assert set(outputs) - set(OUTPUTS_SINCE) == set(driven.answers["nodes"][node]["writes"])
    assert outputs["executor-logs"] == {"artifactType": {"schemaTitle": "system.Artifact"}}
    recorded = driven.answers["nodes"][node]["pod"]["parameter_types"]
    declared = {name: each["parameterType"] for name, each in component["inputDefinitions"]["parameters"].items()}
    assert {name: declared[name] for name in recorded if name in declared} == {
        name: kind for name, kind in recorded.items() if name in declared
    }


def test_messages_are_written_as_go_writes_them(driven):
    """No spaces, and whole numbers without a point: recorded as `"taxiway_epochs":6`."""
    command = driven.patches["Trainer"]["containers"][0]["command"]
    text = command[command.index("--executor_input") + 1]
    assert '"taxiway_epochs":6,' in text and '"inputs":{"artifacts":{' in text


def test_the_branch_hands_the_launcher_a_task_and_no_component(drive):
    """Read in the branch's source; no pod of it was recorded."""
    command = drive("without-mlmd").patches["Trainer"]["containers"][0]["command"]
    assert "--component_spec" not in command and "--mlmd_server_address" not in command
    assert command[command.index("--task_name") + 1] == "Trainer"
