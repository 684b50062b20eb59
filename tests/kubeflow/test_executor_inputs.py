"""The executor input of every node, field by field, against what Kubeflow's driver handed to it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kubeflow.answers.recorded import find_title, mask_artifact, mask_text, mask_uri, read_type
from tests.kubeflow.explained import IN_THE_BRANCH, OUTPUTS_SINCE, RECORDED_NODES, SINCE


def flatten_recorded(answers: dict[str, Any], node: str) -> dict[str, Any]:
    """The recorded executor input as fields by dotted names."""
    recorded = answers["nodes"][node]
    return {
        **{f"inputs.{key}": answers["artifacts"][source] for key, source in recorded["reads"].items()},
        **{f"parameters.{name}": value for name, value in recorded["parameters"].items()},
        **{f"outputs.{key}.type": title for key, title in recorded["writes"].items()},
        **{f"outputs.{key}.name": key for key in recorded["writes"]},
        **{f"outputs.{key}.uri": make_output_uri(recorded["output_file"], key) for key in recorded["writes"]},
        "outputFile": recorded["output_file"],
    }


def make_output_uri(output_file: str, key: str) -> str:
    """Outputs lie beside the output file."""
    return f"minio:/{output_file.removeprefix('/minio').rsplit('/', 1)[0]}/{key}"


def flatten_answer(executor_input: dict[str, Any]) -> dict[str, Any]:
    """The emulator's executor input, likewise; fields that are not known here stay under their own names."""
    inputs, outputs = dict(executor_input["inputs"]), dict(executor_input["outputs"])
    fields = {name: value for name, value in executor_input.items() if name not in ("inputs", "outputs")}
    for key, listed in inputs.pop("artifacts", {}).items():
        [fields[f"inputs.{key}"]] = map(mask_artifact, listed["artifacts"])
    for name, value in inputs.pop("parameterValues", {}).items():
        fields[f"parameters.{name}"] = mask_text(value)
    for key, listed in outputs.pop("artifacts", {}).items():
        [artifact] = listed["artifacts"]
        assert set(artifact) == {"name", "type", "uri"}
        fields |= {
            f"outputs.{key}.type": find_title(read_type(artifact["type"])),
            f"outputs.{key}.name": artifact["name"],
        }
        fields[f"outputs.{key}.uri"] = mask_uri(artifact["uri"])
    fields["outputFile"] = mask_uri(outputs.pop("outputFile"))
    return {**fields, **inputs, **outputs}


def rename_pipeline(value: Any, name: str) -> Any:
    """The recorded pipeline of the branch had another name."""
    if isinstance(value, dict):
        return {key: rename_pipeline(inner, name) for key, inner in value.items()}
    return value.replace("/test-pipeline/", f"/{name}/") if isinstance(value, str) else value


@pytest.mark.parametrize("node", RECORDED_NODES)
def test_every_field_is_as_recorded_or_explained(driven, node):
    release, package = driven.job.release.name, driven.job.package
    recorded = rename_pipeline(flatten_recorded(driven.answers, node), package.name)
    answered = flatten_answer(driven.decisions[node].executor_input)
    differences = {name for name in {*recorded, *answered} if recorded.get(name) != answered.get(name)}
    differences -= {
        name for name in answered if name.split(".")[0] == "outputs" and name.split(".")[1] in OUTPUTS_SINCE
    }
    explained = {**SINCE.get(node, {}), **(IN_THE_BRANCH.get(node, {}) if release == "without-mlmd" else {})}
    assert differences == set(explained), {name: (recorded.get(name), answered.get(name)) for name in differences}


def test_types_of_outputs_are_the_recorded_texts(driven):
    for decision in driven.decisions.values():
        for artifact in decision.outputs.values():
            text = read_type(artifact["type"])
            if artifact["name"] == "executor-logs":
                assert artifact["type"] == {"schemaTitle": "system.Artifact"}
            elif artifact["name"] not in OUTPUTS_SINCE:
                assert text == driven.answers["schemas"][find_title(text)]


def test_without_ml_metadata_types_of_inputs_are_the_recorded_texts_too(drive):
    driven = drive("without-mlmd")
    for decision in driven.decisions.values():
        for listed in decision.executor_input["inputs"].get("artifacts", {}).values():
            text = listed["artifacts"][0]["type"]["schemaTitle"]
            assert text == driven.answers["schemas"][find_title(text)]


def test_without_published_logs_there_is_no_such_output(drive):
    """As recorded of the branch; the 2.17 recording has it on every node."""
    assert "executor-logs" not in drive("without-mlmd").decisions["Trainer"].outputs
    assert all("executor-logs" in decision.outputs for decision in drive("2.17").decisions.values())
