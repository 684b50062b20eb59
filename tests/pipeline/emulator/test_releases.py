"""What the two backends keep of an output, and hand to the next task."""

from __future__ import annotations

import json

import pytest

from taxiway.components.errors import UsageError
from taxiway.pipeline.emulator.errors import TaskFailedError
from taxiway.pipeline.emulator.releases import RELEASES, find_release
from taxiway.pipeline.emulator.run import EmulationSettings, emulate_run
from tests.pipeline.emulator.sample import container, text, two_tasks

SCHEMA = "title: tfx.Model\ntype: object\n"
KIND = {"instanceSchema": SCHEMA}
WRITTEN = {"passed": True, "names": ["a"], "by_split": {"train": 1.0}, "count": 3.0}


def hand_over(release, kind=KIND, written=WRITTEN):
    followed = find_release(release)
    return followed.describe_input(followed.store_output(7, "model", kind, "minio://b/model", written))


def test_ml_metadata_gives_a_number_for_a_name_loses_the_type_and_wraps_values():
    artifact = hand_over("2.17")
    assert artifact["name"] == "7" and artifact["type"] == {"instanceSchema": ""} and "artifactId" not in artifact
    session = json.loads(artifact["metadata"].pop("store_session_info"))
    assert session["Provider"] == "minio" and session["Params"]["secretName"] == "mlpipeline-minio-artifact"
    assert artifact["metadata"] == {
        "display_name": "model",
        "passed": 1,
        "names": {"list": ["a"]},
        "by_split": {"struct": {"train": 1.0}},
        "count": 3.0,
    }


def test_without_it_the_name_is_the_key_and_the_title_the_whole_schema():
    artifact = hand_over("without-mlmd")
    assert len(artifact.pop("artifactId")) == 36
    assert artifact == {
        "name": "model",
        "type": {"schemaTitle": SCHEMA},
        "uri": "minio://b/model",
        "metadata": WRITTEN,
    }
    assert "metadata" not in hand_over("without-mlmd", written={})


def test_without_it_a_kind_of_kubeflows_own_has_another_name():
    assert hand_over("without-mlmd", {"schemaTitle": "system.HTML"})["type"] == {"schemaTitle": "HTML"}


def test_ml_metadata_has_no_null():
    with pytest.raises(TaskFailedError, match="unsupported value type of passed: null"):
        hand_over("2.17", written={"passed": None})


def test_an_output_that_is_not_written_fails_only_without_ml_metadata(tmp_path):
    spec = two_tasks()
    spec["deploymentSpec"]["executors"]["make_executor"] = container("pass")
    del spec["root"]["dag"]["tasks"]["use"]
    results = {
        name: emulate_run(text(spec), EmulationSettings(folder=tmp_path / name, release=name)) for name in RELEASES
    }
    assert results["2.17"].succeeded
    assert 'declared output artifact "model" is missing' in results["without-mlmd"].tasks["make"].reason


def test_without_ml_metadata_a_metric_is_a_number_and_needs_no_file():
    check = find_release("without-mlmd").check_output
    check("metrics", "system.Metrics", {"auc": 0.9}, False)
    with pytest.raises(TaskFailedError, match='metric value "auc" must be a number, got str'):
        check("metrics", "system.Metrics", {"auc": "0.9"}, True)


def test_the_cache_knows_an_artifact_by_its_id(tmp_path):
    """Without ML Metadata its name is the same in every run."""

    def run(**settings):
        result = emulate_run(text(two_tasks()), EmulationSettings(tmp_path, release="without-mlmd", **settings))
        return {name: task.state for name, task in result.tasks.items()}

    assert run() == {"make": "succeeded", "use": "succeeded"}
    assert run() == {"make": "cached", "use": "cached"}
    assert run(parameters={"words": "other"}) == {"make": "succeeded", "use": "succeeded"}


def test_a_release_that_there_is_not():
    with pytest.raises(UsageError, match=r"--release '2\.18'"):
        find_release("2.18")
