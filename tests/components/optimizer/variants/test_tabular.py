"""Pruning, quantization and conversion of `kind: tabular`: the ensemble goes through every technique as one model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from taxiway.components.optimizer.variants import structured_pruned
from taxiway.components.training.config import ModelConfig
from tests.components.optimizer.conftest import TABULAR
from tests.components.optimizer.variants.test_variants import kernels
from tests.components.training.synthetic import make_job


def test_every_technique_makes_a_measured_variant(tabular):
    found, _ = tabular
    assert {v.name: v.reason for v in found.variants if v.name in TABULAR and v.status != "measured"} == {}
    assert {v.name for v in found.variants} >= set(TABULAR)


def test_converted_models_answer_as_the_reference_does(tabular):
    found, _ = tabular
    for name, limit in {"frozen": 1e-6, "tflite_float32": 1e-5, "onnx": 1e-5, "int8_weights": 0.05}.items():
        assert found.find_variant(name).output_error.max < limit, name


def test_both_shared_kernels_are_pruned_and_the_members_numbers_are_not(tabular):
    found, out = tabular
    sparsities = {c.name: c.figures["sparsity"] for c in found.find_variant("magnitude_pruned").checks}
    assert sparsities == {"sparsity:hidden_0": 0.75, "sparsity:hidden_1": 0.75}
    written = kernels(out / "exports" / "magnitude_pruned" / "training" / "weights.h5")
    assert set(written) == {"hidden_0", "hidden_1"}
    for column in kernels(out / "exports" / "sparsity_2_4" / "training" / "weights.h5")["hidden_1"].T:
        assert (np.count_nonzero(column.reshape(-1, 4), axis=1) <= 2).all()


def test_structured_pruning_leaves_smaller_kernels(tabular):
    smaller = kernels(tabular[1] / "exports" / "structured_pruned" / "training" / "weights.h5")
    assert smaller["hidden_1"].shape == (32, 16)
    assert smaller["hidden_0"].shape[1] == 32


def test_what_takes_it_further_prunes_the_smaller_model_again(tabular):
    """To shares of the trained model's neurons, and nothing is pruned twice from the start."""
    found, out = tabular
    deepest = found.find_variant("structured_pruned_80")
    assert deepest.techniques == ["structured_pruned", "structured_pruned_65", "structured_pruned_80"]
    smaller = kernels(out / "exports" / "structured_pruned_80" / "training" / "weights.h5")
    assert smaller["hidden_1"].shape == (16, 6)  # of 64 and 32; from 8 on a multiple of 4
    flops = [check.figures["flops"] for check in deepest.checks if check.name == "smaller_layers"]
    assert len(flops) == 3 and all(a > b for a, b in flops)
    assert [a for a, _ in flops[1:]] == [b for _, b in flops[:-1]]


@pytest.mark.parametrize("last", [False, True])
def test_structured_pruning_removes_neurons_that_no_member_reads(last):
    random = np.random.default_rng(3)
    scale = random.normal(size=(4, 8))
    bias, reader = random.normal(size=(4, 8)), random.normal(size=(4, 8, 1) if last else (8, 5))
    read = [0, 2, 3, 5, 6, 7]
    if last:
        reader[:, [1, 4]] = 0
    else:
        reader[[1, 4]] = 0
    kernel, into = random.normal(size=(5, 8)), random.normal(size=(4, 8))
    kept = {"hidden_0": [kernel], "members_0": [scale, bias], "members_into_1": [into], "hidden_1": [reader],
            "logits": [reader, np.zeros((4, 1))]}  # fmt: skip
    assert structured_pruned._shrink_member_layer(kept, 0, 6 / 8, last) == 6
    np.testing.assert_array_equal(kept["hidden_0"][0], kernel[:, read])
    np.testing.assert_array_equal(kept["members_0"][0], scale[:, read])
    np.testing.assert_array_equal(kept["members_0"][1], bias[:, read])
    if last:
        np.testing.assert_array_equal(kept["logits"][0], reader[:, read])
    else:
        np.testing.assert_array_equal(kept["members_into_1"][0], into[:, read])
        np.testing.assert_array_equal(kept["hidden_1"][0], reader[read])


def test_the_smaller_job_rebuilds_the_smaller_model():
    job = make_job(Path("nowhere")).model_copy(
        update={"model": ModelConfig(kind="tabular", hidden_units=(8,), members=2)}
    )
    random = np.random.default_rng(1)
    weights = {"hidden_0": [random.normal(size=(5, 8))], "members_0": [random.normal(size=(2, 8))] * 2,
               "logits": [random.normal(size=(2, 8, 1)), np.zeros((2, 1))]}  # fmt: skip
    smaller, kept = structured_pruned.shrink_tabular_model(weights, job, [0.5])
    assert smaller.model.hidden_units == (4,)
    assert smaller.model.kind == "tabular" and smaller.model.activation == "mish"
    assert kept["logits"][0].shape == (2, 4, 1)
