"""What a cluster compares before its first step, with workers that are only numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tensorflow as tf

from taxiway.components.errors import TrainingError
from taxiway.components.training.loop import common_start
from taxiway.components.training.loop.checkpoints import Checkpoints


def _replicas(gather: Callable[[float], list[float]], chief: bool = True) -> Any:
    return SimpleNamespace(gather_values=gather, chief=chief)


def test_workers_that_differ_are_named_with_their_values() -> None:
    common_start.check_agreement(_replicas(lambda own: [own, own]), {"last step": 7}, "/checkpoints")
    with pytest.raises(TrainingError, match=r"the same last step \(worker 0: 7, worker 1: 9\)"):
        common_start.check_agreement(_replicas(lambda own: [own, 9]), {"last step": 7}, "/checkpoints")


def test_the_number_of_the_variables_tells_one_bit() -> None:
    one, other = tf.Variable([1.0, 2.0]), tf.Variable([1.0, 2.0000002])
    assert common_start.number_variables([one]) == common_start.number_variables([tf.Variable([1.0, 2.0])])
    assert common_start.number_variables([one]) != common_start.number_variables([other])


def test_a_workers_checkpoint_does_not_count_where_the_chief_has_none(tmp_path: Path) -> None:
    step = tf.Variable(5, dtype=tf.int64)
    mine = Checkpoints(tmp_path, {"step": step}, "one")
    mine.write_checkpoint(5, {})
    step.assign(0)
    gathered = iter([[0.0, 5.0], [0.0, 17.0]])
    meta, refused = common_start.restore_common_checkpoint(mine, _replicas(lambda own: next(gathered), chief=False))
    assert (meta, int(step.numpy()), refused) == (None, 0, [])
    assert common_start._describe_unused([0, 5]) == [
        "Worker 1 has a checkpoint of step 5; the chief's counts, which is of step 0."
    ]


def test_one_process_goes_on_from_its_own(tmp_path: Path) -> None:
    step = tf.Variable(5, dtype=tf.int64)
    mine = Checkpoints(tmp_path, {"step": step}, "one")
    mine.write_checkpoint(5, {"seconds": 2.0})
    step.assign(0)
    meta, _ = common_start.restore_common_checkpoint(mine, _replicas(lambda own: [own]))
    assert meta and meta["seconds"] == 2.0 and int(step.numpy()) == 5
