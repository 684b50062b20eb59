"""Trains one set of settings after another on rows that are read once: the trials of a search. Nothing is exported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tf_keras

from taxiway.components.errors import TrainingError
from taxiway.components.training.config import ModelConfig, TrainingConfig
from taxiway.components.training.distribution import strategies
from taxiway.components.training.job import TrainingJob
from taxiway.components.training.loop.actions import EvaluationAction
from taxiway.components.training.loop.history import History
from taxiway.components.training.loop.loop import Action, Loop
from taxiway.components.training.run import add_label_facts, build_stepper, count_total_steps
from taxiway.components.training.trained_model import open_sources

Report = Callable[[int, float], str]
"""Told of each evaluation, its number from 1 and its value; a word that is not empty ends the trial."""


@dataclass(frozen=True)
class TrialResult:
    """How a trial ended.

    Attributes:
        metrics: Metrics of the best evaluation on the eval split; empty where none was finite.
        best_step: Step of that evaluation.
        steps: Steps taken.
        seconds: Wall time.
        stopped: Why it ended: `done`, `early_stop`, or what the report said.
    """

    metrics: dict[str, float]
    best_step: int
    steps: int
    seconds: float
    stopped: str


class TrialRunner:
    """Keeps the rows and the process warm between trials.

    Args:
        job: The job that is searched for; its splits `train` and `eval` are read, and nothing else.
        terminated: Whether the process was asked to end.

    Raises:
        ConfigError, DataError: the job cannot be done as asked.
    """

    def __init__(self, job: TrainingJob, terminated: Callable[[], bool] = lambda: False) -> None:
        job = job.model_copy(update={"training": simplify_training(job.training)})
        strategies.prepare_devices(job.training)
        self.terminated = terminated
        self.train, self.eval = open_sources(job)
        self.job = add_label_facts(job, self.train.facts)

    def run_trial(self, model: ModelConfig, training: TrainingConfig, report: Report) -> TrialResult:
        """Trains with fresh, seeded weights.

        Raises:
            TrainingError: a loss or gradient was not finite.
            ConfigError: the model cannot be built of these settings.
        """
        tf_keras.backend.clear_session()  # else the graphs of all earlier trials stay in memory
        training = simplify_training(training)
        job = self.job.model_copy(update={"model": model, "training": training})
        history, total = History(training.best_metric, training.early_stop), count_total_steps(training, self.train)
        every = training.evaluate_every_steps or self.train.steps_per_epoch(training.global_batch_size)
        replicas = strategies.build_replicas(training)
        with replicas.strategy.scope():
            stepper = build_stepper(job, replicas, total)
        actions = [EvaluationAction(self.eval, every, total, _NoCheckpoints(history)), ReportAction(history, report)]
        loop = Loop(stepper, self.train, total, actions, self.terminated)
        stopped = loop.run_to_end()
        best = history.best or {"metrics": {}, "step": 0}
        return TrialResult(best["metrics"], best["step"], loop.step, round(loop.seconds, 3), stopped)


def simplify_training(training: TrainingConfig) -> TrainingConfig:
    """The settings on one device of this process; XLA only where it was asked for, since each trial would compile
    anew."""
    xla = "on" if training.xla == "on" else "off"
    return training.model_copy(update={"strategy": "one_device", "xla": xla, "tensorboard": False})


class _NoCheckpoints:
    """A trial that is cut short begins again: it keeps its history alone."""

    def __init__(self, history: History) -> None:
        self.history = history

    def save_checkpoint(self, loop: Loop) -> None:
        pass


class ReportAction(Action):
    """Reports each evaluation, and ends the trial where the answer is a word, or the process was asked to end."""

    def __init__(self, history: History, report: Report) -> None:
        self.history, self.report = history, report
        self.reported = 0

    def is_due(self, loop: Loop) -> bool:
        return loop.terminating or len(self.history.evaluations) > self.reported

    def run_action(self, loop: Loop) -> None:
        if loop.terminating:
            loop.stop_training("terminated")
            return
        self.reported = len(self.history.evaluations)
        metrics = self.history.evaluations[-1]["metrics"]
        if stop := self.report(self.reported, metrics[self.history.best_metric]):
            loop.stop_training(stop)


def require_value(result: TrialResult, metric: str) -> float:
    """The value of the best evaluation.

    Raises:
        TrainingError: No evaluation was finite.
    """
    if metric not in result.metrics:
        raise TrainingError(f"No evaluation gave a finite {metric}.", "Search smaller learning rates.")
    return result.metrics[metric]
