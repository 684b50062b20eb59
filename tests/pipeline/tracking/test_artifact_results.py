"""Numbers from artifacts: TFMA's own files, verdicts, pushes."""

import json
from unittest.mock import create_autospec

import pytest
import tensorflow as tf
from google.protobuf import json_format, wrappers_pb2
from tensorflow_model_analysis.proto import metrics_for_slice_pb2 as proto
from tensorflow_model_analysis.proto import validation_result_pb2

from taxiway.components.errors import ServingError, StoreError
from taxiway.components.gates.verdict import GateFinding, VerdictRecord
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking import artifact_results, reconstruction
from taxiway.pipeline.tracking.store.metadata_store import RunStore, StoredArtifact, StoredExecution


def artifact(kind, uri="", **properties):
    return StoredArtifact(id=1, type=kind, uri=str(uri), state="LIVE", properties=properties)


def metrics(slices=(), **values):
    """A slice's metrics; keys may be `baseline__auc` or `diff__auc`."""
    message = proto.MetricsForSlice()
    for column, value in slices:
        key = message.slice_key.single_slice_keys.add(column=column)
        setattr(key, "bytes_value" if isinstance(value, bytes) else "int64_value", value)
    for name, value in values.items():
        whose, _, metric = name.rpartition("__")
        item = message.metric_keys_and_values.add()
        item.key.name, item.key.is_diff = metric, whose == "diff"
        item.key.model_name = "" if whose == "diff" else whose
        item.value.double_value.value = value
    return message


def write_records(file, *messages):
    with tf.io.TFRecordWriter(str(file)) as out:
        for each in messages:
            out.write(each.SerializeToString())


@pytest.fixture
def evaluation(tmp_path):
    """Writes files as TFMA does, with its own messages, and reads them as we do."""

    def write(*slices):
        write_records(tmp_path / "metrics-00000-of-00001.tfrecord", *slices)
        return artifact_results.read_evaluation(str(tmp_path))

    return write


def test_candidate_and_baseline_are_told_apart(evaluation):
    [overall] = evaluation(metrics(auc=0.9, example_count=50, baseline__auc=0.5, diff__auc=0.4))
    assert (overall.slice, overall.rows) == ("overall", 50)
    assert overall.candidate == {"auc": 0.9}
    assert overall.baseline == {"auc": 0.5}


def test_slices_are_named_sorted_and_the_empty_ones_left_out(evaluation):
    found = evaluation(
        metrics([("day", 2)], auc=0.1),
        metrics([("pay", "Ü Karte".encode()), ("day", 1)], auc=0.2),
        metrics([("day", 3)]),
        metrics(auc=0.3),
    )
    assert [values.slice for values in found] == ["overall", "day=2", "pay=Ü Karte, day=1"]


def test_slices_that_decided_nothing_are_named(evaluation, tmp_path):
    named = "auc (slices over day, pay)"
    [overall, *_] = evaluation(
        metrics(**{"auc": 0.9, named: 0.7}),  # over all rows nothing is asked of it
        metrics([("pay", 1), ("day", 2)], **{"auc": float("nan"), named: 0.7}),
        metrics([("pay", 1), ("day", 3)], **{"auc": 0.8, named: 0.8}),
        metrics([("day", 3)], **{"auc": 0.8, named: 0.7}),
    )
    assert overall.candidate == {"auc": 0.9}
    assert artifact_results.read_undecided_slices(str(tmp_path)) == ["pay=1, day=2"]
    evaluation(metrics(**{"auc": 0.9, "auc (all rows)": 0.7}))
    assert artifact_results.read_undecided_slices(str(tmp_path)) == ["overall"]
    assert (
        artifact_results._describe_failure(failure(named, 0.6, lower=0.7)) == "auc is 0.6000; asked for is at least 0.7"
    )


def test_what_is_not_defined_is_none(evaluation):
    [overall] = evaluation(metrics(auc=float("nan"), log_loss=float("inf"), accuracy=0.5))
    assert overall.candidate == {"auc": None, "log_loss": None, "accuracy": 0.5}


def failure(name, value, *, lower=None, upper=None, change=None, relative=None):
    found = validation_result_pb2.ValidationFailure()
    found.metric_key.name, found.metric_key.is_diff = name, (change, relative) != (None, None)
    found.metric_value.double_value.value = value
    if change is not None:
        found.metric_threshold.change_threshold.absolute.CopyFrom(wrappers_pb2.DoubleValue(value=change))
    if relative is not None:
        found.metric_threshold.change_threshold.relative.CopyFrom(wrappers_pb2.DoubleValue(value=relative))
    if lower is not None:
        found.metric_threshold.value_threshold.lower_bound.value = lower
    if upper is not None:
        found.metric_threshold.value_threshold.upper_bound.value = upper
    return found


def test_rows_are_counted_and_are_no_metrics(evaluation):
    [overall] = evaluation(
        metrics(auc=0.9, example_count=50, positives=9, judged_rows=9, baseline__positives=9, baseline__judged_rows=9)
    )
    assert (overall.rows, overall.positives, overall.judged_rows) == (50, 9, 9)
    assert (overall.candidate, overall.baseline) == ({"auc": 0.9}, {})
    assert overall.too_few


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"positives": 2, "judged_rows": 2, "example_count": 90}, " of the positive class of 'fraud'"),
        ({"positives": 88, "judged_rows": 2, "example_count": 90}, " of the negative class of 'fraud'"),
        ({"judged_rows": 2, "rows[a]": 88, "rows[x]": 2, "example_count": 90}, " of class x"),
        ({"judged_rows": 2, "example_count": 90}, " of the rarest class"),
        ({"judged_rows": 2, "example_count": 2}, ""),
    ],
)
def test_too_few_rows_prove_nothing_and_that_is_said_first(tmp_path, evaluation, values, where):
    evaluation(metrics(auc=0.61, **values))
    config = {"evalConfig": {"modelSpecs": [{"labelKey": "fraud"}]}}
    (tmp_path / "eval_config.json").write_text(json.dumps(config))
    result = validation_result_pb2.ValidationResult()
    result.validation_details.slicing_details.add(num_matching_slices=1)
    overall = result.metric_validations_per_slice.add()
    overall.failures.append(failure("judged_rows", 2.0, lower=20))
    write_records(tmp_path / "validations.tfrecord", result)
    said = f"nothing was proved: 2 evaluation rows{where}, at least 20 wanted (gates.min_rows_per_class)"
    assert artifact_results.describe_threshold_failures(str(tmp_path)) == [f"{said}; to push it all the same: --force"]
    overall.failures.append(failure("auc", 0.61, lower=0.7))  # --force would not help against this one
    write_records(tmp_path / "validations.tfrecord", result)
    first, second = artifact_results.describe_threshold_failures(str(tmp_path))
    assert first == f"{said}; --force lifts this gate, not the others"
    assert second.startswith("auc is 0.6100")


def test_missed_thresholds_are_sentences_with_numbers(tmp_path):
    result = validation_result_pb2.ValidationResult()
    result.validation_details.slicing_details.add(num_matching_slices=2)
    overall = result.metric_validations_per_slice.add()
    overall.failures.append(failure("auc", 0.61, lower=0.7))
    overall.failures.append(failure("auc", -0.05, change=-0.01))
    overall.failures.append(failure("pr_auc", -0.05, relative=-0.1))
    part = result.metric_validations_per_slice.add()
    part.slice_key.single_slice_keys.add(column="pay", bytes_value=b"Cash")
    part.failures.append(failure("calibration", 2.24, lower=0.8, upper=1.2))
    result.missing_slices.add(feature_keys=["day"], feature_values={"pay": "Cash"})
    write_records(tmp_path / "validations.tfrecord", result)
    assert artifact_results.describe_threshold_failures(str(tmp_path)) == [
        "auc is 0.6100; asked for is at least 0.7",
        "auc changed by -0.0500 against the baseline; allowed is -0.0100",
        "pr_auc changed by -0.0500 against the baseline; allowed is -0.1 times the baseline's",
        "calibration is 2.2400; asked for is at least 0.8 and at most 1.2 in pay=Cash",
        "no rows in the slice day, pay=Cash, which has a threshold",
    ]
    gate = artifact_results.read_gate(
        "Evaluator", [artifact("ModelBlessing", blessed=0), artifact("ModelEvaluation", tmp_path)]
    )
    assert not gate.passed
    assert gate.reason.startswith("auc is 0.6100")


def test_no_threshold_is_said_to_be_the_reason(tmp_path):
    assert artifact_results.describe_threshold_failures(str(tmp_path)) == []
    write_records(tmp_path / "validations.tfrecord", validation_result_pb2.ValidationResult())
    [reason] = artifact_results.describe_threshold_failures(str(tmp_path))
    assert "no threshold is set" in reason


def test_a_damaged_evaluation_is_said_to_be(tmp_path):
    file = tmp_path / "metrics-00000-of-00001.tfrecord"
    write_records(file, metrics(auc=0.5))
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(StoreError, match="is damaged"):
        artifact_results.read_evaluation(str(tmp_path))


def test_a_verdict(tmp_path):
    finding = GateFinding(rule="min_rows", explanation="too few", column="fare")
    VerdictRecord(gate="DataGate", findings=(finding,), numbers={"rows": {"eval": 3}}).write_verdict(tmp_path)
    gate = artifact_results.read_gate("DataGate", [artifact("taxiway.Verdict", tmp_path)])
    assert (gate.passed, gate.reason) == (False, "fare: too few")
    assert gate.numbers["rows"] == {"eval": 3}
    assert gate.numbers["findings"][0]["rule"] == "min_rows"


def test_a_serving_verdict(tmp_path):
    (tmp_path / "report.json").write_text(json.dumps({"version": 1, "blessed": False, "reason": "answers differ"}))
    outputs = [artifact("InfraBlessing", blessed=0), artifact("taxiway.ServingReport", tmp_path)]
    gate = artifact_results.read_gate("ServingValidator", outputs)
    assert (gate.passed, gate.reason) == (False, "answers differ")


def test_nodes_that_decide_nothing(tmp_path):
    assert artifact_results.read_gate("Trainer", [artifact("Model", tmp_path)]) is None
    assert artifact_results.read_push([artifact("Model", tmp_path)], tmp_path) is None


def test_a_push(tmp_path):
    pushed = tmp_path / "pushed"
    pushed.mkdir()
    (tmp_path / "serving" / "7").mkdir(parents=True)
    (pushed / "push.json").write_text(json.dumps({"live_version": 7, "digest": "abc"}))
    found = artifact_results.read_push(
        [artifact("PushedModel", pushed, pushed=1, reason="pushed, as version 7")], tmp_path / "serving"
    )
    assert (found.pushed, found.version, found.path) == (True, 7, str(tmp_path / "serving" / "7"))
    assert not found.already_live


def test_results_of_another_format_version_are_refused(tmp_path):
    (tmp_path / "report.json").write_text(json.dumps({"version": 2, "blessed": True}))
    with pytest.raises(ServingError, match="a serving report of format version 2"):
        artifact_results.read_gate(
            "ServingValidator", [artifact("InfraBlessing", blessed=1), artifact("taxiway.ServingReport", tmp_path)]
        )
    (tmp_path / "push.json").write_text(json.dumps({"version": 2, "live_version": 7}))
    outputs = [artifact("PushedModel", tmp_path, pushed=1, pushed_version="7")]
    with pytest.raises(ServingError, match="a push's report of format version 2"):
        artifact_results.read_push(outputs, tmp_path)
    assert artifact_results.read_push_properties(outputs, tmp_path).version == 7


def test_a_push_of_another_format_version_is_still_listed(tmp_path):
    (tmp_path / "push.json").write_text(json.dumps({"version": 2, "live_version": 8}))
    store = create_autospec(RunStore, instance=True)
    store.list_run_executions.return_value = [StoredExecution(1, "Pusher", "Pusher", "COMPLETE", 0.0, 1.0)]
    store.list_outputs_of.return_value = {1: [artifact("PushedModel", tmp_path, pushed=1, pushed_version="7")]}
    run = reconstruction.reconstruct_run(Root.at(tmp_path), "run-7", store)
    assert (run.push.pushed, run.push.version) == (True, 7)


def test_what_was_asked_stands_beside_what_was_found(evaluation, tmp_path):
    from taxiway.components.evaluation.config import EvaluationConfig
    from taxiway.components.evaluation.eval_config import build_eval_config

    config = EvaluationConfig.model_validate(
        {
            "thresholds": {"auc": {"min": 0.7, "max_drop": 0.01}, "calibration": {"min": 0.8, "max": 1.2}},
            "slice_thresholds": {"accuracy": [{"columns": ["day"], "min": 0.5}]},
        }
    )
    made = build_eval_config(config, "y", "binary")
    content = {"evalConfig": json_format.MessageToDict(made)}
    (tmp_path / "eval_config.json").write_text(json.dumps(content))
    evaluation(metrics(auc=0.91, calibration=1.05, accuracy=0.9), metrics([("day", 1)], auc=0.2))
    assert artifact_results.read_judged_metrics(str(tmp_path)) == {
        "auc": "0.9100 (at least 0.7, at worst -0.01 against the baseline)",
        "calibration": "1.0500 (at least 0.8, at most 1.2)",
    }


def test_how_much_worse_the_optimized_model_may_be_is_told_with_its_limit(evaluation, tmp_path):
    from taxiway.components.evaluation.config import EvaluationConfig, name_drop_bound
    from taxiway.components.evaluation.eval_config import build_optimized_eval_config

    made = build_optimized_eval_config(EvaluationConfig(), "y", "binary", {"auc": 0.002, "log_loss": 0.02})
    content = {"evalConfig": json_format.MessageToDict(made)}
    (tmp_path / "eval_config.json").write_text(json.dumps(content))
    auc, loss = (name_drop_bound(name) for name in ("auc", "log_loss"))
    values = {"auc": 0.91, "log_loss": 0.3, auc: 0.0031, loss: 0.004, f"baseline__{auc}": 0.0, f"diff__{auc}": 0.0031}
    [overall, _] = evaluation(metrics(**values), metrics([("day", 1)], **{"auc": 0.2, auc: float("nan")}))
    assert overall.candidate == {"auc": 0.91, "log_loss": 0.3} and overall.baseline == {}
    judged = artifact_results.read_judged_metrics(str(tmp_path))
    assert judged["auc worse by up to"] == "0.00310 (at most 0.002)"
    assert judged["log_loss worse by up to"] == "0.00400 of the baseline's (at most 0.02)"
    assert judged["auc"] == "0.9100 (at worst -0.002 against the baseline)"
    evaluation(metrics(**{**values, auc: float("-inf")}))
    judged = artifact_results.read_judged_metrics(str(tmp_path))
    assert judged["auc worse by up to"] == "too few rows for an interval (at most 0.002)"
    result = validation_result_pb2.ValidationResult()
    result.validation_details.slicing_details.add(num_matching_slices=1)
    result.metric_validations_per_slice.add().failures.append(failure(auc, 0.0031, upper=0.002))
    write_records(tmp_path / "validations.tfrecord", result)
    assert artifact_results.describe_threshold_failures(str(tmp_path)) == [
        "auc may be worse by 0.00310, at the bad end of the 95 % interval of the paired difference; allowed is 0.002"
    ]
