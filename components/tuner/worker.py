"""One process's trials: it asks the study for settings, trains, and tells how good they were."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from taxiway.components.errors import TaxiwayError, TrainingError
from taxiway.components.processes import progress
from taxiway.components.training.hyperparameters import apply_values
from taxiway.components.training.job import TrainingJob
from taxiway.components.training.trial import TrialResult, TrialRunner, require_value
from taxiway.components.tuner import study as studies
from taxiway.components.tuner.config import Space
from taxiway.components.tuner.job import ASKED_TO_END, TuningJob
from taxiway.components.tuner.space import build_space

if TYPE_CHECKING:
    import optuna

LOG = logging.getLogger(__name__)
NODE = "Tuner"
PRUNED, TIME_IS_UP, TERMINATED = "pruned", "time_budget", "terminated"


def run_trials(job: TuningJob, terminated: Callable[[], bool]) -> None:
    """Runs trials until there are enough, or time is up.

    Raises:
        TrainingError: Every one of the first trials failed, or the process was asked to end.
    """
    training_job, tuning = job.training_job, job.tuning
    worker = _Worker(job, training_job, build_space(tuning, training_job.model, training_job.training), terminated)
    while not worker.is_late():
        trial = studies.ask_trial(worker.study, job.storage, tuning.trials)
        if trial is None:
            return
        worker.run_trial(trial)
        if terminated():
            raise TrainingError(*ASKED_TO_END)


class _Worker:
    def __init__(self, job: TuningJob, training_job: TrainingJob, space: Space, terminated: Callable[[], bool]) -> None:
        self.job, self.training_job, self.space, self.terminated = job, training_job, space, terminated
        self.metric = training_job.training.best_metric
        self.study = studies.open_study(job.storage, job.tuning, self.metric, job.workers, max(job.worker, 0))
        self.runner = TrialRunner(training_job, terminated)

    def is_late(self) -> bool:
        return bool(self.job.deadline) and time.time() > self.job.deadline

    def run_trial(self, trial: optuna.Trial) -> None:
        """One trial, and what became of it in the study."""
        from optuna.trial import TrialState

        values = studies.suggest_values(trial, self.space)
        LOG.info("trial %d: %s", trial.number, values)
        try:
            result = self._train(trial, values)
            value = require_value(result, self.metric)
        except (TaxiwayError, tf.errors.OpError, ValueError, TypeError) as error:
            self._record_failure(trial, error)
            return
        trial.set_user_attr("steps", result.steps)
        trial.set_user_attr("seconds", result.seconds)
        trial.set_user_attr("metrics", result.metrics)
        trial.set_user_attr(studies.STOPPED, result.stopped)
        if result.stopped == TERMINATED:
            return  # it stays open: the search that goes on tries its settings again
        if result.stopped == PRUNED:
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            self.study.tell(trial, value)
        self._report_progress(trial.number, value)

    def _train(self, trial: optuna.Trial, values: dict[str, Any]) -> TrialResult:
        model, training = apply_values(self.training_job.model, self.training_job.training, values)

        def report(evaluation: int, value: float) -> str:
            if self.is_late():
                return TIME_IS_UP
            if value == value:  # NaN cannot be compared
                trial.report(value, evaluation)
            return PRUNED if trial.should_prune() else ""

        return self.runner.run_trial(model, training, report)

    def _record_failure(self, trial: optuna.Trial, error: Exception) -> None:
        """A failed trial counts for nothing; where no other gave a value either, something else is wrong."""
        from optuna.trial import TrialState

        LOG.warning("trial %d failed: %s", trial.number, error)
        trial.set_user_attr(studies.ERROR, str(error)[:2000])
        self.study.tell(trial, state=TrialState.FAIL)
        failed = studies.list_failures(self.study)
        if len(failed) >= studies.FEWEST_FAILURES and not self.study.get_trials(
            deepcopy=False, states=(TrialState.COMPLETE,)
        ):
            raise TrainingError(
                f"The first {len(failed)} trials failed. The last one: {error}",
                "Mend what it names, or search another space (tuning.space).",
            ) from error

    def _report_progress(self, number: int, value: float) -> None:
        done, most = studies.count_trials(self.study), self.job.tuning.trials
        best = _find_best(self.study)
        text = f"; best {best.value:.4g} of trial {best.number}" if best else ""
        progress.report_progress(NODE, f"trial {done}/{most}  {self.metric} {value:.4g}{text}", done / most)


def _find_best(study: optuna.Study) -> Any:
    try:
        return study.best_trial
    except ValueError:  # none has ended
        return None
