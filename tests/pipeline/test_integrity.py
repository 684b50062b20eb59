"""Artifacts sealed in a real ML Metadata store, then damaged."""

import os

import pytest
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline import integrity


@pytest.fixture
def store(tmp_path):
    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = str(tmp_path / "metadata.db")
    return MetadataStore(config)


@pytest.fixture
def folder(store, tmp_path):
    """An artifact with two files, written by an execution and sealed."""
    folder = tmp_path / "artifact"
    (folder / "Split-train").mkdir(parents=True)
    (folder / "Split-train" / "data").write_bytes(b"rows")
    (folder / "b").write_bytes(b"more")
    artifact_type = store.put_artifact_type(mlmd.ArtifactType(name="Examples"))
    execution_type = store.put_execution_type(mlmd.ExecutionType(name="Gen"))
    [execution] = store.put_executions([mlmd.Execution(type_id=execution_type)])
    [artifact] = store.put_artifacts([mlmd.Artifact(type_id=artifact_type, uri=str(folder), state=mlmd.Artifact.LIVE)])
    store.put_events([mlmd.Event(artifact_id=artifact, execution_id=execution, type=mlmd.Event.OUTPUT)])
    integrity.seal(store, execution)
    return folder


def test_what_is_whole_stays(store, folder):
    assert integrity.set_aside_damaged(store) == []
    assert folder.is_dir()


def test_a_touched_file_is_no_damage(store, folder):
    os.utime(folder / "b", (1, 1))
    assert integrity.set_aside_damaged(store) == []


def test_same_size_and_time_but_other_content(store, folder):
    stat = (folder / "b").stat()
    (folder / "b").write_bytes(b"MORE")
    os.utime(folder / "b", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    [damage] = integrity.set_aside_damaged(store)
    assert damage.what == "changed"
    assert not folder.exists()
    assert folder.with_name("artifact.damaged-1").is_dir()


@pytest.mark.parametrize(("what", "remove"), [("gone", True), ("emptied", False)])
def test_files_that_are_gone(store, folder, what, remove):
    (folder / "b").unlink()
    (folder / "Split-train" / "data").unlink()
    if remove:
        (folder / "Split-train").rmdir()
        folder.rmdir()
    assert [d.what for d in integrity.set_aside_damaged(store)] == [what]


def test_damage_is_told_once_and_marked(store, folder):
    (folder / "b").unlink()
    assert len(integrity.set_aside_damaged(store)) == 1
    assert integrity.set_aside_damaged(store) == []
    [artifact] = store.get_artifacts()
    assert artifact.state == mlmd.Artifact.DELETED
    assert artifact.custom_properties[integrity.DAMAGE_PROPERTY].string_value == "changed"
