"""Proposes the kind of model and how it is trained, by the number of rows.

The settings were found on public tables of 1,000 to 150,000 rows; `docs/benchmarks.md` has what they reach.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from taxiway.components.example_gen.config import TRAIN_SHARE
from taxiway.components.training.kind_defaults import (
    CLIP_LIMIT,
    EMA_DECAY,
    EPOCHS,
    EVERY_STEPS,
    OPTIMIZER,
    PATIENCE,
    SCHEDULE,
)
from taxiway.pipeline.scaffold.profile import TableProfile

if TYPE_CHECKING:
    from taxiway.pipeline.scaffold.proposal import Proposal

BATCH_SIZES = ((2_000, 64), (8_000, 128), (60_000, 256), (150_000, 512))
LARGEST_BATCH = 1024
STEPS, LEAST_EPOCHS = 6_000, 3
EVALUATION_STEPS = (20, EVERY_STEPS)
"""An evaluation each epoch, but neither in fewer steps nor in more."""


def propose_training(profile: TableProfile, proposal: Proposal) -> None:
    """Proposes `kind: tabular` and the settings that suit it; `kind_defaults` has those that no row decides."""
    rows = max(1, int(TRAIN_SHARE * profile.rows))
    batch = next((size for limit, size in BATCH_SIZES if rows <= limit), LARGEST_BATCH)
    per_epoch = math.ceil(rows / batch)
    every = min(max(per_epoch, EVALUATION_STEPS[0]), EVALUATION_STEPS[1])
    proposal.set_value(
        "model.kind",
        "tabular",
        "more exact than wide_and_deep on most tables tried, which trains four times faster; linear is a baseline",
    )
    proposal.set_value("training.global_batch_size", batch, f"by the number of rows: {per_epoch:,} steps an epoch")
    proposal.set_value("training.epochs", EPOCHS, "the most: it ends when evaluations stop getting better")
    steps = max(STEPS, LEAST_EPOCHS * per_epoch)
    proposal.set_value(
        "training.max_steps", steps, f"bounds the time of many rows, but not below {LEAST_EPOCHS} epochs"
    )
    proposal.set_value(
        "training.evaluate_every_steps", every, "by steps: the best weights often lie within a few epochs"
    )
    proposal.set_value(
        "training.early_stop.patience", PATIENCE, "with averaged weights what mattered most on the tables tried"
    )
    proposal.set_value("training.ema_decay", EMA_DECAY, "averaged weights take the place of a falling learning rate")
    proposal.set_value(
        "training.schedule.name",
        SCHEDULE["name"],
        "evaluations end the training: a falling rate would need its end beforehand",
    )
    _propose_optimizer(proposal)
    proposal.set_value("training.clip.limit", CLIP_LIMIT, "one odd batch must not undo what many have learned")
    _propose_loss(profile, proposal)


def _propose_optimizer(proposal: Proposal) -> None:
    reasons = {
        "name": "adam, whose scaling of the gradient leaves the decay of the weights alone",
        "learning_rate": "as on the tables tried; `taxiway tune` looks for a better one",
        "weight_decay": "keeps the kernels of a small table from fitting noise",
    }
    for key, reason in reasons.items():
        proposal.set_value(f"training.optimizer.{key}", OPTIMIZER[key], reason)


def _propose_loss(profile: TableProfile, proposal: Proposal) -> None:
    """Proposes Huber's loss where a few very large labels decide the squared one, with the metric that it is for."""
    label, name = profile.label, profile.label.config.column
    if label.is_heavy_tailed:
        proposal.set_value("training.regression_loss", "huber", "beyond one deviation an error counts in proportion")
        proposal.set_value("evaluation.main_metric", "mae", "the typical error, which huber makes small")
        proposal.add_finding(
            "training.regression_loss",
            f"{name} has a few very large values (kurtosis {label.kurtosis:.3g}; 3 is normal), which decide RMSE and "
            "the squared loss: huber and mae are proposed, for the typical error. Sums of predictions then fall short: "
            "where these or RMSE matter, choose squared and evaluation.main_metric: rmse; to predict the logarithm, "
            f"--label 'log({name})'",
        )
