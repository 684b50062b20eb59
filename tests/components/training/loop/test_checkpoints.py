"""What a killed process leaves in the folder of the checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf

from taxiway.components.training.loop.checkpoints import Checkpoints


@pytest.mark.parametrize("process", [0, 1])
def test_what_a_process_killed_while_it_saved_has_left_goes_when_it_starts_again(tmp_path: Path, process: int) -> None:
    """Also where it never saves again, and without touching what the others are writing."""
    step = tf.Variable(5, dtype=tf.int64)
    for number in range(2):
        left = Checkpoints(tmp_path, {"step": step}, process=number).aside
        left.mkdir()
        (left / "variables.data-00000-of-00001").write_text("half")
    started = Checkpoints(tmp_path, {"step": step}, process=process)
    assert [path.name for path in tmp_path.iterdir()] == [f".aside-{1 - process}"]
    started.write_checkpoint(5, {})
    assert started.list_steps() == ([5] if process == 0 else [])
    assert not started.aside.exists()
