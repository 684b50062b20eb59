"""A trained model loaded to be changed, trained on by the trainer's own loop, and written like the trainer writes it.

Fine-tuning reads the training split only; the evaluation split is what the result will be judged on.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import tensorflow as tf

from components import progress
from components.contract import score_output, training_dir
from components.optimizer.variants.base import Piece, Workshop
from components.patterns import quote
from components.training import Call, Trained, TrainingJob, export, finetune, load_trained
from components.training.config import ScheduleConfig
from components.training.input import open_source
from components.training.job import JOB_FILE, WEIGHTS_FILE
from components.training.loop import Loop
from components.training.run import weigh_classes

LOGITS = "logits"
TRAIN_SPLIT = "Split-train"
_NODE = "ModelOptimizer"


def refusal(piece: Piece) -> str:
    """Why a piece cannot be trained on; empty where it can."""
    for name in (JOB_FILE, WEIGHTS_FILE):
        if not Path(training_dir(piece.uri), name).exists():
            return f"it needs the trainer's {name} beside the servable, to change the model and train on"
    return ""


def load(workshop: Workshop, piece: Piece) -> Trained:
    """The Keras model of a piece with its weights; its job reads this run's training split, and nothing else."""
    train_files = (f"{quote(Path(workshop.transformed_examples, TRAIN_SPLIT))}/*",)
    return load_trained(piece.uri, transform_graph=workshop.transform_graph, train_files=train_files, eval_files=())


def job_of(piece: Piece) -> TrainingJob:
    """The job that made a piece."""
    return TrainingJob.model_validate_json(Path(training_dir(piece.uri), JOB_FILE).read_text(encoding="utf-8"))


def written_weights(piece: Piece) -> dict[str, dict[str, Any]]:
    """The arrays in a piece's weights file, by layer and by variable, such as `kernel`. Builds no model."""
    found: dict[str, dict[str, Any]] = {}

    def take(path: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            layer, variable = path.split("/")[0], path.rsplit("/", 1)[-1].split(":")[0]
            found.setdefault(layer, {})[variable] = item[()]

    with h5py.File(Path(training_dir(piece.uri), WEIGHTS_FILE)) as file:
        file.visititems(take)
    return found


def dense_kernels(piece: Piece) -> dict[str, Any]:
    """The kernels `[inputs, units]` in a piece's weights file, by layer."""
    return {layer: arrays["kernel"] for layer, arrays in written_weights(piece).items() if "kernel" in arrays}


class Tuning:
    """Training rows and length of one fine-tuning, known before the model is changed: schedules of pruning need it."""

    def __init__(self, workshop: Workshop, job: TrainingJob) -> None:
        self.settings, self.job, self.seed = workshop.config.fine_tuning, job, workshop.config.seed
        self.batch = self.settings.batch_size or job.training.global_batch_size
        self.source = open_source(job, "train")
        weigh_classes(self.source, job)
        per_epoch = self.source.steps_per_epoch(self.batch)
        self.epochs = min(self.settings.epochs, self.settings.max_steps / per_epoch)
        self.steps = max(int(self.epochs * per_epoch), 1)

    def run(self, model: Any, doing: str) -> None:
        """Trains `model` in place: any Keras model of the job's inputs and outputs, wrapped or not."""

        def tell(loop: Loop) -> None:
            progress.report(_NODE, f"{doing}: step {loop.step}/{loop.total_steps}  loss {loop.mean_loss:.4f}")

        finetune(
            model,
            self.job,
            epochs=self.epochs,
            learning_rate=self.settings.learning_rate or self.job.training.optimizer.learning_rate / 3,
            schedule=ScheduleConfig(name="cosine"),
            global_batch_size=self.batch,
            seed=self.seed,
            actions=[Call(tell, max(self.steps // 10, 1))],
            source=self.source,  # the evaluation split is not looked at
        )


def save(model: Any, job: TrainingJob, made: Piece) -> None:
    """Writes a piece like the trainer's artifact: servable, weights and job, and the core. No optimizer slots."""
    folder = Path(training_dir(made.uri))
    folder.mkdir(parents=True, exist_ok=True)
    model.save_weights(str(folder / WEIGHTS_FILE))
    (folder / JOB_FILE).write_text(job.model_dump_json(indent=1))
    save_servables(model, job, made)


def save_servables(model: Any, job: TrainingJob, made: Piece) -> None:
    """Writes the whole path and the core of a Keras model as SavedModels."""
    export.save_servable(model, job, made.servable)
    save_core(model, job, made.core)


class StandIn:
    """What the exporters ask of a Keras model, around another function from features to logits.

    Args:
        model: Whose inputs it has.
        call: From a dict of features to logits.
        keeps: What the SavedModel must hold for `call`: variables, or a loaded SavedModel.
    """

    def __init__(self, model: Any, call: Callable[[dict[str, Any]], Any], keeps: list[Any]) -> None:
        self.inputs, self.input_names, self.variables = model.inputs, model.input_names, keeps
        self._call = call

    def __call__(self, features: dict[str, Any], training: bool = False) -> Any:
        return self._call(features)


def save_core(model: Any, job: TrainingJob, folder: str, logits: bool = False) -> None:
    """The model without parsing and transform: dense transformed features `[batch, *shape]` by name to scores, or to
    the `logits` that they are made of."""
    output = LOGITS if logits else score_output(job.task)
    specs = {
        name: tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype, name)
        for name, tensor in zip(model.input_names, model.inputs, strict=True)
    }
    module = tf.Module()
    module.model_variables = list(model.variables)

    def core(**features: Any) -> dict[str, Any]:
        raw = tf.cast(model(features, training=False), tf.float32)
        return {output: raw if logits else export.scores(raw, job)[output]}

    function = tf.function(core, autograph=False).get_concrete_function(**specs)
    tf.saved_model.save(module, folder, signatures=function)
