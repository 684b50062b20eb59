"""Our executor, in batches, against TFMA, row by row: the same slices, the same metrics, the same verdict.

Stands for every task: the models return whatever the column `score` of a row holds.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from google.protobuf import json_format
from tensorflow_model_analysis.slicer import slicer_lib
from tfx.components.evaluator.executor import Executor as TfxExecutor
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts
from tfx.types import standard_component_specs as keys

from taxiway.components.beam.options import BEAM_OPTIONS
from taxiway.components.contract import DROP_SUFFIX, SERVING_DEFAULT
from taxiway.components.errors import DataError
from taxiway.components.evaluation import analysis
from taxiway.components.evaluation.analysis import find_slices, read_labels
from taxiway.components.evaluation.config import (
    EvaluationConfig,
    SliceThreshold,
    Threshold,
    name_drop_bound,
)
from taxiway.components.evaluation.eval_config import (
    add_decision_thresholds,
    build_eval_config,
    build_optimized_eval_config,
    find_batch_obstacle,
)
from taxiway.components.evaluation.executor import Executor
from taxiway.components.metrics.quality_change import compare_quality
from taxiway.components.saved_models.decision_rule import DecisionRule, write_decision_rule
from taxiway.components.tables.examples import judged_rows

ROWS = 700
THRESHOLDS = {tfma.CANDIDATE_KEY: 0.25, tfma.BASELINE_KEY: 0.5}
SLICES = (("word",), ("number",), ("several",), ("word", "number"), ("examples",))


def write_model(folder: Path, factor: float) -> str:
    module = tf.Module()

    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(examples, {"score": tf.io.FixedLenFeature([], tf.float32)})
        return {"probabilities": parsed["score"][:, None] * factor, "classes": tf.as_string(parsed["score"])}

    module.serve = tf.function(serve, input_signature=[tf.TensorSpec([None], tf.string, "rows")], autograph=False)
    tf.saved_model.save(module, str(folder), signatures={SERVING_DEFAULT: module.serve})
    return str(folder)


def write_rows(folder: Path) -> list[str]:
    """Two files: a word that is missing in some rows, a number, several words a row, a label and a score."""
    chance, paths = np.random.default_rng(5), [str(folder / f"data-{i}.gz") for i in range(2)]
    for path in paths:
        with tf.io.TFRecordWriter(path, "GZIP") as out:
            for _ in range(ROWS // 2):
                row, label = tf.train.Example(), int(chance.random() < 0.3)
                feature = row.features.feature
                feature["y"].int64_list.value.append(label)
                feature["score"].float_list.value.append(float(np.clip(chance.normal(0.3 + 0.3 * label, 0.2), 0.01, 1)))
                feature["number"].int64_list.value.append(int(chance.integers(0, 3)))
                feature["examples"].int64_list.value.append(int(chance.integers(0, 2)))
                feature["several"].bytes_list.value.extend(
                    chance.choice([b"a", b"b", "ü".encode()], int(chance.integers(0, 3)), replace=False).tolist()
                )
                if chance.random() < 0.8:
                    feature["word"].bytes_list.value.append([b"x", b"y"][int(chance.integers(0, 2))])
                out.write(row.SerializeToString())
    return paths


def make_artifact(kind, folder: Path, number: int = 0):
    folder.mkdir(parents=True, exist_ok=True)
    artifact = kind()
    artifact.uri, artifact.id = str(folder), number
    return artifact


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """Folders of both evaluations, ours first, and our blessing; TFMA's has its own metrics beside ours."""
    folder = tmp_path_factory.mktemp("evaluation")
    examples = make_artifact(standard_artifacts.Examples, folder / "examples")
    examples.split_names = '["eval"]'
    rows = folder / "examples" / "Split-eval"
    rows.mkdir()
    write_rows(rows)
    config = EvaluationConfig(thresholds={"auc": Threshold(min=0.5)}, slices=SLICES)
    made = build_eval_config(config, "y", "binary", (), 20)
    bounds = build_optimized_eval_config(EvaluationConfig(), "y", "binary", {"auc": 0.5, "log_loss": 0.5})
    made.metrics_specs[0].metrics.extend(m for m in bounds.metrics_specs[0].metrics if m.class_name == "DropBound")
    models = [make_artifact(standard_artifacts.Model, folder / name, i) for i, name in enumerate(("one", "two"), 1)]
    for model, factor in zip(models, (1.0, 0.9), strict=True):
        write_model(Path(model.uri, "Format-Serving"), factor)
    write_decision_rule(DecisionRule(threshold=THRESHOLDS[tfma.CANDIDATE_KEY]), f"{models[0].uri}/Format-Serving")
    blessing = make_artifact(standard_artifacts.ModelBlessing, folder / "blessing")
    executor = Executor(
        BaseBeamExecutor.Context(beam_pipeline_args=[*BEAM_OPTIONS], tmp_dir=str(folder / "tmp"), unique_id="1")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judged_rows, "BATCH_ROWS", 100)  # several batches a file, the last one short
        executor.Do(
            {keys.EXAMPLES_KEY: [examples], keys.MODEL_KEY: models[:1], keys.BASELINE_MODEL_KEY: models[1:]},
            {
                keys.EVALUATION_KEY: [make_artifact(standard_artifacts.ModelEvaluation, folder / "ours")],
                keys.BLESSING_KEY: [blessing],
            },
            {keys.EVAL_CONFIG_KEY: json_format.MessageToJson(made), keys.EXAMPLE_SPLITS_KEY: '["eval"]'},
        )
    add_decision_thresholds(made, THRESHOLDS)
    for name in ("ExampleCount", "BinaryCrossentropy"):
        made.metrics_specs[0].metrics.add(class_name=name, config=f'{{"name": "stock_{name}"}}')
    made.metrics_specs[0].metrics.add(class_name="CalibrationPlot", config='{"name": "stock_plot"}')
    for model, threshold in THRESHOLDS.items():
        settings = json.dumps({"name": f"stock_accuracy_{model}", "threshold": threshold})
        made.metrics_specs[0].metrics.add(class_name="BinaryAccuracy", config=settings)
    shared = [
        tfma.default_eval_shared_model(
            eval_saved_model_path=f"{model.uri}/Format-Serving", model_name=spec.name, eval_config=made
        )
        for model, spec in zip(models, made.model_specs, strict=True)
    ]
    tfma.run_model_analysis(shared, made, data_location=f"{rows}/*", output_path=f"{folder}/stock")
    return str(folder / "ours"), str(folder / "stock"), blessing


@pytest.mark.parametrize("model", [tfma.CANDIDATE_KEY, tfma.BASELINE_KEY])
def test_every_slice_has_tfmas_metrics(sides, model):
    ours, theirs = (tfma.load_eval_result(side, model_name=model).get_metrics_for_all_slices() for side in sides[:2])
    assert set(ours) == set(theirs) and len(ours) == 1 + 2 + 3 + 3 + 6 + 2
    for key, metrics in ours.items():
        stock = {name: value["doubleValue"] for name, value in theirs[key].items()}
        found = {name: value["doubleValue"] for name, value in metrics.items() if DROP_SUFFIX not in name}
        assert found == pytest.approx({name: stock[name] for name in found}, abs=1e-12, nan_ok=True), key
        assert found["example_count"] == stock["stock_ExampleCount"]
        assert found["accuracy"] == pytest.approx(stock[f"stock_accuracy_{model}"], abs=1e-6)
        assert found["log_loss"] == pytest.approx(stock["stock_BinaryCrossentropy"], abs=1e-5)


def test_how_much_worse_is_the_optimizers_paired_interval(sides):
    """Over all rows only, with our executor and with TFMA's."""
    files = sorted(str(path) for path in Path(sides[0]).parent.glob("examples/Split-eval/*.gz"))
    rows = [tf.train.Example.FromString(row.numpy()) for row in tf.data.TFRecordDataset(files, "GZIP")]
    labels = np.array([row.features.feature["y"].int64_list.value[0] for row in rows], float)
    scores = np.array([row.features.feature["score"].float_list.value[0] for row in rows], np.float32)[:, None]
    models = [(scores * np.float32(factor)).astype(float) for factor in (1.0, 0.9)]  # as TensorFlow rounds
    expected = compare_quality(["auc", "log_loss"], labels, *models, 1000, 1, 0.25)
    for side in sides[:2]:
        slices = tfma.load_eval_result(side, model_name=tfma.CANDIDATE_KEY).get_metrics_for_all_slices()
        baseline = tfma.load_eval_result(side, model_name=tfma.BASELINE_KEY).get_metrics_for_all_slices()[()]
        for name, change in expected.items():
            found = slices[()][name_drop_bound(name)]["doubleValue"]
            half = change.drop.high - change.drop.value
            assert half > 1e-5 and found == pytest.approx(change.drop.high, abs=0.2 * half)  # other draws
            assert baseline[name_drop_bound(name)]["doubleValue"] == 0
    ours = tfma.load_eval_result(sides[0], model_name=tfma.CANDIDATE_KEY).get_metrics_for_all_slices()
    assert all(np.isnan(float(each[name_drop_bound("auc")]["doubleValue"])) for key, each in ours.items() if key)


def test_tfmas_pages_show_them(sides):
    """Its table shows ours; its plot needs a metric that makes one, which takes TFMA's own pipeline."""
    ours, stock = (tfma.load_eval_result(side, model_name=tfma.CANDIDATE_KEY) for side in sides[:2])
    shown = {row["slice"]: row["metrics"][""][""] for row in tfma.view.render_slicing_metrics(ours).data}
    assert shown["Overall"]["auc"] == ours.get_metrics_for_all_slices()[()]["auc"]
    assert tfma.view.render_plot(stock).data["calibrationHistogramBuckets"]


def test_each_model_decides_by_the_threshold_that_it_serves(sides):
    configured = tfma.load_eval_result(sides[0], model_name=tfma.CANDIDATE_KEY).config
    settings = [json.loads(metric.config) for metric in configured.metrics_specs[0].metrics]
    assert [each["thresholds"] for each in settings if each["name"] == "f1"] == [THRESHOLDS]
    recalls = [
        tfma.load_eval_result(sides[0], model_name=model).get_metrics_for_all_slices()[()]["recall"]["doubleValue"]
        for model in THRESHOLDS
    ]
    assert recalls[0] > recalls[1] + 0.1


def test_the_verdict_is_tfmas(sides):
    blessing = sides[2]
    assert [path.name for path in Path(blessing.uri).iterdir()] == ["BLESSED"]
    names = ("blessed", "current_model_id", "baseline_model_id")
    assert [blessing.get_int_custom_property(name) for name in names] == [1, 1, 2]
    assert blessing.get_string_custom_property("current_model").endswith("one")
    ours, theirs = (tfma.load_validation_result(side) for side in sides[:2])
    assert ours.validation_ok == theirs.validation_ok is True
    assert {len(side.validation_details.slicing_details) for side in (ours, theirs)} == {1}


def test_slices_of_a_batch():
    table = pa.table(
        {
            "word": pa.array([[b"x"], [], None, [b"x"]], pa.large_list(pa.large_binary())),
            "several": pa.array([[1, 2], [2], [2, 2], []], pa.large_list(pa.int64())),
            "untyped": pa.nulls(4),
        }
    )
    specs = [slicer_lib.SingleSliceSpec(columns=c) for c in ((), ("word",), ("several",), ("absent",), ("untyped",))]
    found = {key: rows.tolist() for key, rows in find_slices(table, specs).items()}
    assert found == {
        (): [0, 1, 2, 3],
        (("word", "x"),): [0, 3],
        (("several", 1),): [0],
        (("several", 2),): [0, 1, 2],
    }
    assert find_slices(table.slice(0, 0), specs) == {}


def test_a_row_without_a_label_is_refused():
    table = pa.table({"y": pa.array([[1], [], None], pa.large_list(pa.int64()))})
    with pytest.raises(DataError, match="2 of 3 evaluation rows have no label 'y'"):
        read_labels(table, "y")
    with pytest.raises(DataError, match="3 of 3 evaluation rows have no label 'z'"):
        read_labels(table, "z")
    assert read_labels(table.slice(0, 1), "y").tolist() == [1.0]


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_all_of_ours_is_computed_from_batches(task):
    metric = "mae" if task == "regression" else "accuracy"
    bounds = {metric: (SliceThreshold(columns=("word",), min=0.0),)}
    for made in (
        build_eval_config(EvaluationConfig(slices=SLICES, slice_thresholds=bounds), "y", task, ("a", "b", "c"), 20),
        build_optimized_eval_config(EvaluationConfig(slices=SLICES), "y", task, {metric: 0.1}, 20),
    ):
        add_decision_thresholds(made, THRESHOLDS)
        assert find_batch_obstacle(made) == ""


def test_a_column_that_a_part_of_the_rows_lacks(tmp_path, monkeypatch):
    [path, _] = write_rows(tmp_path)
    kind = pa.large_list(pa.int64())
    parts = [
        pa.record_batch([pa.array([[1]] * 100, kind), pa.nulls(100)], ["y", "word"]),
        pa.record_batch([pa.array([[1]] * 100, kind), pa.array([[2]] * 100, kind)], ["y", "word"]),
        pa.record_batch([pa.array([[1]] * 150, kind)], ["y"]),
    ]
    monkeypatch.setattr(judged_rows, "read_shard", lambda *_: iter(parts))
    [(_, table)] = judged_rows.read_judged_rows(analysis.find_shard(path), ["y", "word"])
    assert table["word"].to_pylist() == [None] * 100 + [[2]] * 100 + [None] * 150


@pytest.mark.parametrize(("batches", "words"), [((9,), "fewer"), ((ROWS // 2 + 1,), "more"), ((ROWS // 2, 9), "more")])
def test_a_copy_with_other_rows_is_refused(tmp_path, monkeypatch, batches, words):
    [path, _] = write_rows(tmp_path)
    copy = [pa.record_batch([pa.array([[1]] * rows)], ["y"]) for rows in batches]
    monkeypatch.setattr(judged_rows, "read_shard", lambda *_: iter(copy))
    with pytest.raises(DataError, match=rf"data-0.gz has {words} rows than .*data-0.gz"):
        list(judged_rows.read_judged_rows(analysis.find_shard(path), ["y"]))


def test_what_is_not_computed_from_batches_is_tfxs(monkeypatch):
    config = build_eval_config(EvaluationConfig(), "y", "binary")
    assert find_batch_obstacle(config) == ""
    config.metrics_specs[0].metrics.add(class_name="AUC")
    config.options.min_slice_size.value = 5
    assert find_batch_obstacle(config) == "metrics of others: AUC; a least number of rows of a slice"
    given = []
    monkeypatch.setattr(TfxExecutor, "Do", lambda self, *arguments: given.append(arguments))
    model = make_artifact(standard_artifacts.Model, Path())
    properties = {keys.EVAL_CONFIG_KEY: json_format.MessageToJson(config), keys.EXAMPLE_SPLITS_KEY: '["eval"]'}
    Executor().Do({keys.MODEL_KEY: [model]}, {}, properties)
    assert len(given) == 1


def test_columns_are_read_beside_the_rows(tmp_path, monkeypatch):
    """Where the columnar copy is cut into other batches than the rows, each row keeps its own cells."""
    (tmp_path / "Split-test").mkdir()
    [path, _] = write_rows(tmp_path / "Split-test")
    monkeypatch.setattr(judged_rows, "BATCH_ROWS", 90)
    plain = list(judged_rows.read_judged_rows(analysis.find_shard(path), ["word", "y"]))
    batches = [table.to_batches()[0] for _, table in plain]
    odd = pa.Table.from_batches(batches).to_batches(max_chunksize=70)
    monkeypatch.setattr(judged_rows, "read_shard", lambda *_: iter(odd))
    again = list(judged_rows.read_judged_rows(analysis.find_shard(path), ["word", "y"]))
    assert [len(rows) for rows, _ in again] == [90, 90, 90, 80]
    for (rows, table), (other_rows, other_table) in zip(plain, again, strict=True):
        assert rows == other_rows and table.to_pydict() == other_table.to_pydict()
