"""The pipeline asks both Evaluators for rows of each class; `--force` does not."""

import json

import pytest

from pipeline.config import load
from pipeline.layout import Root


@pytest.mark.parametrize(
    ("force", "overrides", "asked"), [(False, (), 20), (True, (), None), (False, ("gates.min_rows_per_class=0",), None)]
)
def test_both_evaluators_want_rows_of_each_class(tmp_path, force, overrides, asked):
    from pipeline.dag import create_pipeline

    made = create_pipeline(load(overrides=overrides), Root.at(tmp_path), force=force)
    for node in ("Evaluator", "OptimizedEvaluator"):
        (evaluator,) = [each for each in made.components if each.id == node]
        config = json.loads(evaluator.exec_properties["eval_config"])
        (spec,) = config["metricsSpecs"] if "metricsSpecs" in config else config["metrics_specs"]
        (rows,) = [metric for metric in spec["metrics"] if json.loads(metric["config"])["name"] == "judged_rows"]
        bounds = rows.get("perSliceThresholds", rows.get("per_slice_thresholds", []))
        found = [json.dumps(bound).count(str(asked)) > 0 for bound in bounds]
        assert found == ([True] if asked else [])
