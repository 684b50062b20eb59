"""What the shared run left behind: every figure is computed again here, from the model and the examples."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.guarded import GUARDED_FILE, JUDGES

pytestmark = pytest.mark.e2e

LABEL = "big_tipper"


@functools.cache
def tensorflow():
    import tensorflow

    return tensorflow


def records(folder):
    tf = tensorflow()
    files = sorted(str(p) for p in folder.glob("*.gz"))
    assert files, f"no examples in {folder}"
    return [r.numpy() for r in tf.data.TFRecordDataset(files, compression_type="GZIP")]


def raw_examples(taxi, split="test"):
    return records(taxi.artifact("ExampleGen", "examples") / f"Split-{split}")


def labels(raw):
    tf = tensorflow()
    spec = {LABEL: tf.io.FixedLenFeature([], tf.int64)}
    return tf.io.parse_example(raw, spec)[LABEL].numpy()


def ask_default(folder, raw):
    tf = tensorflow()
    model = tf.saved_model.load(str(folder))
    return model.signatures["serving_default"](examples=tf.constant(raw))["probabilities"].numpy()[:, 0]


def area_under_curve(truth, scores):
    """Mann-Whitney's U with ties counted half: the definition, not a library's approximation."""
    order = np.argsort(scores, kind="mergesort")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    for value in np.unique(scores):
        ties = scores == value
        ranks[ties] = ranks[ties].mean()
    positives = truth == 1
    n_positive, n_negative = positives.sum(), (~positives).sum()
    return (ranks[positives].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def reported(taxi, evaluator, metric, slice_name="overall", who="candidate"):
    values = {m["slice"]: m for m in taxi.summary["metrics"][evaluator]}
    return values[slice_name][who][metric]


def test_one_version_is_live(taxi):
    assert len(taxi.versions) == 1
    assert (taxi.live / "saved_model.pb").is_file()
    assert taxi.summary["state"] == "live"
    assert taxi.summary["push"]["version"] == taxi.versions[-1]


def test_every_node_ran(taxi):
    assert set(taxi.states.values()) == {"done"}, taxi.states
    assert set(taxi.states) == {
        "ExampleGen",
        "StatisticsGen",
        "SchemaGen",
        "ExampleValidator",
        "DataGate",
        "Transform",
        "Trainer",
        "Baseline",
        "Evaluator",
        "ModelOptimizer",
        "OptimizedEvaluator",
        "ServingValidator",
        "Pusher",
        "ModelExplainer",
    }


def test_the_pushed_model_is_explained(taxi):
    """Of the taxi data everybody knows: the way of payment decides whether a tip is recorded."""
    found = json.loads((taxi.artifact("ModelExplainer", "explanation") / "explanation.json").read_text())
    assert found["importance"][0]["name"] == "payment_type" and found["importance"][0]["limits"][0] > 0.1
    assert found["cut_short"] == [] and len(found["dependence"]) == 8 and len(found["largest_errors"]) == 20
    assert taxi.nodes["ModelExplainer"]["seconds"] < 60


def test_only_the_evaluators_read_the_split_test(taxi):
    """Its files held garbage while any other node ran, and it has the rows that were judged."""
    guarded = (taxi.root.path / GUARDED_FILE).read_text().split()
    assert set(guarded) == set(taxi.states) - {"ExampleGen", *JUDGES}
    assert not list((taxi.artifact("Transform", "transformed_examples")).glob("Split-test"))
    assert not list((taxi.artifact("StatisticsGen", "statistics")).glob("Split-test"))
    assert taxi.nodes["Evaluator"]["state"] == "done"
    judged = {m["slice"]: m["rows"] for m in taxi.summary["metrics"]["OptimizedEvaluator"]}["overall"]
    assert judged == len(raw_examples(taxi, "test")) == taxi.summary["gates"][0]["numbers"]["rows"]["test"]


def test_the_profile_explains_where_the_time_went(taxi):
    folder = taxi.root.run_folder(taxi.summary["run_id"])
    trace = json.loads((folder / "trace.json").read_text())
    figures = trace["otherData"]
    assert figures["covered_share"] >= 0.95
    assert figures["wall_seconds"] >= taxi.summary["ended"] - taxi.summary["started"]
    assert set(taxi.states) <= set(figures["seconds"])
    for node, phase in (("Trainer", "trace"), ("Trainer", "write"), ("Transform", "trace"), ("run", "import")):
        assert figures["seconds"][node][phase] > 0
    programs = {event["args"]["name"] for event in trace["traceEvents"] if event["ph"] == "M"}
    assert {"taxiway.components.training.main", "taxiway.components.optimizer.search"} <= programs
    assert "phases explain" in taxi.printed
    assert 'id="profile"' in Path(taxi.summary["report"]).read_text()


UNUSED = {"kfp", "kfp_kubernetes", "onnx", "onnxruntime", "tf2onnx", "plotly", "matplotlib", "s3fs", "gcsfs"}
UNUSED_CHILD = UNUSED | {"tfx", "apache_beam", "kubernetes", "ml_metadata", "tensorflow_model_analysis"}


def test_no_process_has_imported_what_a_taxi_run_does_not_use(taxi):
    trace = json.loads((taxi.root.run_folder(taxi.summary["run_id"]) / "trace.json").read_text())
    packages = {program: set(names) for program, names in trace["otherData"]["packages"].items()}
    children = {name for name in packages if name.startswith("taxiway.components.") or name.endswith("report.scoring")}
    assert len(children) >= 4 and len(packages) == len(children) + 1
    for program, names in packages.items():
        unused = UNUSED_CHILD if program in children else UNUSED
        drawn = {"plotly"} if program == "taxiway.components.optimizer.search" else set()  # its plot
        assert names & unused == names & drawn, program
    assert "tf_keras" not in packages["taxiway.components.serving.validation.child"]


def test_the_inferred_schema_is_left_for_the_user(taxi):
    text = (taxi.config.parent / "schema.pbtxt").read_text()
    assert "payment_type" in text
    assert "taxiway-inferred" in text


def test_the_printed_summary_names_what_a_user_looks_for(taxi):
    for word in ("auc", "payment_type", "frozen", str(taxi.versions[-1]), "log.txt"):
        assert word in taxi.printed, taxi.printed


def test_auc_of_the_report_is_that_of_the_served_answers(taxi):
    raw = raw_examples(taxi)
    exact = area_under_curve(labels(raw), ask_default(taxi.live, raw))
    assert reported(taxi, "OptimizedEvaluator", "auc") == pytest.approx(exact, abs=2e-3)  # TFMA bins its curve


def test_metrics_by_slice_are_recomputed(taxi):
    tf = tensorflow()
    raw = raw_examples(taxi)
    column = tf.io.parse_example(raw, {"payment_type": tf.io.FixedLenFeature([], tf.string, "")})
    cash = column["payment_type"].numpy() == b"Credit Card"
    trained = taxi.artifact("Trainer", "model") / "Format-Serving"
    scores, truth = ask_default(trained, raw), labels(raw)
    name = "payment_type=Credit Card"
    assert reported(taxi, "Evaluator", "accuracy", name) == pytest.approx(
        np.mean((scores[cash] > 0.5) == truth[cash]), abs=1e-3
    )
    rows = {m["slice"]: m["rows"] for m in taxi.summary["metrics"]["Evaluator"]}
    assert rows[name] == cash.sum()
    assert rows["overall"] == len(raw)


def test_log_loss_and_calibration_are_recomputed(taxi):
    raw = raw_examples(taxi)
    scores = ask_default(taxi.artifact("Trainer", "model") / "Format-Serving", raw).astype(np.float64)
    truth = labels(raw)
    clipped = np.clip(scores, 1e-7, 1 - 1e-7)
    log_loss = -np.mean(truth * np.log(clipped) + (1 - truth) * np.log(1 - clipped))
    assert reported(taxi, "Evaluator", "log_loss") == pytest.approx(log_loss, rel=1e-3)
    assert reported(taxi, "Evaluator", "calibration") == pytest.approx(scores.mean() / truth.mean(), rel=1e-3)


def test_the_decision_rule_is_what_the_served_answers_show_on_eval(taxi):
    rule = json.loads((taxi.live / "assets.extra" / "decision_rule.json").read_text())
    history = json.loads((taxi.artifact("Trainer", "model") / "training" / "history.json").read_text())
    assert rule == history["decision_rule"] and rule["temperature"] != 1
    raw = raw_examples(taxi, "eval")
    scores, truth = ask_default(taxi.live, raw).astype(np.float64), labels(raw)
    assert rule["rows"] == len(raw)
    clipped = np.clip(scores, 1e-7, 1 - 1e-7)
    log_loss = -np.mean(np.where(truth == 1, np.log(clipped), np.log(1 - clipped)))
    assert rule["measured"]["log_loss_after"] == pytest.approx(log_loss, rel=1e-3)
    assert rule["measured"]["log_loss_after"] < rule["measured"]["log_loss_before"]
    assert rule["measured"]["recall"] == pytest.approx(np.mean(scores[truth == 1] > 0.5), abs=1e-3)
    assert "temperature" in Path(taxi.summary["report"]).read_text()


def test_the_naive_baseline_is_the_training_distribution(taxi):
    raw = raw_examples(taxi)
    naive = ask_default(taxi.artifact("Baseline", "model") / "Format-Serving", raw[:5])
    assert naive == pytest.approx([labels(raw_examples(taxi, "train")).mean()] * 5, abs=1e-6)
    assert reported(taxi, "Evaluator", "auc", who="baseline") == pytest.approx(0.5, abs=1e-6)


def test_raw_rows_through_both_signatures_equal_transformed_rows_through_the_model(taxi):
    """No training/serving skew: 1,000 rows, three ways."""
    tf = tensorflow()
    import tensorflow_transform as tft

    from taxiway.components.training import load_trained
    from taxiway.components.training.model.export import calibrate_logits

    all_raw = raw_examples(taxi, "eval")
    raw = all_raw[:1000]
    served = ask_default(taxi.live, raw)

    graph = tft.TFTransformOutput(str(taxi.artifact("Transform", "transform_graph")))
    trained = load_trained(str(taxi.artifact("Trainer", "model")))
    transformed = tf.io.parse_example(
        records(taxi.artifact("Transform", "transformed_examples") / "Split-eval"),
        graph.transformed_feature_spec(),
    )
    everything = tf.sigmoid(calibrate_logits(trained.keras_model(transformed), trained.job)).numpy()[:, 0]
    # Beam does not keep the order of the rows between the two components: compared as sorted answers over all rows.
    trained_scores = ask_default(taxi.artifact("Trainer", "model") / "Format-Serving", all_raw)
    np.testing.assert_allclose(np.sort(trained_scores), np.sort(everything), atol=2e-5)

    np.testing.assert_allclose(ask_raw(taxi.live, raw), served, atol=1e-5)
    stated = stated_error(taxi) + 1e-5
    np.testing.assert_allclose(served, trained_scores[:1000], atol=stated)


def stated_error(taxi):
    """The largest difference from the trained model's scores that the optimizer admits for what it chose."""
    report = json.loads((taxi.artifact("ModelOptimizer", "report") / "report.json").read_text())
    (chosen,) = [v for v in report["variants"] if v["name"] == report["decision"]["chosen"]]
    return chosen["output_error"]["max"]


def ask_raw(folder, raw):
    """The raw signature, one tensor a column, as a REST client would fill it."""
    tf = tensorflow()
    model = tf.saved_model.load(str(folder))
    inputs = json.loads((folder / "assets.extra" / "signature_inputs.json").read_text())["inputs"]
    dtypes = {"float32": tf.float32, "int64": tf.int64, "string": tf.string}
    spec = {i["column"]: tf.io.VarLenFeature(dtypes[i["dtype"]]) for i in inputs.values()}
    parsed = tf.io.parse_example(raw, spec)
    rows = len(raw)
    tensors = {}
    for name, entry in inputs.items():
        column = parsed[entry["column"]]
        default = tf.constant(entry["default"], column.dtype)
        dense = tf.sparse.to_dense(tf.sparse.reset_shape(column, [rows, 1]), default)
        tensors[name] = tf.reshape(dense, [rows])
    return model.signatures["serving_raw"](**tensors)["probabilities"].numpy()[:, 0]


def test_the_label_and_what_was_left_out_are_no_inputs(taxi):
    inputs = json.loads((taxi.live / "assets.extra" / "signature_inputs.json").read_text())["inputs"]
    columns = {entry["column"] for entry in inputs.values()}
    assert "fare" in columns
    assert columns.isdisjoint({LABEL, "tips"})
