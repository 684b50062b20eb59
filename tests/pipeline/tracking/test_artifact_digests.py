"""Artifacts sealed in a real ML Metadata store, then damaged."""

import os

import pytest
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from taxiway.pipeline.tracking import artifact_digests


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
    artifact_digests.record_digests(store, execution)
    return folder


def test_what_is_whole_stays(store, folder):
    assert artifact_digests.set_aside_damaged(store) == []
    assert folder.is_dir()


def test_a_touched_file_is_no_damage(store, folder):
    os.utime(folder / "b", (1, 1))
    assert artifact_digests.set_aside_damaged(store) == []


def test_same_size_and_time_but_other_content(store, folder):
    stat = (folder / "b").stat()
    (folder / "b").write_bytes(b"MORE")
    os.utime(folder / "b", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    [damage] = artifact_digests.set_aside_damaged(store)
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
    assert [d.what for d in artifact_digests.set_aside_damaged(store)] == [what]


@pytest.mark.parametrize(
    ("uri", "state", "damage"),
    [
        ("gone", mlmd.Artifact.LIVE, "gone"),
        ("gone", mlmd.Artifact.DELETED, ""),
        ("here", mlmd.Artifact.LIVE, ""),
        ("", mlmd.Artifact.LIVE, ""),
    ],
)
def test_of_an_artifact_without_a_digest_only_the_loss_is_seen(tmp_path, uri, state, damage):
    (tmp_path / "here").write_text("a file, as of TFX's String artifacts")
    artifact = mlmd.Artifact(uri=str(tmp_path / uri) if uri else "", state=state)
    assert artifact_digests.find_damage(artifact) == damage


def test_what_lies_in_an_object_store_is_not_looked_for():
    artifact = mlmd.Artifact(uri="minio://bucket/gone", state=mlmd.Artifact.LIVE)
    assert artifact_digests.find_damage(artifact) == ""


def test_damage_is_told_once_and_marked(store, folder):
    (folder / "b").unlink()
    assert len(artifact_digests.set_aside_damaged(store)) == 1
    assert artifact_digests.set_aside_damaged(store) == []
    [artifact] = store.get_artifacts()
    assert artifact.state == mlmd.Artifact.DELETED
    assert artifact.custom_properties[artifact_digests.DAMAGE_PROPERTY].string_value == "changed"
