"""A trained model loaded to be changed, trained on by the trainer's own loop, and written like the trainer writes it.

Fine-tuning reads the training split only; the evaluation split is what the result will be judged on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from components import progress
from components.contract import training_dir
from components.optimizer.variants.base import Piece, Workshop
from components.training import export, strategies
from components.training.config import ScheduleConfig, TrainingConfig
from components.training.input import MemorySource, open_source
from components.training.job import JOB_FILE, WEIGHTS_FILE, TrainingJob
from components.training.loop import Action, Loop
from components.training.optimizers import build_optimizer
from components.training.run import plain_model, weigh_classes
from components.training.steps import Stepper

TRAIN_SPLIT = "Split-train"
_NODE = "ModelOptimizer"


@dataclass(frozen=True)
class Trained:
    """A trained Keras model and the job that made it, with this run's paths in it.

    Attributes:
        model: Maps a dict of transformed features to logits; float32.
        job: Whose model section describes `model`.
    """

    model: Any
    job: TrainingJob


def refusal(piece: Piece) -> str:
    """Why a piece cannot be trained on; empty where it can."""
    for name in (JOB_FILE, WEIGHTS_FILE):
        if not Path(training_dir(piece.uri), name).exists():
            return f"it needs the trainer's {name} beside the servable, to change the model and train on"
    return ""


def load(workshop: Workshop, piece: Piece) -> Trained:
    """The Keras model of a piece with its weights."""
    folder = Path(training_dir(piece.uri))
    job = TrainingJob.model_validate_json((folder / JOB_FILE).read_text())
    job = job.model_copy(
        update={
            "transform_graph": workshop.transform_graph,
            "train_files": (str(Path(workshop.transformed_examples, TRAIN_SPLIT, "*")),),
            "eval_files": (),  # the split that judges the result
        }
    )
    model = plain_model(job)
    model.load_weights(str(folder / WEIGHTS_FILE))
    return Trained(model, job)


def steps_and_config(workshop: Workshop, job: TrainingJob, rows: int) -> tuple[int, TrainingConfig]:
    """How many steps fine-tuning takes, and the training section it uses: the trainer's, on one device, gentler."""
    wanted, own = workshop.config.fine_tuning, job.training
    batch = wanted.batch_size or own.global_batch_size
    rate = wanted.learning_rate or own.optimizer.learning_rate / 3
    steps = min(max(ceil(wanted.epochs * rows / batch), 1), wanted.max_steps)
    optimizer = own.optimizer.model_copy(update={"learning_rate": rate})
    changes = {
        "strategy": "one_device",
        "precision": "float32",
        "ema_decay": 0.0,
        "accumulate": 1,
        "xla": "off",
        "global_batch_size": batch,
        "optimizer": optimizer,
        "schedule": ScheduleConfig(name="cosine"),
        "seed": workshop.config.seed,
    }
    return steps, own.model_copy(update=changes)


class Told(Action):
    """Tells people how far fine-tuning is."""

    def __init__(self, doing: str) -> None:
        self.doing = doing

    def run(self, loop: Loop) -> None:
        progress.report(_NODE, f"{self.doing}: step {loop.step}/{loop.total_steps}  loss {loop.mean_loss:.4f}")

    def due(self, loop: Loop) -> bool:
        return True


class Tuning:
    """Training data and schedule of one fine-tuning, known before the model is changed: schedules of pruning need it."""

    def __init__(self, workshop: Workshop, trained: Trained) -> None:
        job = trained.job
        self.source: MemorySource = open_source(job, "train")
        weigh_classes(self.source, job)
        self.steps, config = steps_and_config(workshop, job, self.source.rows)
        self.job = job.model_copy(update={"training": config})

    def run(self, model: Any, doing: str, actions: Sequence[Action] = ()) -> None:
        """Trains `model` in place.

        Args:
            model: Any Keras model of the job's inputs and outputs, wrapped or not.
            doing: For the progress line.
            actions: Run between calls of the inner loop.
        """
        replicas = strategies.build_replicas(self.job.training)
        stepper = Stepper(self.job, model, build_optimizer(self.job.training, self.steps), replicas)
        Loop(stepper, self.source, self.steps, [Told(doing), *actions]).run()


def save(model: Any, job: TrainingJob, made: Piece) -> None:
    """Writes a piece like the trainer's artifact: servable, weights and job. The optimizer's slots stay behind."""
    folder = Path(training_dir(made.uri))
    folder.mkdir(parents=True, exist_ok=True)
    model.save_weights(str(folder / WEIGHTS_FILE))
    (folder / JOB_FILE).write_text(job.model_dump_json(indent=1))
    export.save_servable(model, job, made.servable)
