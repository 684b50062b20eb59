"""The study: Optuna's trials in a journal, which several processes share and an interrupted search goes on from."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock

from taxiway.components.contract import HIGHER_IS_BETTER
from taxiway.components.tuner.config import Choices, FloatRange, IntRange, Space, TuningConfig
from taxiway.components.tuner.job import JOURNAL_FILE

if TYPE_CHECKING:
    import optuna

LOG = logging.getLogger(__name__)
STUDY = "settings"
STARTUP_TRIALS, STARTUP_SHARE = 10, 3
"""Trials at random before the sampler models them: at most these, and no more than a third of all."""
FEWEST_FAILURES = 3
"""So many trials that fail, with none that gave a value, end the search with their error; with others that did, as many
as there are trials end it with its result, and never fewer than these."""
STOPPED, ERROR = "stopped", "error"
"""What a trial's attributes are called."""
_PRUNERS = {
    "successive_halving": ("SuccessiveHalvingPruner", {"reduction_factor": 3}),
    "hyperband": ("HyperbandPruner", {}),
    "median": ("MedianPruner", {}),
    "none": ("NopPruner", {}),
}


def open_study(storage: str, tuning: TuningConfig, metric: str, workers: int = 1, worker: int = 0) -> optuna.Study:
    """The study of a storage folder; made where there is none.

    Args:
        storage: The folder.
        tuning: The search.
        metric: The metric that is searched for, of `training.best_metric`.
        workers: Processes that search at once.
        worker: Number of this one.
    """
    import optuna
    from optuna.storages import journal

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder = Path(storage)
    folder.mkdir(parents=True, exist_ok=True)
    trials = optuna.storages.JournalStorage(journal.JournalFileBackend(str(folder / JOURNAL_FILE)))
    name, arguments = _PRUNERS[tuning.pruner]
    study = optuna.create_study(
        storage=trials,
        study_name=STUDY,
        load_if_exists=True,
        direction="maximize" if metric in HIGHER_IS_BETTER else "minimize",
        pruner=getattr(optuna.pruners, name)(**arguments),
    )
    # A search that goes on must not draw again what it drew first.
    seed = tuning.seed + 1000 * worker + len(study.get_trials(deepcopy=False))
    startup = max(min(STARTUP_TRIALS, tuning.trials // STARTUP_SHARE), 1)
    study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup, constant_liar=workers > 1)
    return study


def repair_study(study: optuna.Study, first: Mapping[str, Any] | None) -> None:
    """Ends the trials that an interrupted search left, to try their settings again; a new study begins with `first`."""
    from optuna.trial import TrialState

    if not study.get_trials(deepcopy=False) and first:
        study.enqueue_trial(dict(first))
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params:
            study.enqueue_trial(trial.params)


def ask_trial(study: optuna.Study, storage: str, most: int) -> optuna.Trial | None:
    """A new trial; None where as many as asked for have ended or are under way, or as many have failed."""
    with filelock.FileLock(Path(storage, "ask.lock")):
        if (failures := len(list_failures(study))) >= max(most, FEWEST_FAILURES):
            LOG.warning("%d trials failed: the search ends with those that did not", failures)
            return None
        return study.ask() if count_trials(study) < most else None


def list_failures(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Trials that failed by themselves, not those that an interrupted search left."""
    from optuna.trial import TrialState

    failed = study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
    return [trial for trial in failed if ERROR in trial.user_attrs]


def count_trials(study: optuna.Study) -> int:
    """Trials that ended with a value or early, or are under way."""
    from optuna.trial import TrialState

    states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
    return len(study.get_trials(deepcopy=False, states=states))


def suggest_values(trial: optuna.Trial, space: Space) -> dict[str, Any]:
    """A point of the space, plain values by dotted name."""
    return {name: _suggest_value(trial, name, searched) for name, searched in space.items()}


def _suggest_value(trial: optuna.Trial, name: str, searched: IntRange | FloatRange | Choices) -> Any:
    if isinstance(searched, IntRange):
        return trial.suggest_int(name, searched.low, searched.high, log=searched.log)
    if isinstance(searched, FloatRange):
        return trial.suggest_float(name, searched.low, searched.high, log=searched.log)
    from taxiway.components.training.hyperparameters import encode_value

    return trial.suggest_categorical(name, [encode_value(value) for value in searched.choices])
