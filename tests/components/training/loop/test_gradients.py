"""Gradients are sums over the replicas divided by the true global weight: the same weights however the batch is cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taxiway.components.processes import subprocesses
from tests.components.training.children import weights
from tests.components.training.synthetic import make_job

# 617 rows in batches of 60: the last of each epoch has 17. SGD with momentum: Adam would blow rounding up.
COMMON: dict[str, Any] = {
    "epochs": 4,
    "evaluate_every_steps": 22,
    "global_batch_size": 60,
    "optimizer": {"name": "sgd", "learning_rate": 0.05},
    "class_weights": {"0": 0.5, "1": 2.0},
}
VARIANTS: dict[str, dict[str, Any]] = {
    "one": {},
    "accumulated": {"accumulate": 3},
    "two_replicas": {"strategy": "mirrored", "replicas": 2},
    "uneven_blocks": {"strategy": "mirrored", "replicas": 2, "accumulate": 4},
}
ENSEMBLE = {"ensemble": {}, "ensemble_on_two_replicas": {"strategy": "mirrored", "replicas": 2, "xla": "on"}}
"""`kind: tabular`, with averaged weights."""

# Last in the process: TensorFlow's switch stays on. Adam and dropout, which blow up a difference of one bit.
DETERMINISTIC: dict[str, Any] = {"deterministic": True, "optimizer": {"name": "adam"}, "epochs": 2}
REPEATED = {"once": DETERMINISTIC, "again": DETERMINISTIC, "otherwise": DETERMINISTIC | {"seed": 2}}


@pytest.fixture(scope="module")
def trained(binary_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("gradients")
    jobs = {name: make_job(binary_data, folder / name, training=COMMON | more) for name, more in VARIANTS.items()}
    for name, more in ENSEMBLE.items():
        model = {"kind": "tabular", "members": 3}
        jobs[name] = make_job(binary_data, folder / name, training=COMMON | {"ema_decay": 0.9} | more, model=model)
    for name, more in REPEATED.items():
        jobs[name] = make_job(binary_data, folder / name, training=COMMON | more, model={"dropout": 0.3})
    content = {"jobs": {name: job.model_dump(mode="json") for name, job in jobs.items()}}
    outcome = subprocesses.run_module(
        "tests.components.training.children", content, folder / "log", timeout_seconds=600
    )
    assert outcome.ok, Path(outcome.log).read_text()[-3000:]
    assert outcome.result
    assert outcome.result["deterministic"], "TensorFlow was asked for the same bits"
    return {name: folder / name for name in jobs}


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name != "one"])
def test_weights_are_those_of_one_device(trained: dict[str, Path], variant: str) -> None:
    for expected, actual in zip(weights(trained["one"]), weights(trained[variant]), strict=True):
        np.testing.assert_allclose(actual, expected, atol=2e-5, rtol=2e-4)


def test_an_ensemble_has_the_weights_of_one_device_too(trained: dict[str, Path]) -> None:
    one, two = (weights(trained[name]) for name in ENSEMBLE)
    for expected, actual in zip(one, two, strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-4, rtol=1e-3)


def test_deterministic_mode_repeats_every_bit_and_the_seed_decides(trained: dict[str, Path]) -> None:
    once, again, otherwise = (weights(trained[name]) for name in REPEATED)
    for expected, actual in zip(once, again, strict=True):
        np.testing.assert_array_equal(actual, expected)
    assert any((a != b).any() for a, b in zip(once, otherwise, strict=True))
