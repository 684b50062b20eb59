"""The training core: input, model, loop, strategies, checkpoints, export. The trainer and the optimizer use it.

Importing this package loads no TensorFlow; the names below do when they are first asked for.

In the pipeline's process::

    from components.training import TrainingJob, train
    result = train(job, log)                         # in a process of its own

In a process that has TensorFlow, on a `Model` artifact of the trainer::

    from components.training import evaluate, finetune, load_trained, save_servable
    trained = load_trained(model_uri, transform_graph=..., train_files=..., eval_files=...)
    trained.keras_model                              # core Keras, float32: dict of transformed features -> logits
    trained.job                                      # the TrainingJob that made it
    metrics = evaluate(keras_model, trained.job)     # {"loss", "auc", ...} on the eval split
    result = finetune(keras_model, trained.job, epochs=2, learning_rate=1e-4, actions=[...])   # the trainer's own loop
    save_servable(keras_model, trained.job, folder)  # SavedModel with both signatures

An `Action` (`components.training.loop`) runs between calls of the inner loop: `next_step` says when, `run` does it;
`Call` makes one of a function. For tfmot's pruning: `UpdatePruningStep().set_model(model); .on_train_begin()` before
`finetune`, `.on_epoch_end(batch=-1)` after it; the masks move inside the step.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from components.training.config import ModelConfig, TrainingConfig
    from components.training.export import save_servable
    from components.training.job import TrainingJob, TrainingResult
    from components.training.loop import Action
    from components.training.main import train
    from components.training.tuning import Call, Finetuned, Trained, evaluate, finetune, load_trained

_HOMES = {
    "Action": "loop",
    "Call": "tuning",
    "Finetuned": "tuning",
    "ModelConfig": "config",
    "Trained": "tuning",
    "TrainingConfig": "config",
    "TrainingJob": "job",
    "TrainingResult": "job",
    "evaluate": "tuning",
    "finetune": "tuning",
    "load_trained": "tuning",
    "save_servable": "export",
    "train": "main",
}

__all__ = [
    "Action",
    "Call",
    "Finetuned",
    "ModelConfig",
    "Trained",
    "TrainingConfig",
    "TrainingJob",
    "TrainingResult",
    "evaluate",
    "finetune",
    "load_trained",
    "save_servable",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
