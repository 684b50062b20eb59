from __future__ import annotations

import pytest
from pydantic import ValidationError

from taxiway.components.errors import ConfigError
from taxiway.components.optimizer.config import OptimizationConfig


def test_chains_are_in_the_order_of_the_stages():
    assert OptimizationConfig(variants=("magnitude_pruned+frozen+float16",))
    with pytest.raises((ConfigError, ValidationError), match=r"magnitude_pruned\+frozen"):
        OptimizationConfig(variants=("frozen+magnitude_pruned",))


def test_an_unknown_technique_is_refused_with_close_matches():
    with pytest.raises((ConfigError, ValidationError), match="'frozen'"):
        OptimizationConfig(variants=("forzen",))


def test_a_technique_is_named_once():
    with pytest.raises((ConfigError, ValidationError), match="twice"):
        OptimizationConfig(variants=("frozen+frozen",))


def test_the_deciding_batch_size():
    assert OptimizationConfig(batch_sizes=(32, 1)).deciding_batch_size == 32
    assert OptimizationConfig(batch_sizes=(1, 32), decision_batch_size=1).deciding_batch_size == 1
    assert OptimizationConfig(objective="throughput", decision_batch_size=1).deciding_batch_size == 32
    with pytest.raises(ValidationError, match="not measured"):
        OptimizationConfig(batch_sizes=(1, 32), decision_batch_size=8)


def test_unknown_keys_are_refused():
    with pytest.raises(ValidationError):
        OptimizationConfig.model_validate({"budget": 3})
