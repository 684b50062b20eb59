"""A candidate beside the live version: pushed, stepped, promoted, withdrawn; what servers read of it; its records."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from ml_metadata.proto import metadata_store_pb2 as pb
from pydantic import ValidationError
from tensorflow_serving.config import model_server_config_pb2

from taxiway.components.errors import ServingError
from taxiway.components.serving.config import RolloutConfig, ServingConfig
from taxiway.components.serving.versions import directory as directory_module
from taxiway.components.serving.versions import operations, push
from taxiway.components.serving.versions.action_log import Actor
from taxiway.components.serving.versions.candidates import changes
from taxiway.components.serving.versions.candidates.numbers import MOST_RANGES, add_numbers, choose_number
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.components.serving.versions.state import DirectoryState, read_state, write_state
from tests.components.serving.conftest import fake_model
from tests.components.serving.versions.test_operations import refuse_store, store_at

CANARY = ServingConfig(promotion="canary")
SHADOW = ServingConfig(promotion="shadow", versions_kept=2)


class Place:
    """A serving directory, and models that are pushed into it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, 1000.0
        self.base = folder / "taxi"
        self.directory = ServingDirectory(self.base, clock=lambda: self.now)

    def push(self, content: str, config: ServingConfig = CANARY, **more: Any) -> Any:
        self.now += 100
        folder = self.folder / f"model-{content}"
        model = folder if folder.exists() else fake_model(folder, content.encode())
        trial = push.make_trial(config)
        return self.directory.push(model, {"run_id": content}, trial=trial, **more)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.push("live")
    return made


def test_where_nothing_is_live_a_push_is_immediate(place: Place) -> None:
    live = place.directory.find_live()
    assert live and live.number == 1100 and live.candidate is None


def test_a_candidate_is_below_the_live_version_and_labelled(place: Place) -> None:
    result = place.push("new")
    assert (result.pushed, result.version, result.candidate) == (True, 1099, "canary")
    live, tried = place.directory.find_live(), place.directory.get_version(1099)
    assert live and live.number == 1100 and tried.labels == ("canary",)
    assert tried.candidate and (tried.candidate.share, tried.candidate.next_share) == (0.05, 0.25)
    assert tried.provenance["candidate_of"] == 1100
    again = place.push("new")
    assert (again.pushed, again.version, again.candidate) == (False, 1099, "canary")
    assert "the candidate already" in again.reason


def test_another_candidate_takes_its_place_and_an_immediate_push_ends_the_trial(place: Place) -> None:
    place.push("new")
    assert place.push("newer", SHADOW).version == 1098
    state = place.directory.load_state()
    assert state.labels == {"shadow": 1098} and state.candidate and state.candidate.share == 0.1
    assert place.push("newest", ServingConfig()).version == 1400
    assert place.directory.load_state().candidate is None and place.directory.load_state().labels == {}


def test_steps_promotion_and_their_records(place: Place, tmp_path: Path) -> None:
    store = store_at(tmp_path / "metadata.db")
    candidate = place.push("new")
    kind = store.put_artifact_type(pb.ArtifactType(name="PushedModel"))
    pushed = pb.Artifact(type_id=kind, uri="/pushed/1")
    pushed.custom_properties["pushed_destination"].string_value = str(candidate.path)
    (source,) = store.put_artifacts([pushed])
    place.now = 2000.0
    changed, unfinished = operations.set_share(place.directory, "taxi", 0.25, Actor(reason="looks well"))
    assert (changed.share, unfinished) == (0.25, ())
    made = operations.promote_candidate(place.directory, "taxi", lambda: store, Actor(reason="all well"))
    live = place.directory.find_live()
    assert live and (made.result.version, live.number) == (2000, 2000)
    assert (live.provenance["promoted_from"], live.provenance["run_id"]) == (1099, "new")
    assert "candidate_of" not in live.provenance and place.directory.load_state().labels == {}
    (execution,) = store.get_executions_by_id([made.execution])
    assert execution.type == "taxiway.Promotion" and execution.custom_properties["reason"].string_value == "all well"
    steps = json.loads(execution.custom_properties["steps"].string_value)
    assert [(step["share"], step["reason"]) for step in steps] == [(0.05, "pushed"), (0.25, "looks well")]
    assert steps[1]["user"] == execution.custom_properties["user"].string_value != ""
    events = {event.type: event.artifact_id for event in store.get_events_by_execution_ids([made.execution])}
    assert events[pb.Event.INPUT] == source


def test_a_withdrawn_candidate_is_not_pushed_again_and_the_live_version_stays(place: Place, tmp_path: Path) -> None:
    place.push("new")
    store = store_at(tmp_path / "metadata.db")
    made = operations.withdraw_candidate(place.directory, "taxi", lambda: store, Actor(reason="slower"))
    assert made.result.version == 1100 and "version 1099, is taken back" in made.result.reason
    (execution,) = store.get_executions_by_id([made.execution])
    assert execution.type == "taxiway.Rollback" and execution.custom_properties["rollback_of"].int_value == 1099
    again = place.push("new")
    assert not again.pushed and "took this model back (version 1099: slower)" in again.reason
    assert place.push("new", force=True).candidate == "canary"


def test_a_rollback_passes_over_versions_that_were_never_live(place: Place) -> None:
    place.push("second", ServingConfig())
    place.push("new")
    result = place.directory.rollback()
    live = place.directory.find_live()
    assert live and result.provenance["bytes_of"] == 1100 and live.provenance["run_id"] == "live"
    assert place.directory.load_state().candidate, "the trial goes on"


def test_retention_keeps_the_candidate_and_counts_only_what_was_live(place: Place) -> None:
    for number in range(3):
        place.push(f"tried {number}", SHADOW)
    place.push("second", ServingConfig())
    place.push("new", SHADOW)
    place.directory.retain_newest(2)
    assert [version.number for version in place.directory.list_versions()] == [1100, 1499, 1500]


def test_no_number_is_given_twice_also_where_its_version_is_gone(place: Place) -> None:
    """Verdicts, the request log and a server's figures name a version by its number, and outlive it."""
    given = [place.directory.find_live().number]
    for content in ("a", "b", "c"):
        given.append(place.push(content).version)
        changes.withdraw_candidate(place.directory)
        place.directory.retain_newest(1)
    assert given == [1100, 1099, 1098, 1097]
    for content in ("next", "the one after it"):  # in the second of the live version: its number plus one
        place.now = 1000.0
        given.append(place.push(content, ServingConfig()).version)
        place.directory.retain_newest(1)
    place.now = 1000.0
    given.append(place.push("d").version)
    assert given[4:] == [1101, 1102, 1096]
    place.now = 5000.0
    place.push("much later", ServingConfig())
    assert place.push("e").version == 5099
    state = json.loads((place.base / ".taxiway/state.json").read_text())
    assert state["numbers"] == [[1096, 1102], [5099, 5100]]


def test_a_directory_from_before_numbers_were_noted_gives_none_of_those_that_are_there(place: Place) -> None:
    place.push("a")
    file = place.base / ".taxiway/state.json"
    stored = json.loads(file.read_text())
    del stored["numbers"]
    file.write_text(json.dumps(stored))
    assert place.push("b").version == 1098
    place.directory.retain_newest(1)
    assert place.push("c").version == 1097


def test_the_ranges_of_numbers_stay_few() -> None:
    ranges = add_numbers((), range(10, 10 + 4 * MOST_RANGES, 2))
    assert len(ranges) == MOST_RANGES
    top = 8 + 4 * MOST_RANGES
    assert ranges[0] == (10, 10 + 2 * MOST_RANGES) and ranges[-1] == (top, top)
    assert choose_number(top, (), ranges) == top - 1
    assert choose_number(ranges[0][1] + 1, (), ranges) == 9
    assert add_numbers(ranges, range(10, top)) == ((10, top),)


def test_what_is_killed_between_the_two_writes_is_mended(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(path: Path, state: DirectoryState) -> None:
        before = read_state(path)
        if (state.candidate, state.labels) != (before.candidate, before.labels):
            raise KeyboardInterrupt
        write_state(path, state)

    monkeypatch.setattr(directory_module, "write_state", die)
    with pytest.raises(KeyboardInterrupt):
        place.push("new")
    monkeypatch.undo()
    assert place.directory.get_version(1099).provenance["run_id"] == "new"
    assert place.directory.load_state().candidate is None and place.directory.find_live().number == 1100
    assert place.push("new").version == 1098
    monkeypatch.setattr(directory_module, "write_state", die)
    with pytest.raises(KeyboardInterrupt):
        changes.promote_candidate(place.directory)
    monkeypatch.undo()
    live = place.directory.find_live()
    assert live.provenance["promoted_from"] == 1098
    result = changes.promote_candidate(place.directory)
    assert (result.pushed, result.version) == (False, live.number)
    assert place.directory.load_state().candidate is None


def test_the_servers_files_name_label_and_share(place: Place, tmp_path: Path) -> None:
    model = fake_model(tmp_path / "new", b"new")
    push.push_model(model, place.base, "taxi", {}, CANARY)
    operations.set_share(place.directory, "taxi", 0.5)
    config = text_format.Parse(
        (place.base / "server/models.config").read_text(), model_server_config_pb2.ModelServerConfig()
    ).model_config_list.config[0]
    assert list(config.model_version_policy.specific.versions) == [1099, 1100]
    assert dict(config.version_labels) == {"canary": 1099}
    told = json.loads((place.base / "server/rollout.json").read_text())
    assert told == {"policy": "canary", "label": "canary", "version": 1099, "share": 0.5}
    operations.withdraw_candidate(place.directory, "taxi", refuse_store)
    assert json.loads((place.base / "server/rollout.json").read_text()) == {}


def read_served(place: Place) -> list[int]:
    """The versions that the server's file names one by one."""
    config = text_format.Parse(
        (place.base / "server/models.config").read_text(), model_server_config_pb2.ModelServerConfig()
    )
    return list(config.model_config_list.config[0].model_version_policy.specific.versions)


def test_after_a_promotion_the_servers_files_name_no_version_that_is_gone(place: Place, tmp_path: Path) -> None:
    config = ServingConfig(promotion="canary", versions_kept=3, versions_served=3)
    for name in ("second", "third"):
        place.now += 100
        place.directory.push(fake_model(tmp_path / name, name.encode()), {})
        place.directory.promote(int(place.now), "stable")  # with a label the versions are named one by one
    push.push_model(fake_model(tmp_path / "new", b"new"), place.base, "taxi", {}, config)
    made = operations.promote_candidate(place.directory, "taxi", lambda: None)
    there = [version.number for version in place.directory.list_versions()]
    assert made.unfinished == () and made.result.version in there and 1299 not in there
    assert set(read_served(place)) <= set(there) and made.result.version in read_served(place)


def test_what_fails_after_a_step_is_listed_and_the_step_stands(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no room")

    place.push("new")
    monkeypatch.setattr(operations.server_files, "refresh_files", fail)
    changed, unfinished = operations.set_share(place.directory, "taxi", 0.5)
    assert changed.share == 0.5 == place.directory.load_state().candidate.share  # type: ignore[union-attr]
    assert len(unfinished) == 1 and "not rewritten" in unfinished[0] and "no room" in unfinished[0]


def test_without_a_candidate_there_is_nothing_to_do(place: Place) -> None:
    for change in (changes.promote_candidate, changes.withdraw_candidate, partial(changes.set_share, share=0.5)):
        with pytest.raises(ServingError, match="has no candidate"):
            change(place.directory)
    place.push("new")
    with pytest.raises(ServingError, match="25 is no share"):
        changes.set_share(place.directory, 25)
    with pytest.raises(ServingError, match="No number below"):
        choose_number(1, {})


@pytest.mark.parametrize("numbers", [[1], [[1, 2, 3]], [["a", "b"]], 3])
def test_damaged_numbers_are_named(place: Place, numbers: object) -> None:
    file = place.base / ".taxiway/state.json"
    file.write_text(json.dumps({"version": 1, "labels": {}, "quarantined": {}, "numbers": numbers}))
    with pytest.raises(ServingError, match="is damaged"):
        place.directory.load_state()


DAMAGED = ('{"version": 1099}', '{"policy": "blue", "steps": [{"share": 1, "time": 0}]}', "[1]")


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_candidate_is_named(place: Place, content: str) -> None:
    place.push("new")
    file = place.base / ".taxiway/state.json"
    file.write_text(json.dumps({"version": 1, "labels": {}, "quarantined": {}, "candidate": json.loads(content)}))
    with pytest.raises(ServingError, match="is damaged"):
        place.directory.load_state()


@pytest.mark.parametrize("shares", [[], [0.5, 0.25], [0.0, 1.0], [0.5, 1.5], [0.1, 0.1]])
def test_shares_go_up(shares: list[float]) -> None:
    with pytest.raises(ValidationError, match="are no shares"):
        RolloutConfig(canary_shares=shares)
