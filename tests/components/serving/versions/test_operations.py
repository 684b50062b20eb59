"""Rollback in ML Metadata, and verify on a directory anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb

from taxiway.components.errors import ServingError, StoreError
from taxiway.components.serving.safety import load_check
from taxiway.components.serving.versions import operations
from taxiway.components.serving.versions.action_log import ActionLog, Actor, get_user_name, read_action_log
from taxiway.components.serving.versions.directory import ServingDirectory, Trial
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

    made = operations.rollback_version(directory, "taxi", lambda: store, reason="too many errors")

    (execution,) = store.get_executions_by_id([made.execution])
    assert execution.type == "taxiway.Rollback" and execution.last_known_state == pb.Execution.COMPLETE
    assert execution.custom_properties["rollback_of"].int_value == 11
    assert execution.custom_properties["bytes_of"].int_value == 10
    assert execution.custom_properties["reason"].string_value == "too many errors"
    events = {event.type: event.artifact_id for event in store.get_events_by_execution_ids([made.execution])}
    assert events[pb.Event.INPUT] == source
    (output,) = store.get_artifacts_by_id([events[pb.Event.OUTPUT]])
    assert output.type == "PushedModel" and output.custom_properties["pushed_version"].string_value == "12"


def refuse_store() -> None:
    raise StoreError("metadata.db is damaged.")


def test_a_store_that_cannot_be_opened_is_said_and_the_rollback_stands(tmp_path: Path) -> None:
    directory = ServingDirectory(tmp_path / "taxi", clock=lambda: 10.0)
    for name in ("a", "b"):
        directory.push(fake_model(tmp_path / name, name.encode()), {})
    made = operations.rollback_version(directory, "taxi", refuse_store)
    assert made.execution is None and "The rollback stands" in made.not_recorded
    assert "metadata.db is damaged" in made.not_recorded
    assert directory.find_live().number == made.result.version == 12


def test_verify_compares_bytes_and_program(tmp_path: Path, taxi_model: Path) -> None:
    found = load_check.verify_model(taxi_model)
    assert found.ok and not found.has_manifest
    pushed = ServingDirectory(tmp_path / "taxi").push(taxi_model, {})
    found = load_check.verify_model(pushed.path)
    assert found.ok and found.has_manifest and found.digest == pushed.digest
    (pushed.path / "assets.extra" / "surprise").write_text("x")
    (pushed.path / "variables" / "variables.index").write_bytes(b"x")
    found = load_check.verify_model(pushed.path)
    assert found.problems == [
        "assets.extra/surprise is not in the manifest",
        "variables/variables.index has other bytes than the manifest says",
    ]
    with pytest.raises(ServingError, match=r"no saved_model\.pb"):
        load_check.verify_model(tmp_path)


def test_every_action_is_kept_with_who_and_why(tmp_path: Path) -> None:
    directory = ServingDirectory(tmp_path / "taxi", clock=lambda: 10.0)
    for name in ("a", "b"):
        directory.push(fake_model(tmp_path / name, name.encode()), {})
    operations.promote_version(directory, "taxi", 10, "stable", Actor("ada", "a week without alarms", "ui"))
    operations.rollback_version(directory, "taxi", lambda: None, reason="too many errors")
    with open(tmp_path / "taxi/.taxiway/actions.jsonl", "a") as file:
        file.write('{"time": "torn\n')
    with pytest.raises(ServingError, match="Meanwhile version 10 has the label"):
        operations.demote_label(directory, "taxi", "stable", seen_version=11)
    assert operations.demote_label(directory, "taxi", "stable", Actor(user="bob"), seen_version=10) == (10, ())
    demoted, rolled, promoted = read_action_log(directory.base).actions
    assert (promoted.kind, promoted.version, promoted.label, promoted.before) == ("promote", 10, "stable", None)
    assert (promoted.user, promoted.reason, promoted.through) == ("ada", "a week without alarms", "ui")
    assert (rolled.kind, rolled.version, rolled.before, rolled.reason) == ("rollback", 12, 11, "too many errors")
    assert (rolled.user, rolled.through) == (get_user_name(), "command line")
    assert (demoted.kind, demoted.version, demoted.user) == ("demote", 10, "bob")


def test_a_line_of_the_log_that_is_no_action_is_counted(tmp_path: Path) -> None:
    directory = ServingDirectory(tmp_path / "taxi", clock=lambda: 10.0)
    directory.push(fake_model(tmp_path / "a", b"a"), {})
    assert read_action_log(directory.base) == ActionLog()
    operations.promote_version(directory, "taxi", 10, "stable")
    log = tmp_path / "taxi/.taxiway/actions.jsonl"
    action = json.loads(log.read_text())
    changes = ({"time": None}, {"time": 5}, {"version": "10"}, {"version": True}, {"before": 1.5}, {"user": None},
               {"reason": []}, {"label": {}}, {"kind": "delete"}, {"through": 0}, {"more": 1})  # fmt: skip
    lines = ["5", "null", "[]", '"text"', "[" * 10_000, "\x00", *(json.dumps(action | change) for change in changes)]
    log.write_text(log.read_text() + "\n" + "\n".join(lines) + "\n")
    read = read_action_log(directory.base)
    assert [each.label for each in read.actions] == ["stable"] and read.damaged_lines == len(lines)


def test_the_candidates_label_is_neither_taken_away_nor_given_to_another_version(tmp_path: Path) -> None:
    """Without it retention would remove the candidate, and a server would not load it."""
    directory = ServingDirectory(tmp_path / "taxi", clock=lambda: 10.0)
    directory.push(fake_model(tmp_path / "a", b"a"), {})
    directory.push(fake_model(tmp_path / "b", b"b"), {}, trial=Trial("canary", (0.5,)))
    labels = directory.load_state().labels
    with pytest.raises(ServingError, match="names the candidate, version 9"):
        operations.demote_label(directory, "taxi", "canary")
    with pytest.raises(ServingError, match="names the candidate, version 9"):
        operations.promote_version(directory, "taxi", 10, "canary")
    assert directory.load_state().labels == labels == {"canary": 9}


def test_an_action_that_is_refused_leaves_no_record(tmp_path: Path) -> None:
    directory = ServingDirectory(tmp_path / "taxi", clock=lambda: 10.0)
    directory.push(fake_model(tmp_path / "a", b"a"), {})
    with pytest.raises(ServingError):
        operations.promote_version(directory, "taxi", 99, "stable")
    with pytest.raises(ServingError):
        operations.rollback_version(directory, "taxi", lambda: None)
    assert read_action_log(directory.base).actions == ()
