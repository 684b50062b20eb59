"""The entry point of a node's container, with a function in the place of TFX's executor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taxiway.components.errors import DataError, StoreError
from taxiway.pipeline.kubeflow import entrypoint, packed_properties, shared_artifacts
from taxiway.pipeline.kubeflow.entrypoint import find_run_and_pipeline, parse_arguments, prepare_invocation, run_node
from taxiway.pipeline.kubeflow.storage import get_local_path
from taxiway.pipeline.tracking.store import execution_record


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
    run_node(arguments(started(tmp_path)), trains)
    [written] = json.loads((tmp_path / "output_metadata.json").read_text())["artifacts"]["model"]["artifacts"]
    uri = "minio://mlpipeline/tw/taxi/run-7/Trainer/salt/model"
    assert written == {"uri": uri, "metadata": {"steps": 5.0, "current_model": uri}}
    assert (tmp_path / "model" / "weights").exists()


def test_a_node_leaves_its_record(tmp_path):
    times = iter((100.0, 160.0))
    run_node(arguments(started(tmp_path)), trains, lambda: next(times))
    [record] = execution_record.read_execution_records(tmp_path / "root")
    assert (record.run_id, record.pipeline, record.node) == ("run-7", "taxi", "Trainer")
    assert (record.state, record.started, record.finished) == ("complete", 100.0, 160.0)
    assert record.inputs["examples"][0] == execution_record.ArtifactRecord(
        uri="minio://mlpipeline/tw/taxi/run-7/ExampleGen/s/examples", type="Examples", properties={"span": 3.0}
    )
    assert record.outputs["model"][0].type == "Model"
    assert record.outputs["model"][0].uri.startswith("minio://")
    assert record.parameters == {"root": str(tmp_path / "root"), "epochs": 2.0}
    assert "taxiway_root" not in record.properties


def test_a_long_property_comes_from_the_containers_arguments(tmp_path):
    long = json.dumps({"training": {"epochs": 6}, "note": "x" * 200_000})
    content = started(tmp_path)
    content["inputs"]["parameterValues"]["custom_config"] = packed_properties.make_pointer(long)
    seen = []

    def reads(namespace, beam):
        seen.append(json.loads(namespace.json_serialized_invocation_args)["inputs"]["parameterValues"])
        assert beam == ["--direct_num_workers=1"]

    run_node([*arguments(content), *packed_properties.write_arguments({"custom_config": long})], reads)
    told = json.loads(seen[0]["custom_config"])
    assert told["training"] == {"epochs": 2.0} and len(told["note"]) == 200_000  # with the run's parameter set in it


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
    run_node(arguments(content), trains)
    [record] = execution_record.read_execution_records(tmp_path / "root")
    assert record.inputs["examples"][0].type == "Examples"
    assert list(record.outputs) == ["model"]


def test_a_failure_is_recorded_and_raised(tmp_path):
    def fails(namespace, beam):
        raise ValueError("no data")

    with pytest.raises(ValueError, match="no data"):
        run_node(arguments(invocation(tmp_path, tmp_path / "root")), fails)
    [record] = execution_record.read_execution_records(tmp_path / "root")
    assert (record.state, record.error, record.outputs) == ("failed", "ValueError: no data", {})


def test_records_of_another_version_are_refused(tmp_path):
    file = tmp_path / "executions" / "r" / "Trainer.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"version": 2}')
    with pytest.raises(StoreError, match="no execution record of version 1"):
        execution_record.read_execution_records(tmp_path)


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
    assert get_local_path(uri) == path


def test_a_custom_path_wins_and_maps_back(tmp_path):
    read = parse_arguments(arguments(invocation(tmp_path, tmp_path)))
    uris = prepare_invocation(read)
    assert uris[str(tmp_path / "model")] == "minio://mlpipeline/tw/taxi/run-7/Trainer/salt/model"


def test_run_and_pipeline_on_vertex():
    uri = "gs://bucket/root/123456/taxi-2026/Trainer_-9876/model"
    found = {"outputs": {"artifacts": {"model": {"artifacts": [{"uri": uri}]}}}}
    assert find_run_and_pipeline(found, "Trainer") == ("taxi-2026", "123456")
    assert find_run_and_pipeline({}, "Trainer") == ("unknown", "")


def test_tfx_runs_the_executor_and_knows_our_types_by_their_titles(monkeypatch):
    from tfx.orchestration.kubeflow.v2 import compiler_utils
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor

    called = []
    monkeypatch.setattr(kubeflow_v2_run_executor, "main", called.append)
    monkeypatch.setattr(compiler_utils, "TITLE_TO_CLASS_PATH", dict(compiler_utils.TITLE_TO_CLASS_PATH))
    entrypoint._load_tfx_executor()("arguments", ["--beam"])
    assert called == [("arguments", ["--beam"])]
    assert compiler_utils.TITLE_TO_CLASS_PATH["taxiway.Verdict"] == "taxiway.components.artifacts.Verdict"
    assert compiler_utils.TITLE_TO_CLASS_PATH["tfx.Examples"]


def test_examples_of_other_data_than_the_step_before_saw_are_refused(tmp_path):
    """The backend would cache them under the digest of data that they are not made of."""
    content = invocation(tmp_path, tmp_path / "root")
    content["inputs"]["parameterValues"]["taxiway_data_fingerprint"] = "before"

    def run_with(digest: str) -> None:
        def run_executor(options, beam):
            uri = content["outputs"]["artifacts"]["model"]["artifacts"][0]["uri"]
            written = {"model": {"artifacts": [{"uri": uri, "metadata": {"input_fingerprint": digest}}]}}
            Path(content["outputs"]["outputFile"]).write_text(json.dumps({"artifacts": written}))

        run_node(arguments(content), run_executor)

    run_with("before")
    with pytest.raises(DataError, match="its digest was before, and is after"):
        run_with("after")


def test_a_parameter_that_is_null_was_not_given(tmp_path):
    content = invocation(tmp_path, tmp_path / "root")
    content["inputs"]["parameterValues"] |= {"taxiway_max_steps": None, "taxiway_epochs": None, "other": None}
    parsed = parse_arguments(arguments(content))
    prepare_invocation(parsed)
    assert parsed.invocation["inputs"]["parameterValues"] == {"custom_config": '{"training": {"epochs": 6}}'}


BEAM_ON_FLINK = ("--runner=PortableRunner", "--job_endpoint=flink:8099")


def test_on_an_engine_the_step_works_where_workers_see(tmp_path):
    """Below the root; afterwards the pod has the outputs, the backend its URIs, and the root nothing of them."""
    seen = []

    def runs(given, beam):
        content = json.loads(given.json_serialized_invocation_args)
        [examples] = content["inputs"]["artifacts"]["examples"]["artifacts"]
        seen.append((Path(examples["uri"]), Path(examples["uri"], "rows").read_text()))
        [model] = content["outputs"]["artifacts"]["model"]["artifacts"]
        Path(model["uri"], "saved_model.pb").write_text("trained")
        trains(given, beam[:1])

    content = started(tmp_path)
    (tmp_path / "examples").mkdir(exist_ok=True)
    (tmp_path / "examples" / "rows").write_text("1,2")
    run_node([*arguments(content), *BEAM_ON_FLINK], runs)
    [(place, text)] = seen
    assert text == "1,2" and place.is_relative_to(tmp_path / "root")
    assert (tmp_path / "model" / "saved_model.pb").read_text() == "trained"
    assert str(tmp_path / "root") not in (tmp_path / "output_metadata.json").read_text()
    assert not list((tmp_path / "root" / shared_artifacts.FOLDER).iterdir())


def test_a_step_that_fails_on_an_engine_leaves_nothing_below_the_root(tmp_path):
    def fails(given, beam):
        raise OSError("a worker was lost")

    with pytest.raises(OSError, match="a worker was lost"):
        run_node([*arguments(started(tmp_path)), *BEAM_ON_FLINK], fails)
    assert not list((tmp_path / "root" / shared_artifacts.FOLDER).iterdir())
