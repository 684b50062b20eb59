"""Loads a trained model, trains it on with the trainer's own loop, and writes it like the trainer does.

Fine-tuning reads the training split only; the evaluation split is what the result will be judged on.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import tensorflow as tf

from taxiway.components.contract import score_output, training_dir
from taxiway.components.files.patterns import quote_name
from taxiway.components.optimizer.candidate import CandidateModel, TechniqueContext
from taxiway.components.processes import progress
from taxiway.components.training import Call, Trained, TrainingJob, finetune, load_trained
from taxiway.components.training.config import ScheduleConfig
from taxiway.components.training.data.input_pipeline import open_source
from taxiway.components.training.job import JOB_FILE, WEIGHTS_FILE
from taxiway.components.training.loop.loop import Loop
from taxiway.components.training.model import export
from taxiway.components.training.run import apply_class_weights

LOGITS = "logits"
TRAIN_SPLIT = "Split-train"
_NODE = "ModelOptimizer"


def load_model(context: TechniqueContext, candidate: CandidateModel) -> Trained:
    """The Keras model of a candidate with its weights; its job reads this run's training split, and nothing else."""
    train_files = (f"{quote_name(Path(context.transformed_examples, TRAIN_SPLIT))}/*",)
    return load_trained(candidate.uri, transform_graph=context.transform_graph, train_files=train_files, eval_files=())


def read_job(candidate: CandidateModel) -> TrainingJob:
    """The job that trained a candidate."""
    return TrainingJob.model_validate_json(Path(training_dir(candidate.uri), JOB_FILE).read_text(encoding="utf-8"))


def read_weights(candidate: CandidateModel) -> dict[str, dict[str, Any]]:
    """The arrays in a candidate's weights file, by layer and by variable, such as `kernel`. Builds no model."""
    weights: dict[str, dict[str, Any]] = {}

    def collect_array(path: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            layer, variable = path.split("/")[0], path.rsplit("/", 1)[-1].split(":")[0]
            weights.setdefault(layer, {})[variable] = item[()]

    with h5py.File(Path(training_dir(candidate.uri), WEIGHTS_FILE)) as file:
        file.visititems(collect_array)
    return weights


def read_dense_kernels(candidate: CandidateModel) -> dict[str, Any]:
    """The kernels `[inputs, units]` in a candidate's weights file, by layer."""
    return {layer: arrays["kernel"] for layer, arrays in read_weights(candidate).items() if "kernel" in arrays}


class FineTuner:
    """Training rows and number of steps of one fine-tuning, known before it begins: pruning schedules need them."""

    def __init__(self, context: TechniqueContext, job: TrainingJob) -> None:
        self.settings, self.job, self.seed = context.config.fine_tuning, job, context.config.seed
        self.batch = self.settings.batch_size or job.training.global_batch_size
        self.source = open_source(job, "train")
        apply_class_weights(self.source, job)
        per_epoch = self.source.steps_per_epoch(self.batch)
        self.epochs = min(self.settings.epochs, self.settings.max_steps / per_epoch)
        self.steps = max(int(self.epochs * per_epoch), 1)

    def train_model(self, model: Any, doing: str) -> None:
        """Trains `model` in place: any Keras model of the job's inputs and outputs, wrapped or not."""

        def report_step(loop: Loop) -> None:
            progress.report_progress(_NODE, f"{doing}: step {loop.step}/{loop.total_steps}  loss {loop.mean_loss:.4f}")

        finetune(
            model,
            self.job,
            epochs=self.epochs,
            learning_rate=self.settings.learning_rate or self.job.training.optimizer.learning_rate / 3,
            schedule=ScheduleConfig(name="cosine"),
            global_batch_size=self.batch,
            seed=self.seed,
            actions=[Call(report_step, max(self.steps // 10, 1))],
            source=self.source,  # the evaluation split is not looked at
        )


def save_candidate(model: Any, job: TrainingJob, target: CandidateModel) -> None:
    """Writes a candidate like the trainer's artifact, with servable, weights, job and core, without optimizer slots."""
    folder = Path(training_dir(target.uri))
    folder.mkdir(parents=True, exist_ok=True)
    model.save_weights(str(folder / WEIGHTS_FILE))
    (folder / JOB_FILE).write_text(job.model_dump_json(indent=1))
    save_servables(model, job, target)


def save_servables(model: Any, job: TrainingJob, target: CandidateModel) -> None:
    """Writes the whole path and the core of a Keras model as SavedModels."""
    export.save_servable(model, job, target.servable)
    save_core(model, job, target.core)


class KerasModelAdapter:
    """Looks like a Keras model to the exporters, around another function from features to logits.

    Args:
        model: Keras model whose inputs it takes.
        call: Function from a dict of features to logits.
        keeps: Objects that the SavedModel must hold for `call`: variables, or a loaded SavedModel.
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
        return {output: raw if logits else export.build_outputs(raw, job)[output]}

    function = tf.function(core, autograph=False).get_concrete_function(**specs)
    tf.saved_model.save(module, folder, signatures=function)
