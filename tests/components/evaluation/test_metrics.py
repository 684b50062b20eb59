"""Our metrics inside the real TFMA, against scikit-learn on the same rows."""

import numpy as np
import pandas as pd
import pytest

ROWS, CLASSES = 400, ("setosa", "versi[c]olor", "jungfräulich")


def computed(frame, names, task, prediction):
    """Metrics of all rows and of each half, by slice, through `tfma.analyze_raw_data`."""
    import tensorflow_model_analysis as tfma

    from components.evaluation.config import EvaluationConfig
    from components.evaluation.eval_config import eval_config

    made = eval_config(EvaluationConfig(slices=(("half",),)), "y", task, names)
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


def test_r2_is_scikit_learns_in_every_slice(regression):
    from sklearn.metrics import r2_score

    frame, found = regression
    for name, rows in (("all", frame), *((h, frame[frame.half == h]) for h in ("a", "b"))):
        assert found[name]["r2"] == pytest.approx(r2_score(rows.y, rows.predictions), abs=1e-4)
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
    from components.evaluation.metrics import CLASS_METRICS, ClassSums, _Moments

    assert np.isnan(_Moments.of_row(3.0, 2.0, 1.0).r_squared())
    never_decided = ClassSums(3)
    never_decided.own, never_decided.decided = np.array([4.0, 0, 0]), np.array([0, 4.0, 0])
    assert CLASS_METRICS["precision"](never_decided)[:2].tolist() == [0.0, 0.0]
    assert np.isnan(CLASS_METRICS["precision"](never_decided)[2])
