"""`magnitude_pruned`: the smallest weights of each dense kernel become zero while the model is trained on.

Sparsity makes the servable smaller once compressed, not faster: dense kernels multiply zeros like any other number.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras

from taxiway.components.optimizer.candidate import CandidateModel, Technique, TechniqueContext
from taxiway.components.optimizer.graphs import saved_model
from taxiway.components.optimizer.report import Check
from taxiway.components.optimizer.variants.shared import constant_tuning, finetuning
from taxiway.components.optimizer.variants.shared.pre_checks import refuse_unprunable
from taxiway.components.refusal import Refusal

prune = tfmot.sparsity.keras
_UPDATES = 40
"""How often the masks are recomputed on the way to the final sparsity."""


def list_prunable_layers(model: Any, min_weights: int) -> list[str]:
    """Names of the dense layers whose kernels are worth pruning; the last decides the scores and is left alone."""
    dense = {layer.name: layer.kernel for layer in model.layers if isinstance(layer, tf_keras.layers.Dense)}
    return list_prunable_kernels(dense, min_weights)


def list_prunable_kernels(kernels: dict[str, Any], min_weights: int) -> list[str]:
    """The names of kernels `[inputs, units]` that are large enough and not the last one's."""
    shapes = {name: tuple(kernel.shape) for name, kernel in kernels.items()}
    return [name for name, (inputs, units) in shapes.items() if inputs * units >= min_weights and units > 1]


def wrap_layers(model: Any, names: list[str], **how: Any) -> Any:
    """The model with the named layers wrapped by tfmot; the wrapped layers share their weights with the model's."""

    def wrap_layer(layer: Any) -> Any:
        return prune.prune_low_magnitude(layer, **how) if layer.name in names else layer

    return tf_keras.models.clone_model(model, clone_function=wrap_layer)


def fine_tune_wrapped(tuning: finetuning.FineTuner, model: Any, doing: str) -> Any:
    """Trains a wrapped model and takes the wrappers off.

    The callback's last call puts the masks on once more: without it the optimizer's last step has filled the zeros.
    """
    callback = prune.UpdatePruningStep()
    callback.set_model(model)
    callback.on_train_begin()
    tuning.train_model(model, doing)
    callback.on_epoch_end(batch=-1)
    return prune.strip_pruning(model)


def _transform_model(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> Refusal | None:
    if not context.given:
        return _prune_trained(context, candidate, target)
    names = list(_list_given_kernels(context, candidate))
    if not names:
        return refuse_small_kernels(context)
    masks = partial(_make_masks, sparsity=context.config.pruning.final_sparsity_fraction)
    constant_tuning.tune_constants(context, candidate, target, names, masks)
    return None


def refuse_small_kernels(context: TechniqueContext) -> Refusal:
    """Says that a model has no kernel that is worth pruning."""
    return Refusal(
        f"nothing to do: no dense kernel, but for the last, has {context.config.pruning.min_weights} weights or more "
        "(pruning.min_weights)"
    )


def _make_masks(weights: Mapping[str, Any], progress: float, sparsity: float) -> dict[str, Any]:
    """Keeps the largest weights of each kernel; the share of zeros grows with the cube of the rest of the way."""
    share = sparsity * (1 - (1 - progress) ** 3)
    return {name: _keep_largest(kernel, share) for name, kernel in weights.items()}


def _keep_largest(kernel: Any, share: float) -> Any:
    mask = np.ones(kernel.size, np.float32)
    mask[np.argsort(np.abs(kernel), axis=None, kind="stable")[: int(np.ceil(share * kernel.size))]] = 0.0
    return mask.reshape(kernel.shape)


def _list_given_kernels(context: TechniqueContext, candidate: CandidateModel) -> dict[str, Any]:
    graph = saved_model.load_flat(candidate.servable).graph
    return constant_tuning.list_kernels(graph, context.config.pruning.min_weights)


def _prune_trained(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> Refusal | None:
    trained = finetuning.load_model(context, candidate)
    names = list_prunable_layers(trained.keras_model, context.config.pruning.min_weights)
    if not names:
        return refuse_small_kernels(context)
    tuning = finetuning.FineTuner(context, trained.job)
    settings = context.config.pruning
    end = max(int(tuning.steps * settings.end_fraction), 1)
    schedule = prune.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=settings.final_sparsity_fraction,
        begin_step=0,
        end_step=end,
        frequency=max(end // _UPDATES, 1),
    )
    model = wrap_layers(trained.keras_model, names, pruning_schedule=schedule)
    finetuning.save_candidate(fine_tune_wrapped(tuning, model, "pruning"), trained.job, target)
    return None


def _post_check(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> list[Check]:
    """Zeros are counted in the weights that were written, after the wrappers are off."""
    if context.given:
        return _check_given(context, candidate, target)
    kernels = finetuning.read_dense_kernels(target)
    names = list_prunable_kernels(kernels, context.config.pruning.min_weights)
    return [_check_sparsity(name, kernels[name], context.config.pruning.final_sparsity_fraction) for name in names]


def _check_given(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> list[Check]:
    """Zeros are counted in the constants that were written; the names are those of the original."""
    kernels = constant_tuning.list_kernels(saved_model.read_flat(target.servable).graph, 1)
    wanted = context.config.pruning.final_sparsity_fraction
    return [_check_sparsity(name, kernels[name], wanted) for name in _list_given_kernels(context, candidate)]


def _check_sparsity(name: str, kernel: Any, wanted: float) -> Check:
    share = float(np.mean(kernel == 0))
    return Check(
        name=f"sparsity:{name}",
        passed=share >= wanted - 1.5 / kernel.size - 1e-6,
        detail=f"{share:.1%} of {kernel.size} weights are zero, {wanted:.0%} wanted",
        figures={"sparsity": share, "weights": int(kernel.size)},
    )


TECHNIQUE = Technique("magnitude_pruned", refuse_unprunable, _transform_model, _post_check)
