"""From a real server's log to a verdict in ML Metadata, and from TensorFlow Serving's records to what is wrong."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from taxiway.components.errors import ConfigError, DataError, ServingError, UsageError
from taxiway.components.monitoring.window import RequestWindow
from taxiway.components.saved_models.signature_inputs import SignatureInput
from taxiway.components.saved_models.training_reference import read_reference
from taxiway.components.serving.config import RequestLogConfig, ServingConfig
from taxiway.components.serving.request_log import logged_requests
from taxiway.components.serving.request_log.logged_mask import LoggedMask, write_mask
from taxiway.components.serving.versions import server_files
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.components.tables.reading_rules import ReadingRules
from taxiway.pipeline.cli import run
from taxiway.pipeline.lineage.query import open_lineage
from taxiway.pipeline.lineage.why import explain_version
from taxiway.pipeline.monitoring.masks import DROPPED, HASHED, find_masked_columns
from taxiway.pipeline.monitoring.monitor import MonitorRequest, MonitorResult, monitor_version
from taxiway.pipeline.monitoring.sources import LEFT_OUT, list_time_columns
from taxiway.pipeline.monitoring.telling import tell_verdict
from taxiway.pipeline.monitoring.verdicts import read_latest_verdict
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking.store.metadata_store import RunStore
from tests.components.serving import models
from tests.pipeline.monitoring.served import Row, Served, make_log, make_rows, write_log, write_records

MOMENT = 1_700_000_000
CLASSES_OF_TEN = 10


def monitor(served: Served, *logs: Path, **changes: Any) -> MonitorResult:
    """Judges a window around `MOMENT` of some logs."""
    return monitor_version(MonitorRequest(served.root, logs=logs, hours=1, until=MOMENT + 60, **changes))


def list_wrong(result: MonitorResult) -> set[tuple[str, str]]:
    return {(finding.kind, finding.column) for finding in result.verdict.findings if finding.blocking}


def test_a_real_servers_log_is_right_and_lineage_tells(served: Served) -> None:
    result = monitor_version(MonitorRequest(served.root, hours=1, until=time.time() + 5))
    verdict = result.verdict
    assert (verdict.status, verdict.rows, verdict.requests) == ("right", 900, 18)
    assert list_wrong(result) == set()
    assert verdict.not_judged == {"seats": DROPPED}
    assert set(verdict.numbers["columns"]) == {"Fare (USD)", "company", "probability of 1"}
    assert verdict.numbers["reference"] == "carried by the version"
    assert verdict.numbers["sources"] == {
        "files": 1, "older_files": 0, "records": {"taken": 18}, "others": {}, "unreadable_files": 0,
        "sampling_rates": [1.0], "one_of": 1,
    }  # fmt: skip
    assert read_latest_verdict(served.root, served.version) == verdict
    store = RunStore.open_root(served.root)._store
    (artifact,) = [a for a in store.get_artifacts_by_type("taxiway.ServingVerdict") if a.uri == str(result.folder)]
    assert artifact.custom_properties["status"].string_value == "right"
    events = store.get_events_by_execution_ids([result.execution])
    types = {store.get_artifacts_by_id([event.artifact_id])[0].type for event in events}
    assert types == {"PushedModel", "taxiway.ServingVerdict"} and result.not_recorded == ""
    why = explain_version(open_lineage(served.root.path, str(served.version)), served.root)
    assert "is right: 900 rows are as in training." in why.paragraph
    assert why.numbers["Monitor status"] == "right"


def test_the_command_ends_with_the_verdicts_code(
    served: Served, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = write_log(tmp_path / "log" / "part.gz", make_rows(400, 5), served.version, MOMENT)
    gauges = tmp_path / "taxiway.prom"
    words = ["monitor", "--root", str(served.root.path), "--log", str(log), "--until", "2023-11-14T22:14:20+00:00"]
    assert run([*words, "--metrics-file", str(gauges)]) == 0
    assert "right" in capfd.readouterr().out
    assert f'taxiway_monitor_status{{model="taxi",version="{served.version}"}} 0.0' in gauges.read_text()
    assert run([*words, "--set", "min_rows=500", "--json"]) == 5
    answer = json.loads(capfd.readouterr().out)
    assert (answer["status"], answer["rows"], answer["fewest_rows"]) == ("too_few_rows", 400, 500)
    assert answer["reason"] == "400 rows were logged in the window, at least 500 are wanted: not judged"
    bad = [dict(row, company="Purple") for row in make_rows(400, 6)]
    wrong = write_log(tmp_path / "wrong.tfrecord", bad, served.version, MOMENT)
    assert run([*words[:4], str(wrong), *words[5:]]) == 3
    out = capfd.readouterr().out
    assert "new_values" not in out and "were never seen in training" in out and "page.html" in out


def turn_null(rows: list[Row]) -> None:
    for row in rows:
        row.pop("company", None)


def change_unit(rows: list[Row]) -> None:
    for row in rows:
        row["Fare (USD)"] *= 100


def shift_mix(rows: list[Row]) -> None:
    for row in rows[::2]:
        row["company"] = "Blue"


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (turn_null, ("missing_column", "company")),
        (change_unit, ("out_of_range", "Fare (USD)")),
        (shift_mix, ("skew", "company")),
    ],
)
def test_injected_faults_are_found_in_tensorflow_servings_records(
    served: Served, tmp_path: Path, fault: Callable[[list[Row]], None], found: tuple[str, str]
) -> None:
    rows = make_rows(400, 7)
    fault(rows)
    result = monitor(served, write_log(tmp_path / "log", rows, served.version, MOMENT))
    assert result.verdict.status == "wrong" and found in list_wrong(result)
    assert result.verdict.not_judged == {}  # the request log's setting is of the embedded server: this log has them all


def write_labels(file: Path, rows: list[Row], labels: list[int]) -> Path:
    lines = [f"{row['trip_id']},{label}" for row, label in zip(rows, labels, strict=True)]
    file.write_text("\n".join(["trip_id,tip", *lines]) + "\n", encoding="utf-8")
    return file


def test_labels_that_come_later_give_live_metrics(served: Served, tmp_path: Path) -> None:
    rows = make_rows(1500, 8)
    log = write_log(tmp_path / "log", rows, served.version, MOMENT)
    labels = write_labels(tmp_path / "labels.csv", rows[:1200], [row["tip"] for row in rows[:1200]])
    result = monitor(served, log, labels=labels, id_columns=("trip_id",))
    assert result.verdict.status == "right", result.verdict.findings
    assert result.verdict.numbers["labels"] == {
        "labels": 1200, "rows": 1500, "asked again": 0, "rows without key": 0, "contradicted": 0, "not logged": 0,
        "joined": 1200,
    }  # fmt: skip
    assert result.verdict.notes == ()
    live = {metric.metric: metric for metric in result.verdict.performance}
    assert next(iter(live)) == "auc" and {"log_loss", "brier", "ece"} <= set(live)
    low, high = live["auc"].interval or (1, 0)
    assert low < live["auc"].live < high and live["auc"].rows == 1200 and not live["auc"].is_worse
    assert live["auc"].promised == 0.72


def test_a_label_shift_and_a_worse_model_are_found(served: Served, tmp_path: Path) -> None:
    rows = make_rows(1500, 9)
    log = write_log(tmp_path / "log", rows, served.version, MOMENT)
    shifted = [1 if number % 2 else row["tip"] for number, row in enumerate(rows)]
    labels = write_labels(tmp_path / "shifted.csv", rows, shifted)
    result = monitor(served, log, labels=labels, id_columns=("trip_id",))
    assert {("label_shift", "1"), ("calibration", "1")} <= list_wrong(result)
    reversed_ = write_labels(tmp_path / "reversed.csv", rows, [1 - row["tip"] for row in rows])
    result = monitor(served, log, labels=reversed_, id_columns=("trip_id",))
    assert ("metric", "auc") in list_wrong(result)
    assert result.verdict.performance[0].is_worse


def test_keys_of_several_rows_join_none(served: Served, tmp_path: Path) -> None:
    rows = make_rows(600, 10)
    for row in rows[:50]:
        row["trip_id"] = 5
    log = write_log(tmp_path / "log", rows, served.version, MOMENT)
    rows[60]["tip"] = 1
    extra = [{**rows[60], "tip": 0}, {**rows[70], "trip_id": 99}, rows[80]]
    labels = write_labels(tmp_path / "labels.csv", rows[50:] + extra, [row["tip"] for row in rows[50:] + extra])
    result = monitor(served, log, labels=labels, id_columns=("trip_id",))
    counts = result.verdict.numbers["labels"]
    assert counts == {
        "labels": 553, "rows": 600, "asked again": 50, "rows without key": 0, "repeated": 1, "contradicted": 1,
        "not logged": 1, "joined": 549,
    }  # fmt: skip
    assert result.verdict.notes == (
        "1 ids of the file have different labels (10060: 1 and 0): none of their rows is joined",
    )


def test_records_of_others_are_counted_and_left_out(served: Served, tmp_path: Path) -> None:
    rows = make_rows(250, 11)
    wanted = [make_log(row, served.version, MOMENT).SerializeToString() for row in rows]
    other_model = make_log(rows[0], served.version, MOMENT)
    for spec in (other_model.log_metadata.model_spec, other_model.predict_log.response.model_spec):
        spec.name = "flights"
    classify = prediction_log_pb2.PredictionLog()
    classify.classify_log.request.model_spec.name = "taxi"
    nameless = make_log(rows[0], served.version, MOMENT)
    nameless.predict_log.response.model_spec.ClearField("version")
    bomb = make_log(rows[0], served.version, MOMENT)
    bomb.predict_log.request.inputs["examples"].tensor_shape.dim[0].size = 10**9
    uneven = make_log(rows[0], served.version, MOMENT)
    del uneven.predict_log.request.inputs["examples"]
    for name, count in (("fare_usd", 2), ("seats", 3)):
        uneven.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto([1.0] * count))
    odd = [
        bomb,
        uneven,
        make_log(rows[0], served.version, MOMENT - 7200),
        make_log(rows[0], 12, MOMENT),
        other_model,
        classify,
        nameless,
    ]
    file = write_records(tmp_path / "log", [*wanted, *(log.SerializeToString() for log in odd), b"\xff\xff\xff"])
    whole = file.read_bytes()
    (tmp_path / "torn").write_bytes(whole[: len(whole) // 2])
    verdict = monitor(served, file).verdict
    assert verdict.rows == 250
    assert verdict.numbers["sources"]["records"] == {
        "taken": 250, "other time": 1, "other version": 1, "other model": 1, "no Predict request": 1, "no version": 1,
        "damaged": 3,
    }  # fmt: skip
    assert 0 < monitor(served, tmp_path / "torn").verdict.rows < 250


def test_drift_is_from_the_newest_right_window_before(served: Served, tmp_path: Path) -> None:
    later = MOMENT + 86_400
    first = write_log(tmp_path / "first", make_rows(500, 12), served.version, MOMENT + 7200)
    rows = make_rows(500, 13)
    shift_mix(rows)
    second = write_log(tmp_path / "second", rows, served.version, later)
    before = monitor_version(MonitorRequest(served.root, logs=(first,), hours=1, until=MOMENT + 7260))
    after = monitor_version(MonitorRequest(served.root, logs=(second,), hours=1, until=later + 60))
    assert after.verdict.numbers["before"] == before.verdict.verdict_id
    assert ("drift", "company") in list_wrong(after)
    third = write_log(tmp_path / "third", make_rows(500, 16), served.version, later + 7200)
    mended = monitor_version(MonitorRequest(served.root, logs=(third,), hours=1, until=later + 7260))
    assert mended.verdict.status == "right"  # of the wrong window it would differ
    assert mended.verdict.numbers["before"] == before.verdict.verdict_id


def test_a_version_from_before_is_judged_by_the_roots_statistics(served: Served, tmp_path: Path) -> None:
    root = Root.at(tmp_path / "old")
    shutil.copytree(served.root.serving, root.serving)
    version = root.serving / "taxi" / str(served.version)
    statistics = version / "assets.extra" / "training_statistics.pb"
    log = write_log(tmp_path / "log", make_rows(400, 14), served.version, MOMENT)
    old = Served(root, served.version, served.model, [])
    kept = statistics.read_bytes()
    for name in ("training_statistics.pb", "training_schema.pbtxt", "training_reference.json"):
        (version / "assets.extra" / name).unlink()
    with pytest.raises(ServingError, match=r"carries no training statistics.*\n.*taxiway run"):
        monitor(old, log)
    provenance = version / "assets.extra" / "provenance.json"
    content = json.loads(provenance.read_text())
    provenance.write_text(json.dumps({**content, "data": {"input_fingerprint": "abc"}}))
    (root.statistics / "taxi").mkdir(parents=True)
    (root.statistics / "taxi" / "0-abc.pb").write_bytes(kept)
    result = monitor(old, log)
    assert result.verdict.status == "right" and set(result.verdict.not_judged) == {"scores"}
    assert str(root.statistics) in result.verdict.numbers["reference"]
    assert "no metadata store" in result.not_recorded
    (root.statistics / "taxi" / "0-abc.pb").write_bytes(b"\xff\xff")
    with pytest.raises(ServingError, match=r"0-abc\.pb cannot be read"):
        monitor(old, log)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"logs": (Path("/no/such/log"),)}, DataError, "no request log /no/such/log"),
        ({"model_version": 5}, ServingError, "has no version 5"),
        ({"model": "flights"}, UsageError, "no model 'flights'"),
        ({"labels": Path("x.csv")}, UsageError, "--id"),
        ({"hours": 1e9}, UsageError, r"1e\+09 hours begins before 1970"),
        ({"hours": float("inf")}, UsageError, "inf hours begins before 1970"),
        ({"until": -62e9}, UsageError, "begins before 1970"),
        ({"until": 9e9}, UsageError, "in the future"),
        ({"limits": {"min_row": 5}}, ConfigError, "min_row"),
        ({"limits": {"skew.infinity_norm": 7}}, ConfigError, "infinity_norm"),
    ],
)
def test_wrong_requests_are_explained(
    served: Served, changes: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        monitor_version(MonitorRequest(**{"root": served.root, **changes}))


@pytest.mark.parametrize(
    ("content", "id_column", "error", "words"),
    [
        ("trip,tip\n1,1\n", "trip_id", DataError, "no column 'trip_id'"),
        ("trip_id,tip\n14000,maybe\n", "trip_id", DataError, "'maybe' is no class.*\n.*0, 1"),
        ("ride,tip\n1,1\n", "ride", UsageError, "log has no column 'ride'"),
    ],
)
def test_wrong_labels_are_explained(
    served: Served, tmp_path: Path, content: str, id_column: str, error: type[Exception], words: str
) -> None:
    log = write_log(tmp_path / "log", make_rows(300, 14), served.version, MOMENT)
    (tmp_path / "labels.csv").write_text(content)
    with pytest.raises(error, match=words):
        monitor(served, log, labels=tmp_path / "labels.csv", id_columns=(id_column,))


def test_a_later_push_does_not_say_what_an_earlier_log_holds(served: Served, tmp_path: Path) -> None:
    root = Root.at(tmp_path / "later")
    shutil.copytree(served.root.serving, root.serving)
    directory = ServingDirectory(root.serving / "taxi")
    logged = RequestLogConfig(sampling_rate=1.0, drop_columns=("company",))
    settings = ServingConfig(request_log=logged).model_dump_json().encode()
    directory.write_server_files({server_files.SETTINGS: settings})
    verdict = monitor_version(MonitorRequest(root, hours=1, until=time.time() + 5)).verdict
    assert verdict.status == "right" and verdict.not_judged == {"seats": DROPPED}
    assert "company" in verdict.numbers["columns"]


def test_masks_are_those_of_the_records_and_of_the_settings_where_they_say_nothing() -> None:
    inputs = {"fare_usd": SignatureInput("fare", "float32", None)}
    hashes = pa.array([[b"0f" * 16], []], pa.large_list(pa.large_binary()))
    window = RequestWindow({"id": hashes, "seats": hashes}, None, 2, 2, {"mixed": "two types"})
    config = RequestLogConfig(drop_columns=("fare_usd", "seats"), hash_columns=("id", "mixed", "gone"))
    assert find_masked_columns({None: 4}, config, inputs, window) == {"fare": DROPPED, "id": HASHED, "mixed": HASHED}
    assert find_masked_columns({LoggedMask(): 4}, config, inputs, window) == {}
    mask = LoggedMask(frozenset({"fare_usd"}), frozenset({"seats"}))
    assert find_masked_columns({mask: 3, LoggedMask(): 1}, config, inputs, window) == {
        "fare": f"{DROPPED} in 3 of 4 requests", "seats": f"{HASHED} in 3 of 4 requests",
    }  # fmt: skip


def test_damage_in_the_log_is_said_everywhere(
    served: Served, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "log"
    whole = write_log(folder / "a", make_rows(300, 17), served.version, MOMENT).read_bytes()
    (folder / "b").write_bytes(whole[: len(whole) // 2])
    (folder / "readme.txt").write_text("the logs of last week")
    words = ["monitor", "--root", str(served.root.path), "--log", str(folder), "--until", "2023-11-14T22:14:20"]
    assert run(words) == 0
    shown = " ".join(capfd.readouterr().out.split())
    assert "log: 2 files of the log cannot be read, or not to the end" in shown
    assert run([*words, "--json"]) == 0
    answer = json.loads(capfd.readouterr().out)
    assert answer["unreadable_files"].keys() == {str(folder / "b"), str(folder / "readme.txt")}
    assert answer["unreadable_files"][str(folder / "b")].startswith("its end is missing; ")
    assert "its end is missing" in Path(answer["told"]["place"]).read_text()
    (folder / "a").unlink()
    (folder / "b").unlink()
    assert run(words) == 2
    assert "Nothing of the request log can be read" in capfd.readouterr().err


def test_a_log_of_another_model_or_version_says_so(
    served: Served, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = write_log(tmp_path / "log", make_rows(30, 17), 12, MOMENT)
    words = ["monitor", "--root", str(served.root.path), "--log", str(log), "--until", "2023-11-14T22:14:20"]
    assert run([*words, "--labels", "labels.csv", "--id", "x"]) == 5
    shown = " ".join(capfd.readouterr().out.split())
    assert "log: 1 files were read; left out: 30 of other version: version 12 (30)" in shown
    assert "labels.csv was not read: the rows are too few" in shown


def test_a_damaged_verdict_of_before_stops_no_monitor(served: Served, tmp_path: Path) -> None:
    root = Root.at(tmp_path / "root")
    shutil.copytree(served.root.serving, root.serving)
    log = write_log(tmp_path / "log", make_rows(300, 18), served.version, MOMENT)
    first = monitor_version(MonitorRequest(root, logs=(log,), hours=1, until=MOMENT + 60))
    (first.folder / "verdict.json").write_text("{")
    again = monitor_version(MonitorRequest(root, logs=(log,), hours=1, until=MOMENT + 61))
    assert again.verdict.status == "right" and (again.folder / "verdict.json").is_file()
    assert len(again.failures) == 1 and "Old verdicts were not removed" in again.failures[0]


def test_a_version_that_is_removed_meanwhile_is_judged_to_the_end(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A push beside the monitor keeps `versions_kept` versions and takes the oldest away."""
    root = Root.at(tmp_path / "root")
    shutil.copytree(served.root.serving, root.serving)
    rows = make_rows(300, 18)
    log = write_log(tmp_path / "log", rows, served.version, MOMENT)
    labels = write_labels(tmp_path / "labels.csv", rows, [row["tip"] for row in rows])
    find_files = logged_requests.find_log_files

    def remove_version(*arguments: Any) -> list[Path]:
        shutil.rmtree(root.serving / "taxi" / str(served.version))
        return find_files(*arguments)

    monkeypatch.setattr(logged_requests, "find_log_files", remove_version)
    request = MonitorRequest(root, logs=(log,), hours=1, until=MOMENT + 60, labels=labels, id_columns=("trip_id",))
    result = monitor_version(request)
    assert result.verdict.status == "right" and result.verdict.performance[0].rows == 300
    assert result.failures == () and tell_verdict(result, root).failures == ()


def test_hashed_columns_join_no_labels(served: Served, tmp_path: Path) -> None:
    logs = [make_log(row, served.version, MOMENT) for row in make_rows(300, 19)]
    for log in logs:
        log.log_metadata.saved_model_tags.extend(write_mask(LoggedMask(hashed=frozenset({"trip_id"}))))
    file = write_records(tmp_path / "log", [log.SerializeToString() for log in logs])
    labels = write_labels(tmp_path / "labels.csv", [], [])
    with pytest.raises(UsageError, match="'trip_id': it is logged as hashes"):
        monitor(served, file, labels=labels, id_columns=("trip_id",))


def test_a_text_that_is_no_example_is_a_damaged_record(served: Served, tmp_path: Path) -> None:
    logs = [make_log(row, served.version, MOMENT) for row in make_rows(3, 1)]
    logs[1].predict_log.request.inputs["examples"].CopyFrom(tf.make_tensor_proto([b"\xff\xff no example"]))
    verdict = monitor(served, write_records(tmp_path / "log", [log.SerializeToString() for log in logs])).verdict
    assert (verdict.rows, verdict.status) == (2, "too_few_rows")
    assert verdict.numbers["sources"]["records"] == {"taken": 2, "damaged": 1}
    assert "1 records of the log are damaged" in verdict.list_log_notes()


def test_times_and_what_is_left_out_are_not_judged(served: Served, tmp_path: Path) -> None:
    rules = ReadingRules(
        kinds={"when": "time", "Fare (USD)": "float"}, table={"calendar": {"when": ["hour", "month"]}}, label="tip"
    )
    assert sorted(list_time_columns(rules)) == ["when", "when_hour", "when_month"]
    rows = make_rows(300, 15)
    change_unit(rows)
    log = write_log(tmp_path / "log", rows, served.version, MOMENT, dict.fromkeys(range(300), 0.5))
    result = monitor(served, log, limits={"leave_out": ["Fare (USD)"]})
    assert result.verdict.not_judged == {"Fare (USD)": LEFT_OUT}
    assert {column for _, column in list_wrong(result)} == {"probability of 1"}


def test_the_version_carries_what_was_written(served: Served) -> None:
    reference = read_reference(served.folder)
    assert reference is not None and reference.scores is not None
    assert reference.scores.scores[0] == pytest.approx((models.probability(make_rows(500, 2)[0]),))
    assert {feature.name for feature in reference.schema.feature} >= {"Fare (USD)", "company", "seats", "tip"}
