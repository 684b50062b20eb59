"""`sparsity_2_4`: of every four weights along the input axis two are zero, the pattern that sparse tensor cores need.

tfmot draws the mask once, when its step counter is 1, and ignores any schedule: the mask comes from the trained
weights, and fine-tuning moves the others. A kernel with an input size that 4 does not divide is left alone, and named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow_model_optimization as tfmot

from taxiway.components.optimizer.candidate import CandidateModel, Technique, TechniqueContext
from taxiway.components.optimizer.graphs import saved_model
from taxiway.components.optimizer.report import Check
from taxiway.components.optimizer.variants.magnitude_pruned import (
    fine_tune_wrapped,
    list_prunable_kernels,
    refuse_small_kernels,
    wrap_layers,
)
from taxiway.components.optimizer.variants.shared import constant_tuning, finetuning
from taxiway.components.optimizer.variants.shared.pre_checks import refuse_unprunable
from taxiway.components.optimizer.variants.shared.sparsity_pattern import holds_pattern
from taxiway.components.refusal import Refusal

prune = tfmot.sparsity.keras


def _select_layers(kernels: dict[str, Any], context: TechniqueContext) -> tuple[list[str], list[str]]:
    """Names of the layers that get the pattern, and of those that cannot have it."""
    names = list_prunable_kernels(kernels, context.config.pruning.min_weights)
    fits = [name for name in names if kernels[name].shape[0] % 4 == 0]
    return fits, [name for name in names if name not in fits]


def _transform_model(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> Refusal | None:
    names, left = _select_layers(_read_kernels(context, candidate), context)
    if left and not names:
        return Refusal(f"nothing to do: 4 divides the inputs of no dense kernel ({', '.join(left)})")
    if not names:
        return refuse_small_kernels(context)
    if context.given:
        constant_tuning.tune_constants(context, candidate, target, names, _make_masks)
    else:
        _prune_trained(context, candidate, target, names)
    return None


def _make_masks(weights: Mapping[str, Any], progress: float) -> dict[str, Any]:
    """Keeps the two largest of every four weights along the input axis."""
    return {name: _keep_two_of_four(kernel) for name, kernel in weights.items()}


def _keep_two_of_four(kernel: Any) -> Any:
    groups = np.abs(kernel).T.reshape(kernel.shape[1], -1, 4)
    ranks = np.argsort(np.argsort(groups, axis=-1, kind="stable"), axis=-1)
    return (ranks >= 2).reshape(kernel.shape[1], -1).T.astype(np.float32)


def _read_kernels(context: TechniqueContext, candidate: CandidateModel) -> dict[str, Any]:
    if not context.given:
        return finetuning.read_dense_kernels(candidate)
    kernels = constant_tuning.list_kernels(saved_model.load_flat(candidate.servable).graph, 1)
    return {name: kernel for name, kernel in kernels.items() if kernel.ndim == 2}


def _prune_trained(
    context: TechniqueContext, candidate: CandidateModel, target: CandidateModel, names: list[str]
) -> None:
    trained = finetuning.load_model(context, candidate)
    tuning = finetuning.FineTuner(context, trained.job)
    # The schedule only says that masks apply from the first step on.
    schedule = prune.ConstantSparsity(0.5, begin_step=0, frequency=100)
    model = wrap_layers(trained.keras_model, names, pruning_schedule=schedule, sparsity_m_by_n=(2, 4))
    finetuning.save_candidate(fine_tune_wrapped(tuning, model, "2:4 pruning"), trained.job, target)


def _post_check(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> list[Check]:
    kernels = _read_kernels(context, target)
    names, left = _select_layers(kernels, context)
    checks = [_check_pattern(name, kernels[name]) for name in names]
    untouched = ", ".join(left) or "none"
    return [
        *checks,
        Check(
            name="untouched",
            passed=bool(names),
            detail=f"{len(names)} layers have it; left alone, because 4 does not divide their inputs: {untouched}",
            figures={"untouched": left},
        ),
    ]


def _check_pattern(name: str, kernel: Any) -> Check:
    zeros = float(np.mean(kernel == 0))
    return Check(
        name=f"pattern:{name}",
        passed=holds_pattern(kernel),
        detail=f"{zeros:.1%} of {kernel.size} weights are zero, two of every four along the input axis",
        figures={"sparsity": zeros, "weights": int(kernel.size)},
    )


TECHNIQUE = Technique("sparsity_2_4", refuse_unprunable, _transform_model, _post_check)
