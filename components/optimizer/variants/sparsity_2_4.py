"""`sparsity_2_4`: of every four weights along the input axis two are zero, the pattern that sparse tensor cores need.

tfmot draws the mask once, when its step counter is 1, and ignores any schedule: the mask comes from the trained
weights, and fine-tuning moves the others. A kernel with an input size that 4 does not divide is left alone, and named.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow_model_optimization as tfmot

from components.optimizer import finetuning
from components.optimizer.report import Check
from components.optimizer.variants.base import Piece, Technique, Workshop
from components.optimizer.variants.magnitude_pruned import fine_tune_wrapped, worth_pruning, wrapped
from components.optimizer.variants.pattern import holds_pattern

prune = tfmot.sparsity.keras


def _pre_check(workshop: Workshop, piece: Piece) -> str:
    return finetuning.refusal(piece)


def _chosen(kernels: dict[str, Any], workshop: Workshop) -> tuple[list[str], list[str]]:
    """Names of the layers that get the pattern, and of those that cannot have it."""
    names = worth_pruning(kernels, workshop.config.pruning.min_weights)
    fits = [name for name in names if kernels[name].shape[0] % 4 == 0]
    return fits, [name for name in names if name not in fits]


def _transform(workshop: Workshop, piece: Piece, made: Piece) -> None:
    trained = finetuning.load(workshop, piece)
    tuning = finetuning.Tuning(workshop, trained.job)
    names, _ = _chosen(finetuning.dense_kernels(piece), workshop)
    # The schedule only says that masks apply from the first step on.
    schedule = prune.ConstantSparsity(0.5, begin_step=0, frequency=100)
    model = wrapped(trained.keras_model, names, pruning_schedule=schedule, sparsity_m_by_n=(2, 4))
    finetuning.save(fine_tune_wrapped(tuning, model, "2:4 pruning"), trained.job, made)


def _post_check(workshop: Workshop, piece: Piece, made: Piece) -> list[Check]:
    kernels = finetuning.dense_kernels(made)
    names, left = _chosen(kernels, workshop)
    checks = [_pattern(name, kernels[name]) for name in names]
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


def _pattern(name: str, kernel: Any) -> Check:
    zeros = float(np.mean(kernel == 0))
    return Check(
        name=f"pattern:{name}",
        passed=holds_pattern(kernel),
        detail=f"{zeros:.1%} of {kernel.size} weights are zero, two of every four along the input axis",
        figures={"sparsity": zeros, "weights": int(kernel.size)},
    )


TECHNIQUE = Technique("sparsity_2_4", _pre_check, _transform, _post_check)
