"""Our metrics inside the real TFMA, against scikit-learn on the same rows."""

import numpy as np
import pandas as pd
import pytest

ROWS, CLASSES = 400, ("setosa", "versi[c]olor", "jungfräulich")


def computed(frame, names, task, prediction):
    """Metrics of all rows and of each half, by slice, through `tfma.analyze_raw_data`."""
    import tensorflow_model_analysis as tfma

    from taxiway.components.evaluation.config import EvaluationConfig
    from taxiway.components.evaluation.eval_config import build_eval_config

    made = build_eval_config(EvaluationConfig(slices=(("half",),)), "y", task, names)
    del made.model_specs[:]
    made.model_specs.add(label_key="y", prediction_key=prediction)
    result = tfma.analyze_raw_data(frame, made)
    found = {}
    for key, outputs in result.slicing_metrics:
        metrics = outputs[""][""]
        found[key[0][1] if key else "all"] = {n: v.get("doubleValue") for n, v in metrics.items()}
    return found


@pytest.fixture(scope="module")
def regression():
    chance = np.random.default_rng(0)
    y = 1e6 + chance.normal(0, 1, ROWS)  # large labels of little variation
    half = np.where(np.arange(ROWS) % 2, "a", "b")
    frame = pd.DataFrame({"y": y, "predictions": y + chance.normal(0, 0.5, ROWS), "half": half})
    return frame, computed(frame, (), "regression", "predictions")


def test_errors_are_scikit_learns_in_every_slice(regression):
    from sklearn.metrics import mean_absolute_error, mean_squared_error, median_absolute_error, r2_score

    frame, found = regression
    for name, rows in (("all", frame), *((h, frame[frame.half == h]) for h in ("a", "b"))):
        assert found[name]["r2"] == pytest.approx(r2_score(rows.y, rows.predictions), abs=1e-9)
        assert found[name]["mae"] == pytest.approx(mean_absolute_error(rows.y, rows.predictions), rel=1e-9)
        assert found[name]["mse"] == pytest.approx(mean_squared_error(rows.y, rows.predictions), rel=1e-9)
        assert found[name]["rmse"] ** 2 == pytest.approx(found[name]["mse"])
        median = median_absolute_error(rows.y, rows.predictions)
        assert found[name]["median_absolute_error"] == pytest.approx(median, rel=1e-9)
        tail = np.quantile(np.abs(rows.y - rows.predictions), 0.9)
        assert found[name]["p90_absolute_error"] == pytest.approx(tail, rel=1e-9)
    assert set(found["all"]) >= {"mae", "mse", "rmse", "r2"}
    assert found["all"]["judged_rows"] == ROWS


@pytest.fixture(scope="module")
def classes():
    chance = np.random.default_rng(1)
    y = chance.integers(0, 3, ROWS)
    y[::2][y[::2] == 2] = 0  # the third class is absent from one half
    scores = chance.random((ROWS, 3)) + np.eye(3)[y]
    scores /= scores.sum(axis=1, keepdims=True)
    half = np.where(np.arange(ROWS) % 2, "a", "b")
    frame = pd.DataFrame({"y": y, "probabilities": list(scores), "half": half})
    return y, scores, half, computed(frame, CLASSES, "multiclass", "probabilities")


def test_macro_averages_are_scikit_learns(classes):
    from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

    y, scores, half, found = classes
    for name, chosen in (("all", half != ""), ("a", half == "a"), ("b", half == "b")):
        present = sorted(set(y[chosen]))
        options = {"average": "macro", "labels": present, "zero_division": 0}
        decided = scores[chosen].argmax(axis=1)
        for ours, theirs in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
            assert found[name][f"macro_{ours}"] == pytest.approx(theirs(y[chosen], decided, **options)), (name, ours)
        areas = [roc_auc_score(y[chosen] == c, scores[chosen, c]) for c in present]
        assert found[name]["macro_auc"] == pytest.approx(np.mean(areas), abs=1e-12)


def test_each_class_by_its_name(classes):
    from sklearn.metrics import precision_score, recall_score

    y, scores, _, found = classes
    decided = scores.argmax(axis=1)
    for index, name in enumerate(CLASSES):
        assert found["all"][f"rows[{name}]"] == (y == index).sum()
        assert found["all"][f"recall[{name}]"] == pytest.approx(recall_score(y == index, decided == index))
        assert found["all"][f"precision[{name}]"] == pytest.approx(precision_score(y == index, decided == index))
    assert found["all"]["judged_rows"] == np.bincount(y).min() and found["b"]["judged_rows"] == 0
    assert np.isnan(float(found["b"]["recall[jungfräulich]"])), "no row of the class, no recall"


def test_what_a_row_alone_gives():
    from taxiway.components.evaluation.metrics import CLASS_METRICS, REGRESSION_METRICS, ClassSums, RegressionSums

    alone = RegressionSums()
    alone.add_rows(np.array([3.0]), np.array([[2.0]]))
    assert np.isnan(REGRESSION_METRICS["r2"](alone.fold_pending())) and REGRESSION_METRICS["mae"](alone) == 1
    assert all(np.isnan(metric(RegressionSums())) for metric in REGRESSION_METRICS.values())
    never_decided = ClassSums()
    never_decided.own, never_decided.decided = np.array([4.0, 0, 0]), np.array([0, 4.0, 0])
    never_decided.hits = np.zeros(3)
    assert CLASS_METRICS["precision"](never_decided)[:2].tolist() == [0.0, 0.0]
    assert np.isnan(CLASS_METRICS["precision"](never_decided)[2])
