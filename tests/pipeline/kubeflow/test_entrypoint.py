from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.errors import StoreError
from pipeline.kubeflow import records
from pipeline.kubeflow.entrypoint import parse, prepare, run, run_of
from pipeline.kubeflow.storage import local_path


def invocation(folder: Path, root: Path) -> dict:
    base = "minio://mlpipeline/tw/taxi/run-7/Trainer/salt"
    return {
        "inputs": {
            "artifacts": {
                "examples": {
                    "artifacts": [
                        {
                            "name": "12",
                            "uri": "minio://mlpipeline/tw/taxi/run-7/ExampleGen/s/examples",
                            "customPath": str(folder / "examples"),
                            "type": {"instanceSchema": ""},
                            "metadata": {"span": 3.0},
                        }
                    ]
                }
            },
            "parameterValues": {"custom_config": '{"training": {"epochs": 6}}', "taxiway_root": str(root),
                                "taxiway_epochs": 2.0},
        },
        "outputs": {
            "artifacts": {
                "model": {
                    "artifacts": [
                        {
                            "name": "model",
                            "uri": f"{base}/model",
                            "customPath": str(folder / "model"),
                            "type": {"instanceSchema": "title: tfx.Model\ntype: object\n"},
                        }
                    ]
                },
                "executor-logs": {
                    "artifacts": [
                        {
                            "name": "executor-logs",
                            "uri": f"{base}/executor-logs",
                            "customPath": str(folder / "executor-logs"),
                            "type": {"schemaTitle": "system.Artifact"},
                        }
                    ]
                },
            },
            "outputFile": str(folder / "output_metadata.json"),
        },
    }  # fmt: skip


SPEC = {"artifacts": {"examples": {"artifactType": {"instanceSchema": "title: tfx.Examples\ntype: object\n"}}}}


def arguments(content: dict) -> list[str]:
    return [
        "--node", "Trainer", "--executor_class_path", "my.Executor",
        "--json_serialized_invocation_args", json.dumps(content),
        "--json_serialized_inputs_spec_args", json.dumps(SPEC),
        "--json_serialized_declared_outputs", '["model"]', "--direct_num_workers=1",
    ]  # fmt: skip


def started(folder: Path) -> dict:
    """The invocation as the launcher leaves it: the file of the logs is there before the command."""
    (folder / "executor-logs").write_text("")
    return invocation(folder, folder / "root")


def trains(namespace, beam):
    """Stands for TFX: writes a model where it is told, and the output file."""
    given = json.loads(namespace.json_serialized_invocation_args)
    model = given["outputs"]["artifacts"]["model"]["artifacts"][0]
    Path(model["uri"], "weights").write_text("w")
    assert (
        given["inputs"]["artifacts"]["examples"]["artifacts"][0]["type"]
        == SPEC["artifacts"]["examples"]["artifactType"]
    )
    assert json.loads(given["inputs"]["parameterValues"]["custom_config"]) == {"training": {"epochs": 2.0}}
    assert beam == ["--direct_num_workers=1"]
    assert list(given["outputs"]["artifacts"]) == ["model"]  # the logs are Kubeflow's, not the node's
    out = {
        "artifacts": {
            "model": {"artifacts": [{"uri": model["uri"], "metadata": {"steps": 5.0, "current_model": model["uri"]}}]}
        }
    }
    Path(given["outputs"]["outputFile"]).write_text(json.dumps(out))


def test_the_executor_sees_files_types_and_parameters_and_the_backend_its_uris(tmp_path):
    run(arguments(started(tmp_path)), trains)
    [written] = json.loads((tmp_path / "output_metadata.json").read_text())["artifacts"]["model"]["artifacts"]
    uri = "minio://mlpipeline/tw/taxi/run-7/Trainer/salt/model"
    assert written == {"uri": uri, "metadata": {"steps": 5.0, "current_model": uri}}
    assert (tmp_path / "model" / "weights").exists()


def test_a_node_leaves_its_record(tmp_path):
    times = iter((100.0, 160.0))
    run(arguments(started(tmp_path)), trains, lambda: next(times))
    [record] = records.read(tmp_path / "root")
    assert (record.run_id, record.pipeline, record.node) == ("run-7", "taxi", "Trainer")
    assert (record.state, record.started, record.finished) == ("complete", 100.0, 160.0)
    assert record.inputs["examples"][0] == records.ArtifactRecord(
        uri="minio://mlpipeline/tw/taxi/run-7/ExampleGen/s/examples", type="Examples", properties={"span": 3.0}
    )
    assert record.outputs["model"][0].type == "Model"
    assert record.outputs["model"][0].uri.startswith("minio://")
    assert record.parameters == {"root": str(tmp_path / "root"), "epochs": 2.0}
    assert "taxiway_root" not in record.properties


@pytest.mark.parametrize(
    "kind",
    [
        {"instanceSchema": ""},
        {"schemaTitle": "title: tfx.Examples\ntype: object\nproperties:\n  span:\n    type: integer\n"},  # without MLMD
        {"schemaTitle": "tfx.Examples"},
        {},
    ],
)
def test_an_input_is_of_its_declared_type_whatever_the_backend_says(tmp_path, kind):
    content = invocation(tmp_path, tmp_path / "root")
    content["inputs"]["artifacts"]["examples"]["artifacts"][0]["type"] = kind
    run(arguments(content), trains)
    [record] = records.read(tmp_path / "root")
    assert record.inputs["examples"][0].type == "Examples"
    assert list(record.outputs) == ["model"]


def test_a_failure_is_recorded_and_raised(tmp_path):
    def fails(namespace, beam):
        raise ValueError("no data")

    with pytest.raises(ValueError, match="no data"):
        run(arguments(invocation(tmp_path, tmp_path / "root")), fails)
    [record] = records.read(tmp_path / "root")
    assert (record.state, record.error, record.outputs) == ("failed", "ValueError: no data", {})


def test_records_of_another_version_are_refused(tmp_path):
    file = tmp_path / "executions" / "r" / "Trainer.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"version": 2}')
    with pytest.raises(StoreError, match="no execution record of version 1"):
        records.read(tmp_path)


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("gs://b/x/y", "/gcs/b/x/y"),
        ("s3://b/x", "/s3/b/x"),
        ("minio://mlpipeline/v2", "/minio/mlpipeline/v2"),
        ("/already/local", "/already/local"),
    ],
)
def test_local_paths_are_the_launchers(uri, path):
    assert local_path(uri) == path


def test_a_custom_path_wins_and_maps_back(tmp_path):
    read = parse(arguments(invocation(tmp_path, tmp_path)))
    uris = prepare(read)
    assert uris[str(tmp_path / "model")] == "minio://mlpipeline/tw/taxi/run-7/Trainer/salt/model"


def test_run_and_pipeline_on_vertex():
    uri = "gs://bucket/root/123456/taxi-2026/Trainer_-9876/model"
    found = {"outputs": {"artifacts": {"model": {"artifacts": [{"uri": uri}]}}}}
    assert run_of(found, "Trainer") == ("taxi-2026", "123456")
    assert run_of({}, "Trainer") == ("unknown", "")
