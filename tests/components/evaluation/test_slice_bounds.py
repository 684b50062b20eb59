"""Thresholds inside the real TFMA: few rows decide nothing, in slices and over all rows; others do."""

import json

import numpy as np
import pandas as pd
import pytest

from taxiway.components.evaluation.binary import BinarySums
from taxiway.components.evaluation.config import EvaluationConfig, name_slice_bound, strip_slice_bound
from taxiway.components.evaluation.metrics import ClassSums, RegressionSums
from taxiway.components.evaluation.slice_bounds import has_enough_rows


def test_a_slice_of_nine_rows_of_a_class_decides_nothing():
    import tensorflow_model_analysis as tfma
    from tensorflow_model_analysis.evaluators import metrics_validator
    from tensorflow_model_analysis.metrics.metric_types import MetricKey

    from taxiway.components.evaluation.eval_config import add_decision_thresholds, build_eval_config

    labels = np.r_[np.tile([0, 1], 50), np.zeros(80), np.ones(9)]
    part = np.repeat(["large", "small"], [100, 89])
    frame = pd.DataFrame({"y": labels, "probabilities": 0.4 + 0.0 * labels, "part": part})
    bounds = {name: [{"columns": ["part"], "min": 0.7}] for name in ("auc", "recall")}
    config = EvaluationConfig.model_validate({"slices": [["part"]], "slice_thresholds": bounds})
    made = build_eval_config(config, "y", "binary")
    del made.model_specs[:]
    made.model_specs.add(label_key="y", prediction_key="probabilities")
    add_decision_thresholds(made, {"": 0.3})  # all rows are above it
    result = tfma.analyze_raw_data(frame, made)
    names, passed = [name_slice_bound(name, ["part"]) for name in bounds], {}
    for key, outputs in result.slicing_metrics:
        values = {each: value["doubleValue"] for each, value in outputs[""][""].items() if "doubleValue" in value}
        assert (values["auc"], values["recall"]) == (0.5, 1.0)
        if key == (("part", "large"),):
            assert values[name_slice_bound("recall", ["part"])] == 1.0
        if key:
            said = metrics_validator.validate_metrics((key, {MetricKey(name): values[name] for name in names}), made)
            passed[key[0][1]] = said.validation_ok
    assert passed == {"large": False, "small": True}


@pytest.mark.parametrize(("positives", "passed"), [(9, True), (10, False)])
def test_nine_rows_of_a_class_decide_nothing_over_all_rows_either(positives, passed):
    """Where `gates.min_rows_per_class` is 0 or lifted, which leaves nothing else between few rows and a verdict."""
    from tensorflow_model_analysis.evaluators import metrics_validator
    from tensorflow_model_analysis.metrics.metric_types import MetricKey

    from taxiway.components.evaluation.eval_config import build_eval_config
    from taxiway.components.evaluation.slice_bounds import SliceBound

    config = EvaluationConfig.model_validate({"thresholds": {"auc": {"min": 0.7}}})
    made = build_eval_config(config, "y", "binary")
    del made.model_specs[:]
    made.model_specs.add(label_key="y", prediction_key="probabilities")
    (bound,) = [metric for metric in made.metrics_specs[0].metrics if metric.per_slice_thresholds]
    labels, sums = np.r_[np.zeros(80), np.ones(positives)], BinarySums()
    sums.add_rows(labels, np.full((len(labels), 1), 0.4))  # an area of 0.5
    asked = SliceBound(**json.loads(bound.config))
    judged = {MetricKey(asked.name): asked.compute(sums.fold_pending())}
    assert asked.name == name_slice_bound("auc", ())
    assert metrics_validator.validate_metrics(((), judged), made).validation_ok == passed


@pytest.mark.parametrize(
    ("sums", "labels", "classes", "enough"),
    [
        (BinarySums, [0] * 50 + [1] * 10, 1, True),
        (BinarySums, [0] * 9 + [1] * 50, 1, False),
        (ClassSums, [0] * 50 + [1] * 6 + [2] * 4, 3, True),
        (ClassSums, [0] * 50 + [2] * 9, 3, False),
        (RegressionSums, [1.5] * 20, 1, True),
        (RegressionSums, [1.5] * 19, 1, False),
        (BinarySums, [], 1, False),
        (ClassSums, [], 3, False),
    ],
)
def test_how_many_rows_are_enough(sums, labels, classes, enough):
    made = sums()
    if labels:
        made.add_rows(np.array(labels, float), np.full((len(labels), classes), 0.5))
    assert has_enough_rows(made.fold_pending()) == enough


def test_names_come_back():
    assert strip_slice_bound(name_slice_bound("recall[a (b)]", ["x", "y)"])) == "recall[a (b)]"
    assert strip_slice_bound(name_slice_bound("recall[a (all rows)]", ())) == "recall[a (all rows)]"
    assert strip_slice_bound("auc") is strip_slice_bound("recall[a (all rows)]") is None
