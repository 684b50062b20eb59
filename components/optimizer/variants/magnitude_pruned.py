"""`magnitude_pruned`: the smallest weights of each dense kernel become zero while the model is trained on.

Sparsity makes the servable smaller once compressed, not faster: dense kernels multiply zeros like any other number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras

from components.optimizer import finetuning
from components.optimizer.report import Check
from components.optimizer.variants.base import Piece, Technique, Workshop

prune = tfmot.sparsity.keras
_UPDATES = 40
"""How often the masks are drawn anew on the way to the final sparsity."""


def prunable(model: Any, min_weights: int) -> list[str]:
    """Names of the dense layers whose kernels are worth pruning; the last decides the scores and is left alone."""
    dense = {layer.name: layer.kernel for layer in model.layers if isinstance(layer, tf_keras.layers.Dense)}
    return worth_pruning(dense, min_weights)


def worth_pruning(kernels: dict[str, Any], min_weights: int) -> list[str]:
    """The names of kernels `[inputs, units]` that are large enough and not the last one's."""
    shapes = {name: tuple(kernel.shape) for name, kernel in kernels.items()}
    return [name for name, (inputs, units) in shapes.items() if inputs * units >= min_weights and units > 1]


def wrapped(model: Any, names: list[str], **how: Any) -> Any:
    """The model with the named layers wrapped by tfmot; the wrapped layers share their weights with the model's."""

    def wrap(layer: Any) -> Any:
        return prune.prune_low_magnitude(layer, **how) if layer.name in names else layer

    return tf_keras.models.clone_model(model, clone_function=wrap)


def fine_tune_wrapped(tuning: finetuning.Tuning, model: Any, doing: str) -> Any:
    """Trains a wrapped model and takes the wrappers off.

    The callback's last call puts the masks on once more: without it the optimizer's last step has filled the zeros.
    """
    callback = prune.UpdatePruningStep()
    callback.set_model(model)
    callback.on_train_begin()
    tuning.run(model, doing)
    callback.on_epoch_end(batch=-1)
    return prune.strip_pruning(model)


def _pre_check(workshop: Workshop, piece: Piece) -> str:
    return finetuning.refusal(piece)


def _transform(workshop: Workshop, piece: Piece, made: Piece) -> None:
    trained = finetuning.load(workshop, piece)
    tuning = finetuning.Tuning(workshop, trained.job)
    settings = workshop.config.pruning
    end = max(int(tuning.steps * settings.end_fraction), 1)
    schedule = prune.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=settings.final_sparsity_fraction,
        begin_step=0,
        end_step=end,
        frequency=max(end // _UPDATES, 1),
    )
    names = prunable(trained.keras_model, settings.min_weights)
    model = wrapped(trained.keras_model, names, pruning_schedule=schedule)
    finetuning.save(fine_tune_wrapped(tuning, model, "pruning"), trained.job, made)


def _post_check(workshop: Workshop, piece: Piece, made: Piece) -> list[Check]:
    """Zeros are counted in the weights that were written, after the wrappers are off."""
    kernels = finetuning.dense_kernels(made)
    names = worth_pruning(kernels, workshop.config.pruning.min_weights)
    if not names:
        limit = workshop.config.pruning.min_weights
        return [Check(name="sparsity", passed=False, detail=f"no dense kernel has {limit} weights or more")]
    return [_sparsity(name, kernels[name], workshop.config.pruning.final_sparsity_fraction) for name in names]


def _sparsity(name: str, kernel: Any, wanted: float) -> Check:
    share = float(np.mean(kernel == 0))
    return Check(
        name=f"sparsity:{name}",
        passed=share >= wanted - 1.5 / kernel.size - 1e-6,
        detail=f"{share:.1%} of {kernel.size} weights are zero, {wanted:.0%} wanted",
        figures={"sparsity": share, "weights": int(kernel.size)},
    )


TECHNIQUE = Technique("magnitude_pruned", _pre_check, _transform, _post_check)
