"""The data gate's judgement on protos made by hand: no TFX, no TensorFlow."""

import json

import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2

from taxiway.components.errors import StoreError
from taxiway.components.gates import data_gate
from taxiway.components.gates.config import GatesConfig
from taxiway.components.gates.drift import Comparison
from taxiway.components.gates.verdict import GateFinding, VerdictRecord


def statistics(rows=100, label_min=0.0, label_max=1.0, name="label"):
    dataset = statistics_pb2.DatasetFeatureStatistics(num_examples=rows)
    feature = dataset.features.add()
    feature.path.step.append(name)
    feature.num_stats.common_stats.num_non_missing = rows
    feature.num_stats.min, feature.num_stats.max, feature.num_stats.mean = label_min, label_max, 0.25
    return statistics_pb2.DatasetFeatureStatisticsList(datasets=[dataset])


def text_label(counts):
    dataset = statistics_pb2.DatasetFeatureStatistics(num_examples=sum(counts.values()))
    feature = dataset.features.add()
    feature.path.step.append("label")
    feature.string_stats.unique = len(counts)
    for value, frequency in counts.items():
        feature.string_stats.top_values.add(value=value, frequency=frequency)
    return statistics_pb2.DatasetFeatureStatisticsList(datasets=[dataset])


def anomalies(severity=anomalies_pb2.AnomalyInfo.ERROR):
    found = anomalies_pb2.Anomalies()
    info = found.anomaly_info["fare"]
    info.severity = severity
    info.reason.add(type=anomalies_pb2.AnomalyInfo.FLOAT_TYPE_NOT_FLOAT, description="The fare was no number.")
    return found


def judge(stats, found=None, task="binary", **config):
    empty = anomalies_pb2.Anomalies()
    return data_gate.judge_data(
        stats, found or dict.fromkeys(stats, empty), "label", task, GatesConfig.model_validate(config)
    )


def test_good_data_passes_with_its_numbers():
    record = judge({"train": statistics(), "eval": statistics(50)})
    assert record.passed
    assert record.reason == ""
    assert record.numbers["rows"] == {"train": 100, "eval": 50}
    assert record.numbers["label"]["train"]["mean"] == 0.25


@pytest.mark.parametrize(("rows", "word"), [(0, "is empty"), (9, "holds 9 rows")])
def test_a_split_with_too_few_rows_blocks(rows, word):
    record = judge({"train": statistics(), "eval": statistics(rows)})
    assert not record.passed
    assert word in record.reason
    assert "gates.min_rows" in record.reason


def test_a_split_with_just_enough_rows_passes():
    assert judge({"train": statistics(), "eval": statistics(10)}, min_rows=10).passed
    assert not judge({"train": statistics(), "eval": statistics(10)}, min_rows=11).passed


@pytest.mark.parametrize("empty", [statistics(0), statistics_pb2.DatasetFeatureStatisticsList()])
def test_an_empty_split_has_no_label_to_judge(empty):
    record = judge({"train": statistics(), "eval": empty})
    assert [(finding.rule, finding.split) for finding in record.findings] == [("min_rows", "eval")]
    assert record.numbers["rows"]["eval"] == 0
    assert set(record.numbers["label"]) == {"train"}


def test_one_class_blocks_and_names_the_column():
    record = judge({"train": statistics(label_max=0.0), "eval": statistics()})
    assert [(f.rule, f.split, f.column) for f in record.findings] == [("label_constant", "train", "label")]
    assert "one class only" in record.reason


def test_text_labels_are_counted():
    record = judge({"train": text_label({"a": 30, "b": 70}), "eval": text_label({"a": 20})}, task="multiclass")
    assert record.numbers["label"]["train"]["classes"] == {"a": 30, "b": 70}
    assert [f.split for f in record.findings] == ["eval"]


def test_a_missing_label_blocks():
    record = judge({"train": statistics(name="other"), "eval": statistics()})
    assert record.findings[0].rule == "label_missing"


def test_an_error_blocks_a_warning_does_not():
    stats = {"train": statistics(), "eval": statistics()}
    error = judge(stats, {"eval": anomalies()})
    assert not error.passed
    assert error.reason.startswith("fare: The fare was no number (split")
    warning = judge(stats, {"eval": anomalies(anomalies_pb2.AnomalyInfo.WARNING)})
    assert warning.passed
    assert len(warning.findings) == 1


def test_an_allowed_anomaly_is_reported_only():
    record = judge({"train": statistics()}, {"train": anomalies()}, allow_anomalies=["FLOAT_TYPE_NOT_FLOAT"])
    assert record.passed
    assert not record.findings[0].blocking


def test_the_verdict_survives_its_file(tmp_path):
    record = judge({"train": statistics(3)})
    record.write_verdict(tmp_path)
    assert VerdictRecord.read_verdict(tmp_path) == record


def test_a_verdict_of_another_format_version_is_refused(tmp_path):
    (tmp_path / "verdict.json").write_text(json.dumps({"version": 2, "gate": "DataGate"}))
    with pytest.raises(StoreError, match="a gate's verdict of format version 2; this Taxiway reads version 1"):
        VerdictRecord.read_verdict(tmp_path)
    with pytest.raises(ValueError, match="version"):
        VerdictRecord.model_validate({"version": 2, "gate": "DataGate"})


def test_a_moved_class_order_blocks():
    order = data_gate.ClassOrder(data=("no", "yes"), schema=("yes", "no"))
    config = GatesConfig()
    record = data_gate.judge_data({"train": statistics()}, {}, "label", "binary", config, order)
    assert not record.passed
    assert "the schema yes, no" in record.reason
    same = data_gate.ClassOrder(data=("no", "yes"), schema=("no", "yes"))
    assert data_gate.judge_data({"train": statistics()}, {}, "label", "binary", config, same).passed


def test_a_few_examples_stand_for_many():
    found = anomalies()
    values = ", ".join(f"garbage {i} (<1%)" for i in range(500))
    found.anomaly_info["fare"].reason[0].description = f"Examples contain values missing from the schema: {values}. "
    reason = judge({"train": statistics()}, {"train": found}).reason
    assert len(reason) < 400
    assert reason.startswith("fare: Examples contain values missing from the schema: garbage 0 (<1%), garbage 1")
    shown = reason.count("garbage")
    assert f"and {500 - shown} more (split 'train'" in reason
    described = reason.removeprefix("fare: ").partition(" and ")[0]
    as_many_as_fit = f"{described}, garbage {shown} (<1%)"
    assert len(described) <= data_gate.EXPLANATION_CHARACTERS < len(as_many_as_fit)


def test_a_description_that_just_fits_is_whole():
    found = anomalies()
    text = "a, b, c" + "d" * (data_gate.EXPLANATION_CHARACTERS - 7)
    found.anomaly_info["fare"].reason[0].description = f"{text}."
    assert judge({"train": statistics()}, {"train": found}).reason.startswith(f"fare: {text} (split")


def test_drift_and_skew_bring_their_numbers_and_findings():
    moved = GateFinding(rule="drift", explanation="fare has moved", column="fare")
    compared = [
        Comparison("drift", numbers={"against": "span 2"}, findings=(moved,)),
        Comparison("skew", numbers={"against": "eval"}),
    ]
    stats = {"train": statistics(), "eval": statistics()}
    record = data_gate.judge_data(stats, {}, "label", "binary", GatesConfig(), compared=compared)
    assert record.reason == "fare: fare has moved"
    assert (record.numbers["drift"], record.numbers["skew"]) == ({"against": "span 2"}, {"against": "eval"})


def test_notes_of_the_rows_are_handed_on_and_block_nothing():
    note = GateFinding(rule="equal_rows", explanation="12 of 100 rows", blocking=False)
    stats = {"train": statistics(), "eval": statistics()}
    record = data_gate.judge_data(stats, {}, "label", "binary", GatesConfig(), notes=[note])
    assert record.passed and record.findings == (note,)


def test_a_new_column_is_reported_and_another_type_blocks_both_with_ways_out():
    found = anomalies_pb2.Anomalies()
    kinds = {"extra": anomalies_pb2.AnomalyInfo.SCHEMA_NEW_COLUMN, "n": anomalies_pb2.AnomalyInfo.UNEXPECTED_DATA_TYPE}
    for column, kind in kinds.items():
        found.anomaly_info[column].severity = anomalies_pb2.AnomalyInfo.ERROR
        found.anomaly_info[column].reason.add(type=kind, description="It is so.")
    record = judge({"train": statistics(), "eval": statistics()}, {"train": found, "eval": found})
    new, other, _ = record.findings
    assert [finding.column for finding in record.findings] == ["extra", "n", "n"]
    assert not new.blocking and "data.leave_out: [extra]" in new.explanation
    assert other.blocking and "data.types" in other.explanation and "feature's type in the schema" in other.explanation
