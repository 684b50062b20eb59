"""The training core: input, model, loop, strategies, checkpoints, export. The trainer and the optimizer use it.

Importing this package loads no TensorFlow; the names below do when they are first asked for.

In the pipeline's process::

    from taxiway.components.training import TrainingJob, train
    result = train(job, log)                         # in a process of its own

In a process that has TensorFlow, on a `Model` artifact of the trainer::

    from taxiway.components.training import Call, evaluate, finetune, load_trained, save_servable
    trained = load_trained(model_uri)       # where its data has moved: transform_graph=, train_files=, eval_files=
    model, job = trained.keras_model, trained.job   # float32: dict of transformed features -> logits; its TrainingJob
    metrics = evaluate(model, job)                  # {"loss", "auc", ...} on the eval split
    show = Call(lambda loop: print(loop.step), every=10)
    result = finetune(model, job, epochs=2, learning_rate=1e-4, actions=[show])   # the trainer's own loop
    save_servable(model, job, folder)               # SavedModel with both signatures

An `Action` (`taxiway.components.training.loop.loop`) runs between calls of the inner loop: `next_step` says when,
`run_action` does it; `Call` makes one of a function. For tfmot's pruning call `set_model(model)` and `on_train_begin()`
of an `UpdatePruningStep` before `finetune`, and `on_epoch_end(batch=-1)` after it; the masks move inside the step.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# Not `export_lazily`: the code fingerprint does not read stubs, and the training core counts for the Trainer and the
# optimizer through these imports (`taxiway.pipeline.code_fingerprint`).
if TYPE_CHECKING:
    from taxiway.components.training.config import ModelConfig, TrainingConfig
    from taxiway.components.training.job import TrainingJob, TrainingResult
    from taxiway.components.training.loop.loop import Action
    from taxiway.components.training.main import train
    from taxiway.components.training.model.export import save_servable
    from taxiway.components.training.trained_model import Call, Finetuned, Trained, evaluate, finetune, load_trained

_HOMES = {
    "Action": "loop.loop",
    "Call": "trained_model",
    "Finetuned": "trained_model",
    "ModelConfig": "config",
    "Trained": "trained_model",
    "TrainingConfig": "config",
    "TrainingJob": "job",
    "TrainingResult": "job",
    "evaluate": "trained_model",
    "finetune": "trained_model",
    "load_trained": "trained_model",
    "save_servable": "model.export",
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
