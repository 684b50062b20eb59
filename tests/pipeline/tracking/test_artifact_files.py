"""Artifacts of a run on a cluster are read through the object store, by whatever reads artifacts."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from taxiway.components.errors import StoreError
from taxiway.components.files.object_stores import ObjectFolder
from taxiway.components.gates.verdict import GateFinding, VerdictRecord
from taxiway.pipeline.console.run_tables import print_unread
from taxiway.pipeline.report.run_data import RunData
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking import artifact_files, history
from taxiway.pipeline.tracking.artifact_files import find_file, find_folder
from taxiway.pipeline.tracking.store.execution_record import ArtifactRecord, ExecutionRecord, write_record

FINDING = GateFinding(rule="rows", explanation="too few rows")
VERDICT = VerdictRecord(gate="DataGate", findings=(FINDING,), numbers={"n": 3})


@pytest.fixture
def store(s3, tmp_path) -> ObjectFolder:
    artifact_files.forget_downloads()
    return ObjectFolder(f"minio://{s3.bucket}/{tmp_path.name}/DataGate/salt/verdict")


@pytest.fixture
def root(store, tmp_path) -> Root:
    """As a cluster's volume is mounted here: records, and no file of an artifact."""
    store.put_object("verdict.json", VERDICT.model_dump_json().encode())
    verdict = ArtifactRecord(uri=store.url, type="taxiway.Verdict", properties={"passed": 0.0})
    times = {"state": "complete", "started": 100.0, "finished": 101.0}
    made_by = {"run_id": "r1", "pipeline": "taxi", "node": "DataGate", "executor": "x"}
    write_record(tmp_path / "root", ExecutionRecord(outputs={"verdict": (verdict,)}, **made_by, **times))
    return Root.at(tmp_path / "root")


def test_a_local_artifact_is_where_it_is(tmp_path):
    assert find_folder(str(tmp_path / "a")) == tmp_path / "a"
    assert find_file("/a/b", "c.json") == Path("/a/b/c.json")


def test_a_runs_results_are_those_of_the_store(root):
    run = history.find_run(root, "r1")
    [gate] = run.gates
    assert (gate.reason, gate.numbers["n"], run.unread) == ("too few rows", 3, "")
    assert run.state == "blocked" and run.reason == "DataGate: too few rows"
    folder = RunData.open_run(root, "r1").find_folder("DataGate", "verdict")
    assert VerdictRecord.read_verdict(folder) == VERDICT


def test_a_store_where_nobody_answers_costs_the_results_and_not_the_list(root, monkeypatch, capsys):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    [run] = history.list_runs(root)
    assert run.state == "blocked" and run.gates[0].numbers == {}
    assert "cannot be reached" in run.unread and "AWS_ENDPOINT_URL_S3" in run.unread
    print_unread([run])
    said = capsys.readouterr().err
    assert said.startswith("Results of r1 were not read") and "\\n" not in said and "list-type" not in said


def test_a_copy_is_made_once_and_again_when_the_object_changes(store, monkeypatch):
    store.put_object("report.json", b"1")
    assert find_file(store.url, "report.json").read_bytes() == b"1"
    store.put_object("report.json", b"2")
    artifact_files.forget_downloads()
    assert find_file(store.url, "report.json").read_bytes() == b"2"
    downloads = []
    monkeypatch.setattr(artifact_files, "_download_object", lambda *call: downloads.append(call))
    artifact_files.forget_downloads()
    find_file(store.url, "report.json")
    assert downloads == []


def test_a_store_that_did_not_answer_is_asked_once_and_again_later(store, s3, monkeypatch):
    store.put_object("report.json", b"1")
    asked = []
    monkeypatch.setattr(artifact_files, "ObjectFolder", lambda uri: asked.append(uri) or ObjectFolder(uri))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    for name in ("report.json", "report.json", "push.json"):
        with pytest.raises(StoreError, match="cannot be reached"):
            find_file(store.url, name)
    assert len(asked) == 1
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.url)
    later = time.monotonic() + artifact_files.ASK_AGAIN_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert find_file(store.url, "report.json").read_bytes() == b"1"


def test_files_that_were_removed_in_the_store_are_removed_here(store):
    store.put_object("metrics-0", b"1")
    store.put_object("metrics-1", b"2")
    folder = find_folder(store.url, ("metrics*",))
    store.remove_object("metrics-1")
    artifact_files.forget_downloads()
    assert find_folder(store.url, ("metrics*",)) == folder
    assert sorted(file.name for file in folder.glob("metrics*")) == ["metrics-0"]


def test_an_old_artifact_is_not_asked_for_again(store, monkeypatch):
    store.put_object("report.json", b"1")
    later = time.time() + 2 * artifact_files.SETTLED_SECONDS
    monkeypatch.setattr(time, "time", lambda: later)
    file = find_file(store.url, "report.json")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setattr(artifact_files, "ObjectFolder", None)
    artifact_files.forget_downloads()
    assert find_file(store.url, "report.json") == file


def test_only_what_is_wanted_is_downloaded_and_no_more_than_the_limit(store, monkeypatch):
    monkeypatch.setenv("TAXIWAY_DOWNLOAD_MIB", "1")
    store.put_object("report.json", b"{}")
    store.put_object("model/large", b"x" * (2 << 20))
    names = {file.name for file in find_folder(store.url, ("*.json",)).rglob("*")}
    assert names == {"report.json", ".objects.json"}
    with pytest.raises(StoreError, match="has 2 MiB; at most 1 are downloaded") as raised:
        find_folder(store.url)
    assert "TAXIWAY_DOWNLOAD_MIB" in raised.value.remedy
    monkeypatch.setenv("TAXIWAY_DOWNLOAD_MIB", "much")
    artifact_files.forget_downloads()
    with pytest.raises(StoreError, match="TAXIWAY_DOWNLOAD_MIB is 'much'"):
        find_folder(store.url)


def test_the_cache_is_bounded(store, monkeypatch):
    monkeypatch.setattr(artifact_files, "CACHE_BYTES", 1000)
    folders = []
    for name in ("first", "second", "third"):
        artifact = ObjectFolder(f"{store.url}/{name}")
        artifact.put_object("x", b"x" * 600)
        folders.append(find_folder(artifact.url))
    assert [folder.exists() for folder in folders] == [False, True, True]


def test_an_artifact_that_is_gone_says_so(store):
    with pytest.raises(StoreError, match="holds nothing"):
        find_folder(f"{store.url}/gone")
    with pytest.raises(StoreError, match="There is no"):
        find_folder("minio://no-such-bucket-here/x")


@pytest.mark.parametrize("name", ["../../escape", "a/../../b", "a//b"])
def test_names_that_lead_out_of_the_copy_are_refused(store, monkeypatch, name):
    monkeypatch.setattr(ObjectFolder, "list_objects", lambda self: {name: artifact_files.StoredObject(1, "v", 1.0)})
    with pytest.raises(StoreError, match="which is no file name"):
        find_folder(store.url)
