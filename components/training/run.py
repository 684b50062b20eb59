"""One training run, from job to exported model: what the training process does."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import tensorflow as tf
import tf_keras

from taxiway.components.errors import ConfigError, DataError, TrainingError
from taxiway.components.processes.phases import record_phase
from taxiway.components.saved_models.decision_rule import DecisionRule
from taxiway.components.training.config import TrainingConfig
from taxiway.components.training.data.input_pipeline import open_source
from taxiway.components.training.data.label_facts import LabelFacts
from taxiway.components.training.data.sources import BatchLayout, BatchSource
from taxiway.components.training.distribution import cluster, lost_peers, strategies
from taxiway.components.training.job import (
    HISTORY_FILE,
    JOB_FILE,
    WEIGHTS_FILE,
    LabelScale,
    TrainingJob,
    TrainingResult,
)
from taxiway.components.training.loop import actions, common_start
from taxiway.components.training.loop.asynchronous import AsyncStepper
from taxiway.components.training.loop.checkpoints import FINISHED_FILE, Checkpoints
from taxiway.components.training.loop.history import History
from taxiway.components.training.loop.loop import Action, Loop
from taxiway.components.training.loop.steps import Stepper
from taxiway.components.training.loop.tensorboard import ProfileAction, TensorBoardAction
from taxiway.components.training.loop.xla_choice import XlaChoice
from taxiway.components.training.model import export
from taxiway.components.training.model.autograph import keep_keras_unconverted
from taxiway.components.training.model.build import build_model
from taxiway.components.training.model.linear_weights import describe_linear_weights
from taxiway.components.training.model.losses import compute_class_weights
from taxiway.components.training.model.optimizers import build_optimizer
from taxiway.components.training.model.warm_start import warm_start_model

if TYPE_CHECKING:
    from taxiway.components.training.decision import JudgedRows

LOG = logging.getLogger(__name__)
MOST_JUDGED_ROWS = 500_000
"""Rows of `eval` on which temperature and threshold are fitted: three numbers need no more."""


def run_training(job: TrainingJob, terminated: Callable[[], bool] = lambda: False) -> TrainingResult:
    """Trains, or resumes training, and exports the best checkpoint.

    Args:
        job: The job.
        terminated: Whether the process was asked to end; looked at between calls of the inner loop.

    Raises:
        ConfigError, DataError: the job cannot be done as asked.
        TrainingError: training could not finish.
    """
    cpu_start = time.process_time()
    strategies.prepare_devices(job.training)
    if job.training.strategy == "parameter_server" and strategies.require_cluster_task()[0] != "chief":
        serve_until_chief_ends(job)
    with ExitStack() as stack:
        with lost_peers.end_when_peers_are_lost():
            run = _begin_run(job, stack, terminated, cpu_start)
            stopped = run.train_to_end()
            cluster.end_heartbeat()
        return run.export_best(stopped)  # the chief alone: no step is made, and none is awaited


def _begin_run(job: TrainingJob, stack: ExitStack, terminated: Callable[[], bool], cpu_start: float) -> _TrainingRun:
    """Opens the rows and builds the model, together with the other members of the cluster."""
    replicas = strategies.build_replicas(job.training)
    cluster.send_heartbeat()
    workers = replicas.workers if replicas.coordinator is None else 1
    with record_phase("read", "open the rows"):
        train = open_source(job, "train", replicas.first // replicas.local, workers, replicas.gather_values)
        eval_source = open_source(job, "eval", gather=replicas.gather_values)
    job = add_label_facts(job, train.facts)
    apply_class_weights(train, job)
    total = count_total_steps(job.training, train)
    with record_phase("trace", "build the model"), replicas.strategy.scope():
        stepper = build_stepper(job, replicas, total)
    folder = job.checkpoint_dir or stack.enter_context(tempfile.TemporaryDirectory(prefix="taxiway-checkpoints-"))
    return _TrainingRun(job, stepper, train, eval_source, total, folder, terminated, cpu_start)


def serve_until_chief_ends(job: TrainingJob) -> NoReturn:
    """A worker or parameter server's whole life."""
    finished, started = Path(job.checkpoint_dir, FINISHED_FILE), time.time()
    chief = strategies.serve_task()

    def is_finished() -> bool:
        return finished.exists() and finished.stat().st_mtime >= started  # else it is an earlier run's

    lost_peers.end_with_chief(chief, job.training.cluster.start_timeout_seconds, is_finished)


def add_label_facts(job: TrainingJob, labels: LabelFacts) -> TrainingJob:
    """The job with what only the training labels tell: the number of classes, or the label's scale.

    Raises:
        DataError: a label is not what the task needs.
    """
    if job.task == "regression":
        if not labels.finite:
            raise DataError(f"The label {job.label!r} holds values that are not finite.", "Leave those rows out.")
        return job.model_copy(update={"label_scale": LabelScale(mean=labels.mean, scale=labels.deviation or 1.0)})
    classes = len(job.class_labels) or int(labels.high) + 1
    classes = 2 if job.task == "binary" else max(classes, 2)
    if labels.low < 0 or labels.high >= classes:
        raise DataError(
            f"The label {job.label!r} holds {int(labels.low)} to {int(labels.high)}; "
            f"with {classes} classes it is 0 to {classes - 1}.",
            "Set label.task and label.classes to what the data holds.",
        )
    return job.model_copy(update={"classes": classes})


def apply_class_weights(train: BatchSource, job: TrainingJob) -> None:
    """Applies `training.class_weights` to the training rows."""
    weights = find_class_weights(train, job)
    if weights is not None:
        train.weigh_rows(weights)


def find_class_weights(train: BatchSource, job: TrainingJob) -> list[float] | None:
    """The weight of each class in training; None where all weigh 1."""
    if job.task == "regression" or job.training.class_weights == "none":
        return None
    counts = [*train.facts.counts, *[0] * (job.classes - len(train.facts.counts))]
    return compute_class_weights(job.training.class_weights, counts, job.class_labels)


def count_total_steps(config: TrainingConfig, train: BatchSource) -> int:
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
class _TrainingRun:
    """One run: its job, its data, its loop and what it writes."""

    job: TrainingJob
    stepper: Stepper
    train_source: BatchSource
    eval_source: BatchSource
    total: int
    folder: str
    terminated: Callable[[], bool]
    cpu_start: float

    def __post_init__(self) -> None:
        self.rule: DecisionRule | None = None
        config, replicas = self.job.training, self.stepper.replicas
        self.history = History(config.best_metric, config.early_stop)
        self.checkpoints = Checkpoints(
            self.folder,
            self.stepper.list_trackables(),
            self.job.fingerprint,
            config.checkpoint.keep,
            replicas.process,
            replicas.checkpoint_device,
        )
        self.saver = actions.CheckpointSaver(self.checkpoints, self.history)
        self.loop = Loop(self.stepper, self.train_source, self.total, self._build_actions(), self.terminated)

    def _build_actions(self) -> Sequence[Action]:
        config = self.job.training
        every = config.evaluate_every_steps or self.train_source.steps_per_epoch(config.global_batch_size)
        chosen: list[Action] = [actions.ProgressAction(self.history)]
        if config.time_budget_seconds:
            chosen.append(actions.TimeBudgetAction(config.time_budget_seconds))
        self.evaluate = actions.EvaluationAction(self.eval_source, every, self.total, self.saver)
        chosen += [self.evaluate, actions.CheckpointAction(config.checkpoint, self.saver)]
        if config.xla == "auto" and not config.deterministic and self.stepper.replicas.coordinator is None:
            chosen.append(XlaChoice(self.history))
        return [*chosen, *self._build_log_actions(), actions.TerminationAction(self.saver)]

    def _build_log_actions(self) -> Sequence[Action]:
        if not self.job.log_dir or not self.stepper.replicas.chief:
            return []
        chosen: list[Action] = [TensorBoardAction(self.job.log_dir, self.history)]
        if self.job.training.profile_steps:
            chosen.append(ProfileAction(self.job.log_dir, *self.job.training.profile_steps))
        return chosen

    def train_to_end(self) -> str:
        """Trains to the end. Returns why it ended."""
        self.checkpoints.clear_finished()
        self.stepper.replicas.average_values([0.0])  # no worker looks for checkpoints before the chief has cleared them
        self._resume_training()
        if self.history.should_stop:
            return "early_stop"
        return self.loop.run_to_end()

    def _resume_training(self) -> None:
        replicas, fingerprint = self.stepper.replicas, common_start.number_text(self.job.fingerprint)
        self._check_agreement({"job (data, configuration, code)": fingerprint, "last step": self.total})
        meta, refused = common_start.restore_common_checkpoint(self.checkpoints, replicas)
        if meta is not None:
            self.history.restore_state(meta["history"])
            self.loop.resume_training(meta["seconds"], meta["sums"])
            self.saver.last_step = self.loop.step
            LOG.info("resumed from the checkpoint of step %d", self.loop.step)
            self.history.add_event("resumed", step=self.loop.step)
        elif self.job.warm_start_from or self.job.training.warm_start_from:
            self._warm_start(self.job.warm_start_from or self.job.training.warm_start_from)
        for sentence in refused:
            self.history.add_event("checkpoint_refused", reason=sentence)
        if replicas.count > replicas.local:
            weights = common_start.number_variables(self.stepper.list_values())
            self._check_agreement({"checkpoint of step": self.loop.step, "weights": weights})

    def _check_agreement(self, values: Mapping[str, int]) -> None:
        common_start.check_agreement(self.stepper.replicas, values, self.folder)

    def _warm_start(self, source: str) -> None:
        if self.stepper.replicas.coordinator is not None:
            raise ConfigError(
                "training.warm_start does not go with strategy 'parameter_server': its tables are in parts.",
                "Set training.warm_start: none, or choose another strategy.",
            )
        plain = build_plain_model(self.job)
        try:
            copied = warm_start_model(plain, source)
        except ConfigError as error:
            if self.job.training.warm_start != "live" or self.job.training.warm_start_from:
                raise
            # What is live may be served without its weights: no reason to train nothing.
            LOG.warning("training.warm_start: live begins with fresh weights: %s", error)
            self.history.add_event("warm_start_refused", source=source, reason=str(error))
            return
        for variable, value in zip(self.stepper.model.weights, plain.get_weights(), strict=True):
            variable.assign(value)
        for average, variable in zip(self.stepper.average, self.stepper.variables, strict=bool(self.stepper.average)):
            average.assign(variable)
        self.history.add_event("warm_started", source=source, variables=copied)

    def export_best(self, stopped: str) -> TrainingResult:
        """Exports the best checkpoint. Returns the result of the run."""
        best = self.history.best
        if best is None:
            raise TrainingError(
                f"No evaluation gave a finite {self.history.best_metric}.", "Look at the metrics in the training log."
            )
        result = self._build_result(stopped, best)
        if self.stepper.replicas.chief:
            for event in cluster.read_restarts():
                self.history.add_event("restarted", **event)
            with record_phase("write", "export the model"):
                self._write_best_model(self._load_best_model(best["step"]), result)
            self.checkpoints.mark_finished()
            finished = str(Path(self.folder, FINISHED_FILE))
            self.stepper.replicas.touch_on_hosts(finished, self.job.training.cluster.grace_seconds)
        return result.model_copy(update={"decision_rule": self.rule})

    def _write_best_model(self, model: Any, result: TrainingResult) -> None:
        """Writes the model with the decision rule that suits it on the eval split."""
        rule = fit_rule(model, self.job, self.eval_source, find_class_weights(self.train_source, self.job))
        for note in rule.notes if rule else ():
            LOG.warning("decision rule: %s", note)
        job = self.job.model_copy(update={"decision_rule": rule})
        self.rule = rule
        write_model(model, job, self.history, result.model_copy(update={"decision_rule": rule}))

    def _load_best_model(self, step: int) -> Any:
        """The model of a checkpoint in float32 on one device, with the averaged weights where there are any."""
        model = build_plain_model(self.job)
        averages = [tf.Variable(v) for v in model.trainable_variables] if self.stepper.average else []
        self.checkpoints.read_into(step, model=model, average=averages)
        for variable, average in zip(model.trainable_variables, averages, strict=bool(averages)):
            variable.assign(average)
        return model

    def _build_result(self, stopped: str, best: dict[str, Any]) -> TrainingResult:
        return TrainingResult(
            strategy=self.job.training.strategy,
            replicas=max(self.stepper.replicas.count, self.stepper.replicas.workers),
            steps=self.loop.step,
            rows=count_rows_seen(self.train_source.rows, self.job.training.global_batch_size, self.loop.step),
            seconds=round(self.loop.seconds, 3),
            cpu_seconds=round(time.process_time() - self.cpu_start, 3),
            restarts=len(cluster.read_restarts()),
            best_step=best["step"],
            metrics=best["metrics"],
            stopped=stopped,
        )


def fit_rule(
    model: Any, job: TrainingJob, source: BatchSource, class_weights: Sequence[float] | None
) -> DecisionRule | None:
    """The decision rule that suits a model in float32 on one device, on the rows of `eval`; None for a regression."""
    if job.task == "regression":
        return None
    from taxiway.components.training import decision  # SciPy takes time to import, and only the end needs it

    return decision.fit_decision_rule(predict_rows(model, job, source), job.task, job.training, class_weights)


def predict_rows(model: Any, job: TrainingJob, source: BatchSource) -> JudgedRows:
    """What a model says of the first rows of a split, `MOST_JUDGED_ROWS` at most."""
    from taxiway.components.training.decision import JudgedRows

    keep_keras_unconverted()

    @tf.function(autograph=bool(job.model.function))  # type: ignore[untyped-decorator]  # a user's layers may need it
    def predict(features: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return tf.cast(model(features, training=False), tf.float32)

    rows = min(source.rows, MOST_JUDGED_ROWS)
    batch = min(job.training.eval_batch_size, rows)
    parts = [
        (predict(features).numpy(), labels.numpy(), weights.numpy())
        for features, labels, weights in source.make_ordered_batches(BatchLayout(batch)).take(ceil(rows / batch))
    ]
    logits, labels, weights = (np.concatenate(values) for values in zip(*parts, strict=True))
    counts = weights > 0  # the last batch is filled up with rows that do not count
    return JudgedRows(
        logits[counts].astype(np.float64), labels[counts].astype(np.int64), weights[counts].astype(np.float64)
    )


def count_rows_seen(rows: int, batch: int, steps: int) -> int:
    """Rows in the first `steps` steps: the last batch of an epoch is smaller."""
    per_epoch = ceil(rows / batch)
    return steps // per_epoch * rows + min(steps % per_epoch * batch, rows)


def build_plain_model(job: TrainingJob) -> Any:
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
        weights = describe_linear_weights(model, job)
        told = {"linear_weights": weights} if weights else {}
        history.write_history(folder / HISTORY_FILE, result.model_dump() | told)
    if job.export_dir:
        export.save_servable(model, job, job.export_dir)
        LOG.info("exported to %s", job.export_dir)
