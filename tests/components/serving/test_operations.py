"""Rollback in ML Metadata, and verify on a directory anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb

from components.errors import ServingError
from components.serving import operations
from components.serving.directory import ServingDirectory
from tests.components.serving.conftest import fake_model


def store_at(path: Path) -> metadata_store.MetadataStore:
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = str(path)
    config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    return metadata_store.MetadataStore(config)


def test_a_rollback_is_an_execution_in_ml_metadata(tmp_path: Path) -> None:
    directory = ServingDirectory(tmp_path / "taxi", clock=lambda: 10.0)
    first = directory.push(fake_model(tmp_path / "a", b"a"), {"run_id": "1"})
    directory.push(fake_model(tmp_path / "b", b"b"), {"run_id": "2"})
    store = store_at(tmp_path / "metadata.db")
    kind = store.put_artifact_type(pb.ArtifactType(name="PushedModel"))  # as TFX's pusher registers it
    pushed = pb.Artifact(type_id=kind, uri="/pushed/1")
    pushed.custom_properties["pushed_destination"].string_value = str(first.path)
    (source,) = store.put_artifacts([pushed])

    made = operations.rollback(directory, "taxi", tmp_path / "metadata.db", reason="too many errors")

    (execution,) = store.get_executions_by_id([made.execution])
    assert execution.type == "taxiway.Rollback" and execution.last_known_state == pb.Execution.COMPLETE
    assert execution.custom_properties["rollback_of"].int_value == 11
    assert execution.custom_properties["bytes_of"].int_value == 10
    assert execution.custom_properties["reason"].string_value == "too many errors"
    events = {event.type: event.artifact_id for event in store.get_events_by_execution_ids([made.execution])}
    assert events[pb.Event.INPUT] == source
    (output,) = store.get_artifacts_by_id([events[pb.Event.OUTPUT]])
    assert output.type == "PushedModel" and output.custom_properties["pushed_version"].string_value == "12"


def test_a_store_that_is_none_is_said_and_the_rollback_stands(tmp_path: Path) -> None:
    directory = ServingDirectory(tmp_path / "taxi", clock=lambda: 10.0)
    for name in ("a", "b"):
        directory.push(fake_model(tmp_path / name, name.encode()), {})
    (tmp_path / "metadata.db").write_bytes(b"no database at all" * 100)
    made = operations.rollback(directory, "taxi", tmp_path / "metadata.db")
    assert made.execution is None and "The rollback stands" in made.not_recorded
    assert directory.live().number == made.result.version == 12


def test_verify_compares_bytes_and_program(tmp_path: Path, taxi_model: Path) -> None:
    found = operations.verify(taxi_model)
    assert found.ok and not found.has_manifest
    pushed = ServingDirectory(tmp_path / "taxi").push(taxi_model, {})
    found = operations.verify(pushed.path)
    assert found.ok and found.has_manifest and found.digest == pushed.digest
    (pushed.path / "assets.extra" / "surprise").write_text("x")
    (pushed.path / "variables" / "variables.index").write_bytes(b"x")
    found = operations.verify(pushed.path)
    assert found.problems == [
        "assets.extra/surprise is not in the manifest",
        "variables/variables.index has other bytes than the manifest says",
    ]
    with pytest.raises(ServingError, match=r"no saved_model\.pb"):
        operations.verify(tmp_path)
