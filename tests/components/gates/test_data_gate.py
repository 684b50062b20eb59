"""The data gate's judgement on protos made by hand: no TFX, no TensorFlow."""

import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2

from components.gates import data_gate
from components.gates.config import GatesConfig
from components.gates.verdict import Finding, VerdictRecord


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
    return data_gate.judge(
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
    record.write(tmp_path)
    assert VerdictRecord.read(tmp_path) == record


def test_a_moved_class_order_blocks():
    order = data_gate.ClassOrder(data=("no", "yes"), schema=("yes", "no"))
    config = GatesConfig()
    record = data_gate.judge({"train": statistics()}, {}, "label", "binary", config, order)
    assert not record.passed
    assert "the schema yes, no" in record.reason
    same = data_gate.ClassOrder(data=("no", "yes"), schema=("no", "yes"))
    assert data_gate.judge({"train": statistics()}, {}, "label", "binary", config, same).passed


def test_a_few_examples_stand_for_many():
    found = anomalies()
    values = ", ".join(f"garbage {i} (<1%)" for i in range(500))
    found.anomaly_info["fare"].reason[0].description = f"Examples contain values missing from the schema: {values}. "
    reason = judge({"train": statistics()}, {"train": found}).reason
    assert len(reason) < 400
    assert reason.startswith("fare: Examples contain values missing from the schema: garbage 0 (<1%), garbage 1")
    shown = reason.count("garbage")
    assert f"and {500 - shown} more (split 'train'" in reason


def test_notes_of_the_rows_are_handed_on_and_block_nothing():
    note = Finding(rule="equal_rows", explanation="12 of 100 rows", blocking=False)
    stats = {"train": statistics(), "eval": statistics()}
    record = data_gate.judge(stats, {}, "label", "binary", GatesConfig(), notes=[note])
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
