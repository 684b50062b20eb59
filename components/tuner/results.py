"""What a search leaves: the best settings as TFX's `HyperParameters`, and everything about the trials."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxiway.components.errors import TrainingError
from taxiway.components.training.hyperparameters import encode_value
from taxiway.components.tuner.config import Choices, FloatRange, IntRange, Space, dump_space
from taxiway.components.tuner.job import HYPERPARAMETERS_FILE, RECORDS_FILE, REPORT_FILE, TuningJob, TuningResult
from taxiway.components.tuner.study import ERROR, STOPPED

if TYPE_CHECKING:
    import optuna

LOG = logging.getLogger(__name__)
LEAST_TRIALS = 4
"""Complete trials for which an importance is estimated."""


def write_results(study: optuna.Study, space: Space, job: TuningJob) -> TuningResult:
    """Writes both artifacts' files.

    Raises:
        TrainingError: No trial gave a value.
    """
    best, metric = _require_best(study), job.training_job.training.best_metric
    trials = [_describe_trial(trial) for trial in study.get_trials(deepcopy=False)]
    ended = [trial for trial in trials if trial["state"] in ("complete", "pruned")]
    result = TuningResult(
        metric=metric, value=best.value, best=best.number, trials=len(ended), settings=dict(best.params)
    )
    results, hyperparameters = Path(job.results_dir), Path(job.best_dir)
    for folder in (results, hyperparameters):
        folder.mkdir(parents=True, exist_ok=True)
    report = {
        "version": 1,
        **result.model_dump(),
        "direction": study.direction.name.lower(),
        "space": dump_space(space),
        "importance": estimate_importance(study),
        "all_trials": trials,
    }
    records = [
        {"trial_id": f"{each['number']}", "score": each["value"], **each["settings"]}
        for each in trials
        if each["state"] == "complete"
    ]
    (results / REPORT_FILE).write_text(json.dumps(report, indent=1), encoding="utf-8")
    (results / RECORDS_FILE).write_text(json.dumps(records), encoding="utf-8")
    content = json.dumps(build_keras_config(space, dict(best.params)))
    (hyperparameters / HYPERPARAMETERS_FILE).write_text(content, encoding="utf-8")
    return result


def _require_best(study: optuna.Study) -> Any:
    try:
        return study.best_trial
    except ValueError as error:
        raise TrainingError(
            "No trial of the search came to an end with a value.",
            "Give it more time (tuning.timeout_seconds, 0 for no limit) or more trials (tuning.trials).",
        ) from error


def _describe_trial(trial: Any) -> dict[str, Any]:
    attributes = trial.user_attrs
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "value": trial.value,
        "settings": dict(trial.params),
        "curve": [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)],
        "steps": attributes.get("steps"),
        "seconds": attributes.get("seconds"),
        "metrics": attributes.get("metrics", {}),
        "stopped": attributes.get(STOPPED, ""),
        "error": attributes.get(ERROR, ""),
    }


def estimate_importance(study: optuna.Study) -> dict[str, float]:
    """Share of the values' variance that each setting explains, the largest first (PED-ANOVA, arXiv:2304.10255); empty
    where too few trials ended, or all alike."""
    from optuna import importance
    from optuna.trial import TrialState

    if len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) < LEAST_TRIALS:
        return {}
    try:
        found = importance.get_param_importances(study, evaluator=importance.PedAnovaImportanceEvaluator())
    except (RuntimeError, ValueError) as error:
        LOG.info("no importance: %s", error)
        return {}
    return {name: float(share) for name, share in found.items()}


def build_keras_config(space: Space, values: dict[str, Any]) -> dict[str, Any]:
    """What `keras_tuner.HyperParameters.from_config` reads, and TFX's stock Trainer hands on: the space and the best
    values."""
    import keras_tuner

    hyperparameters = keras_tuner.HyperParameters()
    for name, searched in space.items():
        _add_hyperparameter(hyperparameters, name, searched)
    hyperparameters.values.update(values)
    content: dict[str, Any] = hyperparameters.get_config()
    return content


def _add_hyperparameter(hyperparameters: Any, name: str, searched: IntRange | FloatRange | Choices) -> None:
    if isinstance(searched, Choices):
        choices = [encode_value(value) for value in searched.choices]
        same = len({type(value) for value in choices}) == 1
        hyperparameters.Choice(name, choices if same else [str(value) for value in choices])
        return
    add = hyperparameters.Int if isinstance(searched, IntRange) else hyperparameters.Float
    add(name, searched.low, searched.high, sampling="log" if searched.log else "linear")
