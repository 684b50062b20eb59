"""One training run, from job to exported model: what the training process does."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from components.errors import ConfigError, DataError, TrainingError
from components.training import actions, cluster, export, strategies
from components.training.asynchronous import AsyncStepper
from components.training.checkpoints import Checkpoints
from components.training.compiler import ChooseCompiler
from components.training.config import TrainingConfig
from components.training.history import History
from components.training.input import open_source
from components.training.job import HISTORY_FILE, JOB_FILE, WEIGHTS_FILE, LabelScale, TrainingJob, TrainingResult
from components.training.loop import Action, Loop
from components.training.losses import class_weight_list
from components.training.model import build_model
from components.training.optimizers import build_optimizer
from components.training.sources import Source
from components.training.steps import Stepper
from components.training.tensorboard import Profile, TensorBoard
from components.training.warm_start import warm_start

LOG = logging.getLogger(__name__)


def run_training(job: TrainingJob, terminated: Callable[[], bool] = lambda: False) -> TrainingResult:
    """Trains, or goes on training, and exports the best checkpoint.

    Args:
        job: What is asked.
        terminated: Whether the process was asked to end; looked at between calls of the inner loop.

    Raises:
        ConfigError, DataError: the job cannot be done as asked.
        TrainingError: training could not finish.
    """
    strategies.prepare_devices(job.training)
    if job.training.strategy == "parameter_server" and strategies.own_task()[0] != "chief":
        strategies.serve_task()
    replicas = strategies.build_replicas(job.training)
    cluster.beat()
    workers = replicas.workers if replicas.coordinator is None else 1
    train = open_source(job, "train", replicas.first // replicas.local, workers)
    eval_source = open_source(job, "eval")
    job = with_label_facts(job, train.labels)
    weigh_classes(train, job)
    total = total_steps(job.training, train)
    with replicas.strategy.scope():
        stepper = build_stepper(job, replicas, total)
    with ExitStack() as stack:
        folder = job.checkpoint_dir or stack.enter_context(tempfile.TemporaryDirectory(prefix="taxiway-checkpoints-"))
        run = _Run(job, stepper, train, eval_source, total, folder, terminated)
        return run.finish(run.train())


def with_label_facts(job: TrainingJob, labels: np.ndarray) -> TrainingJob:
    """The job with what only the training labels tell: the number of classes, or the label's scale.

    Raises:
        DataError: a label is not what the task needs.
    """
    if job.task == "regression":
        if not np.isfinite(labels).all():
            raise DataError(f"The label {job.label!r} holds values that are not finite.", "Leave those rows out.")
        scale = float(np.std(labels)) or 1.0
        return job.model_copy(update={"label_scale": LabelScale(mean=float(np.mean(labels)), scale=scale)})
    classes = len(job.class_labels) or int(labels.max()) + 1
    classes = 2 if job.task == "binary" else max(classes, 2)
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(
            f"The label {job.label!r} holds {int(labels.min())} to {int(labels.max())}; "
            f"with {classes} classes it is 0 to {classes - 1}.",
            "Set label.task and label.classes to what the data holds.",
        )
    return job.model_copy(update={"classes": classes})


def weigh_classes(train: Source, job: TrainingJob) -> None:
    """Applies `training.class_weights` to the training rows."""
    if job.task == "regression" or job.training.class_weights == "none":
        return
    counts = np.bincount(train.labels.astype(np.int64), minlength=job.classes)
    weights = class_weight_list(job.training.class_weights, counts.tolist(), job.class_labels)
    if weights is not None:
        train.weigh(weights)


def total_steps(config: TrainingConfig, train: Source) -> int:
    """Optimizer steps of the whole run."""
    steps = max(ceil(config.epochs * train.steps_per_epoch(config.global_batch_size) - 1e-9), 1)
    return min(steps, config.max_steps) if config.max_steps else steps


def build_stepper(job: TrainingJob, replicas: strategies.Replicas, total: int) -> Stepper:
    """The model with fresh, seeded weights, and its steps. Inside the strategy's scope."""
    tf_keras.utils.set_random_seed(job.training.seed)
    tf_keras.mixed_precision.set_global_policy(job.training.precision)
    kind = Stepper if replicas.coordinator is None else AsyncStepper
    return kind(job, build_model(job), build_optimizer(job.training, total), replicas)


@dataclass
class _Run:
    """The parts of a run, put together."""

    job: TrainingJob
    stepper: Stepper
    train_source: Source
    eval_source: Source
    total: int
    folder: str
    terminated: Callable[[], bool]

    def __post_init__(self) -> None:
        config, replicas = self.job.training, self.stepper.replicas
        self.history = History(config.best_metric, config.early_stop)
        self.checkpoints = Checkpoints(
            self.folder, self.stepper.trackables(), self.job.fingerprint, config.checkpoint.keep, replicas.chief
        )
        self.saver = actions.Saver(self.checkpoints, self.history)
        self.loop = Loop(self.stepper, self.train_source, self.total, self._actions(), self.terminated)

    def _actions(self) -> Sequence[Action]:
        config = self.job.training
        every = config.evaluate_every_steps or self.train_source.steps_per_epoch(config.global_batch_size)
        chosen: list[Action] = [actions.Progress(self.history)]
        if config.time_budget_seconds:
            chosen.append(actions.TimeBudget(config.time_budget_seconds))
        self.evaluate = actions.Evaluate(self.eval_source, every, self.total, self.saver)
        chosen += [self.evaluate, actions.Checkpoint(config.checkpoint, self.saver)]
        if config.xla == "auto" and not config.deterministic and self.stepper.replicas.coordinator is None:
            chosen.append(ChooseCompiler(self.history))
        return [*chosen, *self._logs(), actions.Termination(self.saver)]

    def _logs(self) -> Sequence[Action]:
        if not self.job.log_dir or not self.stepper.replicas.chief:
            return []
        chosen: list[Action] = [TensorBoard(self.job.log_dir, self.history)]
        if self.job.training.profile_steps:
            chosen.append(Profile(self.job.log_dir, *self.job.training.profile_steps))
        return chosen

    def train(self) -> str:
        """Trains to the end. Returns why it ended."""
        self.checkpoints.begin()
        self.stepper.replicas.agree([0.0])  # nobody looks for checkpoints before the chief has cleared them
        self._resume()
        if self.history.gives_up:
            return "early_stop"
        return self.loop.run()

    def _resume(self) -> None:
        meta, refused = self.checkpoints.restore_newest()
        self._check_agreement(int(meta["step"]) if meta else 0)
        if meta is not None:
            self.history.restore(meta["history"])
            self.loop.resume(meta["seconds"], meta["sums"])
            self.saver.last_step = self.loop.step
            LOG.info("resumed from the checkpoint of step %d", self.loop.step)
            self.history.event("resumed", step=self.loop.step)
        elif self.job.warm_start_from or self.job.training.warm_start_from:
            self._warm_start(self.job.warm_start_from or self.job.training.warm_start_from)
        for sentence in refused:
            self.history.event("checkpoint_refused", reason=sentence)

    def _check_agreement(self, step: int) -> None:
        """Before the first step: every worker begins with the same weights, or none begins.

        Raises:
            TrainingError: they do not, in every worker alike, so that none waits for another.
        """
        digest = int(hashlib.sha256(self.job.fingerprint.encode()).hexdigest()[:10], 16)
        starts = (("checkpoint of step", step), ("job (data, configuration, code)", digest), ("last step", self.total))
        for what, own in starts:
            values = [round(value) for value in self.stepper.replicas.gather(own)]
            if len(set(values)) > 1:
                told = ", ".join(f"worker {worker}: {value}" for worker, value in enumerate(values))
                raise TrainingError(
                    f"The workers do not begin with the same {what} ({told}); together they would train a wrong model.",
                    f"Give every worker the same files and code, and checkpoints on one disk that all of them see "
                    f"({self.folder} is this worker's); or remove that folder on every host, to begin anew.",
                )

    def _warm_start(self, source: str) -> None:
        if self.stepper.replicas.coordinator is not None:
            raise ConfigError(
                "training.warm_start does not go with strategy 'parameter_server': its tables are in parts.",
                "Set training.warm_start: none, or choose another strategy.",
            )
        plain = plain_model(self.job)
        try:
            copied = warm_start(plain, source)
        except ConfigError as error:
            if self.job.training.warm_start != "live" or self.job.training.warm_start_from:
                raise
            # What is live may be served without its weights: no reason to train nothing.
            LOG.warning("training.warm_start: live begins with fresh weights: %s", error)
            self.history.event("warm_start_refused", source=source, reason=str(error))
            return
        for variable, value in zip(self.stepper.model.weights, plain.get_weights(), strict=True):
            variable.assign(value)
        for average, variable in zip(self.stepper.average, self.stepper.variables, strict=bool(self.stepper.average)):
            average.assign(variable)
        self.history.event("warm_started", source=source, variables=copied)

    def finish(self, stopped: str) -> TrainingResult:
        """Exports the best checkpoint and says what was done."""
        best = self.history.best
        if best is None:
            raise TrainingError(
                f"No evaluation gave a finite {self.history.best_metric}.", "Look at the metrics in the training log."
            )
        result = self._result(stopped, best)
        if self.stepper.replicas.chief:
            for event in cluster.restarts():
                self.history.event("restarted", **event)
            write_model(self._exported(best["step"]), self.job, self.history, result)
            self.checkpoints.finish()
        return result

    def _exported(self, step: int) -> Any:
        """The model of a checkpoint in float32 on one device, with the averaged weights where there are any."""
        model = plain_model(self.job)
        averages = [tf.Variable(v) for v in model.trainable_variables] if self.stepper.average else []
        self.checkpoints.read_into(step, model=model, average=averages)
        for variable, average in zip(model.trainable_variables, averages, strict=bool(averages)):
            variable.assign(average)
        return model

    def _result(self, stopped: str, best: dict[str, Any]) -> TrainingResult:
        return TrainingResult(
            strategy=self.job.training.strategy,
            replicas=max(self.stepper.replicas.count, self.stepper.replicas.workers),
            steps=self.loop.step,
            rows=rows_seen(self.train_source.rows, self.job.training.global_batch_size, self.loop.step),
            seconds=round(self.loop.seconds, 3),
            restarts=len(cluster.restarts()),
            best_step=best["step"],
            metrics=best["metrics"],
            stopped=stopped,
        )


def rows_seen(rows: int, batch: int, steps: int) -> int:
    """Rows in the first `steps` steps: the last batch of an epoch is smaller."""
    per_epoch = ceil(rows / batch)
    return steps // per_epoch * rows + min(steps % per_epoch * batch, rows)


def plain_model(job: TrainingJob) -> Any:
    """The job's model in float32 on one device with fresh weights, whatever it was trained with."""
    tf_keras.mixed_precision.set_global_policy("float32")
    return build_model(job)


def write_model(model: Any, job: TrainingJob, history: History, result: TrainingResult) -> None:
    """Writes what a trained `Model` artifact holds: SavedModel, weights, job, history."""
    if job.training_dir:
        folder = Path(job.training_dir)
        folder.mkdir(parents=True, exist_ok=True)
        model.save_weights(str(folder / WEIGHTS_FILE))
        (folder / JOB_FILE).write_text(job.model_dump_json(indent=1))
        history.write(folder / HISTORY_FILE, result.model_dump())
    if job.export_dir:
        export.save_servable(model, job, job.export_dir)
        LOG.info("exported to %s", job.export_dir)
