"""Loads a trained model, fine-tunes it with the trainer's own loop, evaluates it: for the optimizer and for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import tf_keras

from taxiway.components.contract import training_dir
from taxiway.components.errors import TrainingError
from taxiway.components.training.config import ScheduleConfig, TrainingConfig
from taxiway.components.training.data.input_pipeline import open_source
from taxiway.components.training.data.sources import BatchSource
from taxiway.components.training.distribution import strategies
from taxiway.components.training.job import JOB_FILE, WEIGHTS_FILE, TrainingJob
from taxiway.components.training.loop.loop import Action, Loop
from taxiway.components.training.loop.steps import Stepper
from taxiway.components.training.model.optimizers import build_optimizer
from taxiway.components.training.run import apply_class_weights, build_plain_model


@dataclass(frozen=True)
class Trained:
    """A trained model and how it was made.

    Attributes:
        keras_model: float32, not compiled: dict of transformed features to logits.
        job: The job that made it; its label facts (classes, label scale) are filled in.
    """

    keras_model: Any
    job: TrainingJob


@dataclass(frozen=True)
class Finetuned:
    """The result of `finetune`.

    Attributes:
        metrics: The metrics on the eval split after the last step; empty where the caller gave its own rows.
        steps: The number of optimizer steps.
        seconds: Wall time.
        loss: Mean training loss over all steps.
    """

    metrics: dict[str, float]
    steps: int
    seconds: float
    loss: float


def load_trained(model_uri: str, **moved: Any) -> Trained:
    """The Keras model behind a `Model` artifact of the trainer.

    Args:
        model_uri: The artifact's folder.
        moved: Fields of the job that are elsewhere now, such as `transform_graph`, `train_files`, `eval_files`.

    Raises:
        TrainingError: the artifact holds no weights that Taxiway's trainer wrote.
    """
    folder = Path(training_dir(model_uri))
    if not (folder / JOB_FILE).exists() or not (folder / WEIGHTS_FILE).exists():
        raise TrainingError(
            f"{model_uri} holds no {folder.name}/{JOB_FILE} with {WEIGHTS_FILE}: Taxiway's trainer did not make it.",
            "Give the `model` output of the Trainer node.",
        )
    job = TrainingJob.model_validate_json((folder / JOB_FILE).read_text(encoding="utf-8"))
    job = TrainingJob.model_validate({**job.model_dump(), **moved})
    model = build_plain_model(job)
    model.load_weights(str(folder / WEIGHTS_FILE))
    return Trained(model, job)


def finetune(
    keras_model: Any,
    job: TrainingJob,
    *,
    epochs: float = 1.0,
    learning_rate: float | None = None,
    schedule: ScheduleConfig | None = None,
    global_batch_size: int | None = None,
    actions: Sequence[Action] = (),
    seed: int | None = None,
    source: BatchSource | None = None,
) -> Finetuned:
    """Fine-tunes a Keras model in place, on one device of this process, with the trainer's loop.

    Args:
        keras_model: Any core Keras model from the transformed features to logits; only trainable variables move.
        job: Whose data, label and settings apply.
        epochs: Times that every training row is seen; may be a fraction.
        learning_rate: The learning rate, instead of the job's.
        schedule: The schedule, instead of the job's; it ends with the last step.
        global_batch_size: The global batch size, instead of the job's.
        actions: Actions between calls of the inner loop.
        seed: The seed, instead of the job's.
        source: Rows to train on, weighed already, to read them once for several calls; nothing is evaluated then.

    Raises:
        TrainingError: a loss or gradient was not finite.
    """
    config = _make_finetuning_config(job.training, learning_rate, schedule, global_batch_size, seed)
    job = job.model_copy(update={"training": config})
    train, eval_source = (source, None) if source else open_sources(job)
    total = max(ceil(epochs * train.steps_per_epoch(config.global_batch_size) - 1e-9), 1)
    stepper = _build_stepper(keras_model, job, total)
    loop = Loop(stepper, train, total, actions)
    loop.run_to_end()
    metrics = stepper.evaluate_split(eval_source) if eval_source else {}
    return Finetuned(metrics, loop.step, loop.seconds, loop.mean_loss)


def open_sources(job: TrainingJob) -> tuple[BatchSource, BatchSource]:
    """The training rows, weighed as the job says, and the evaluation rows."""
    train = open_source(job, "train")
    apply_class_weights(train, job)
    return train, open_source(job, "eval")


def evaluate(keras_model: Any, job: TrainingJob, source: BatchSource | None = None) -> dict[str, float]:
    """The metrics of a Keras model on the eval split (or on the rows of `source`); see `metrics.compute_metrics`."""
    job = job.model_copy(update={"training": _make_finetuning_config(job.training)})
    return _build_stepper(keras_model, job, 1).evaluate_split(source or open_source(job, "eval"))


def _build_stepper(keras_model: Any, job: TrainingJob, total: int) -> Stepper:
    tf_keras.mixed_precision.set_global_policy("float32")
    replicas = strategies.build_replicas(job.training)
    return Stepper(job, keras_model, build_optimizer(job.training, total), replicas)


def _make_finetuning_config(
    config: TrainingConfig,
    learning_rate: float | None = None,
    schedule: ScheduleConfig | None = None,
    global_batch_size: int | None = None,
    seed: int | None = None,
) -> TrainingConfig:
    """The job's settings on one device of this process, in float32, without what only a whole run has."""
    changes: dict[str, Any] = {"strategy": "one_device", "precision": "float32", "xla": "off", "ema_decay": 0.0}
    if learning_rate is not None:
        changes["optimizer"] = config.optimizer.model_copy(update={"learning_rate": learning_rate})
    given = {"schedule": schedule, "global_batch_size": global_batch_size, "seed": seed}
    return config.model_copy(update=changes | {name: value for name, value in given.items() if value is not None})


class Call(Action):
    """An action of a function: called every so many steps, and once at the end.

    Args:
        function: A function of the loop.
        every: The number of steps between two calls.
        at_end: A function of the loop, called once after the last step.
    """

    def __init__(
        self, function: Callable[[Loop], None], every: int, at_end: Callable[[Loop], None] | None = None
    ) -> None:
        self.function, self.every, self.at_end = function, every, at_end

    def next_step(self, step: int) -> int | None:
        return (step // self.every + 1) * self.every

    def run_action(self, loop: Loop) -> None:
        self.function(loop)

    def end_action(self, loop: Loop) -> None:
        if self.at_end:
            self.at_end(loop)
