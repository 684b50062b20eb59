"""What `init` proposes about the model and its training, by the number of rows."""

from types import SimpleNamespace

import pytest

from taxiway.components.example_gen.config import LabelConfig
from taxiway.components.training import ModelConfig, TrainingConfig
from taxiway.components.training.kind_defaults import fill_in_training
from taxiway.pipeline.scaffold.label_profile import LabelProfile
from taxiway.pipeline.scaffold.proposal import Proposal
from taxiway.pipeline.scaffold.training import propose_training


def propose(rows, **label):
    proposal = Proposal()
    label = LabelProfile(LabelConfig(column="y", task=label.pop("task", "binary")), missing=0, **label)
    propose_training(SimpleNamespace(rows=rows, label=label), proposal)
    return proposal


@pytest.mark.parametrize(
    ("rows", "batch", "every", "steps"),
    [
        (30, 64, 20, 6000),
        (2_500, 64, 28, 6000),
        (10_000, 128, 55, 6000),
        (75_000, 256, 100, 6000),
        (187_500, 512, 100, 6000),
        (4_000_000, 1024, 100, 8205),
    ],
)
def test_batches_and_evaluations_follow_the_rows(rows, batch, every, steps):
    settings = propose(rows).settings
    assert settings["training.global_batch_size"] == batch
    assert settings["training.evaluate_every_steps"] == every
    assert settings["training.max_steps"] == steps


def test_the_settings_are_valid_and_have_reasons():
    proposal = propose(10_000)
    nested = {}
    for key, value in proposal.settings.items():
        *sections, last = key.split(".")
        inner = nested
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = value
    model, training = ModelConfig.model_validate(nested["model"]), TrainingConfig.model_validate(nested["training"])
    assert (model.kind, model.hidden_units, model.activation) == ("tabular", (128, 128), "mish")
    assert (training.optimizer.name, training.schedule.name, training.ema_decay) == ("adamw", "constant", 0.99)
    assert training.early_stop.patience == 12
    filled = TrainingConfig.model_validate(fill_in_training({"kind": "tabular"}, {}))
    by_rows = {"global_batch_size": 0, "max_steps": 0, "evaluate_every_steps": 0}
    assert filled.model_copy(update=by_rows) == training.model_copy(update=by_rows), "as where the kind alone is given"


def test_every_proposed_setting_has_its_reason():
    proposal = propose(10_000, task="regression", kurtosis=100.0)
    assert {"training.regression_loss", "evaluation.main_metric"} < set(proposal.settings)
    assert [key for key in proposal.settings if not any(proposal.comments.get(key, ()))] == []
