"""From thresholds to TFMA's configuration, and TFMA's own opinion of it."""

import json

import pytest

from taxiway.components.contract import is_bound
from taxiway.components.errors import ConfigError
from taxiway.components.evaluation.config import EvaluationConfig, Threshold, name_drop_bound, name_slice_bound


def test_an_unknown_metric_is_refused():
    config = EvaluationConfig.model_validate({"thresholds": {"acc": {"min": 0.5}}})
    with pytest.raises(ConfigError, match=r"evaluation\.thresholds names the metric 'acc'"):
        config.check_metrics("binary")


def test_metrics_of_single_classes_need_the_classes():
    config = EvaluationConfig.model_validate({"thresholds": {"recall[virginica]": {"min": 0.5}}})
    config.check_metrics("multiclass", ["setosa", "virginica"])
    with pytest.raises(ConfigError, match=r"label\.classes"):
        config.check_metrics("multiclass")
    with pytest.raises(ConfigError, match=r"recall\[virginia\]"):
        EvaluationConfig.model_validate({"thresholds": {"recall[virginia]": {"min": 0.5}}}).check_metrics(
            "multiclass", ["setosa", "virginica"]
        )


def test_the_main_metric_is_one_that_the_optimizer_measures():
    with pytest.raises(ConfigError, match="the optimizer does not measure"):
        EvaluationConfig(main_metric="r2").check_metrics("regression")


def test_a_main_metric_of_another_package_is_refused_with_what_to_do(monkeypatch):
    from taxiway.components.evaluation import config as module

    monkeypatch.setattr(module, "list_extensions", lambda group: ["matthews"])
    monkeypatch.setattr(module, "find_added_metric", lambda name, task: ("a.package.Matthews", {}))
    EvaluationConfig(metrics=("matthews",), thresholds={"matthews": Threshold(min=0.5)}).check_metrics("binary")
    with pytest.raises(ConfigError, match=r"(?s)'matthews', which the optimizer does not.*thresholds\.matthews"):
        EvaluationConfig(metrics=("matthews",), main_metric="matthews").check_metrics("binary")


@pytest.mark.parametrize(("task", "metric"), [("binary", "matthews"), ("binary", "recall"), ("regression", "r2")])
def test_a_drop_of_a_metric_without_a_paired_interval_is_refused_not_left_out(task, metric):
    from taxiway.components.evaluation.drop_bounds import DropBound
    from taxiway.components.evaluation.eval_config import build_optimized_eval_config

    refused = rf"(?s){metric}.*{task}.*no interval of its difference.*thresholds\.{metric}"
    with pytest.raises(ConfigError, match=refused):
        build_optimized_eval_config(EvaluationConfig(), "y", task, {metric: 0.1})
    with pytest.raises(ConfigError, match=refused):  # of a configuration that was written by hand
        DropBound(name_drop_bound(metric), metric, task)


def test_many_classes_are_measured_where_a_threshold_asks():
    from taxiway.components.evaluation.eval_config import build_eval_config

    names = [str(n) for n in range(100)]
    config = EvaluationConfig.model_validate({"thresholds": {"recall[7]": {"min": 0.5}}})
    made = build_eval_config(config, "y", "multiclass", names)
    single = [m for m in made.metrics_specs[0].metrics if "[" in m.config]
    assert [json.loads(m.config)["name"] for m in single] == ["recall[7]", "recall[7] (all rows)"]


def test_the_optimized_model_may_lose_a_share_of_an_error():
    from taxiway.components.evaluation.eval_config import build_optimized_eval_config

    made = build_optimized_eval_config(EvaluationConfig(), "y", "regression", {"rmse": 0.002})
    rmse, bad_end = [m for m in made.metrics_specs[0].metrics if m.per_slice_thresholds]
    assert bad_end.per_slice_thresholds[0].threshold.value_threshold.upper_bound.value == pytest.approx(0.002)
    change = rmse.per_slice_thresholds[0].threshold.change_threshold
    assert change.relative.value == pytest.approx(0.002)
    assert not change.HasField("absolute")


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_verdict_rests_on_enough_rows_of_each_class(task):
    from taxiway.components.evaluation.eval_config import build_eval_config, build_optimized_eval_config

    main = EvaluationConfig().get_main_metric(task)
    config = EvaluationConfig.model_validate({"thresholds": {main: {"min": 0.1}}})
    for made in (
        build_eval_config(config, "y", task, min_rows_per_class=20),
        build_optimized_eval_config(config, "y", task, {main: 0.1}, 20),
    ):
        assert bounds(made)["judged_rows"] == 20
    assert bounds(build_eval_config(config, "y", task))["judged_rows"] is None
    # Without a threshold on a metric TFMA would bless whatever has the rows.
    assert bounds(build_eval_config(EvaluationConfig(), "y", task, min_rows_per_class=20))["judged_rows"] is None


def bounds(made):
    """Lower bound over all rows by metric; None where there is none."""
    found = {}
    for metric in made.metrics_specs[0].metrics:
        first = next(iter(metric.per_slice_thresholds), None)
        name = json.loads(metric.config)["name"]
        found[name] = first.threshold.value_threshold.lower_bound.value if first else None
    return found


def test_the_optimized_model_is_bound_in_loss_too():
    from taxiway.components.evaluation.eval_config import build_optimized_eval_config
    from taxiway.components.optimizer.config import Constraints

    allowed = Constraints().list_allowed_drops("binary", "auc")
    made = build_optimized_eval_config(EvaluationConfig(), "y", "binary", allowed)
    bounded = {json.loads(m.config)["name"] for m in made.metrics_specs[0].metrics if m.per_slice_thresholds}
    assert bounded == {"auc", "log_loss", "auc (how much worse)", "log_loss (how much worse)"}
    assert list(Constraints().list_allowed_drops("regression", "rmse")) == ["rmse"]


def test_a_metric_is_better_one_way():
    with pytest.raises(ValueError, match="exclude each other"):
        Threshold(max_drop=0.1, max_rise=0.1)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_tfma_accepts_the_configuration(task):
    from tensorflow_model_analysis.proto import config_pb2
    from tensorflow_model_analysis.utils import config_util

    from taxiway.components.evaluation.eval_config import build_eval_config

    main = EvaluationConfig().get_main_metric(task)
    config = EvaluationConfig.model_validate(
        {
            "thresholds": {main: {"min": 0.1}},
            "slices": [["a"], ["a", "b"]],
            "slice_thresholds": {main: [{"columns": ["a"], "max": 0.9}]},
        }
    )
    made = config_util.update_eval_config_with_defaults(build_eval_config(config, "y", task), has_baseline=True)
    config_util.verify_eval_config(made, baseline_required=True)
    assert [spec.is_baseline for spec in made.model_specs] == [False, True]
    assert len(made.slicing_specs) == 3
    bound, in_slices = [m for m in made.metrics_specs[0].metrics if m.per_slice_thresholds]
    assert (bound.class_name, in_slices.class_name) == ("SliceBound", "SliceBound")
    (shown,) = [m for m in made.metrics_specs[0].metrics if json.loads(m.config)["name"] == main]
    assert shown.class_name == eval_metrics(task)[main] and json.loads(bound.config)["otherwise"] == 0.1
    assert not bound.HasField("threshold")  # it would hold in every slice
    (over_all,), (over_a,) = bound.per_slice_thresholds, in_slices.per_slice_thresholds
    assert list(over_all.slicing_specs[0].feature_keys) == [] and list(over_a.slicing_specs[0].feature_keys) == ["a"]
    assert json.loads(in_slices.config)["otherwise"] == 0.9
    assert isinstance(made, config_pb2.EvalConfig)


def eval_metrics(task):
    from taxiway.components.evaluation.config import METRICS

    return {name: class_name.rpartition(".")[2] for name, (class_name, _) in METRICS[task].items()}


def test_an_equal_model_passes_a_tolerance_of_zero():
    from taxiway.components.evaluation.eval_config import build_optimized_eval_config

    made = build_optimized_eval_config(EvaluationConfig(), "y", "binary", {"auc": 0.0})
    auc, bad_end = [m for m in made.metrics_specs[0].metrics if m.per_slice_thresholds]
    assert bad_end.per_slice_thresholds[0].threshold.value_threshold.upper_bound.value == 1e-9
    assert auc.per_slice_thresholds[0].threshold.change_threshold.absolute.value < 0


def test_what_a_threshold_is_asked_of_is_no_metric_to_be_shown():
    names = [name_slice_bound("auc", ["day"]), name_slice_bound("recall[a (b)]", []), name_drop_bound("log_loss")]
    assert all(map(is_bound, names)) and not any(map(is_bound, ("auc", "recall[a (b)]", "rows[all rows]")))
