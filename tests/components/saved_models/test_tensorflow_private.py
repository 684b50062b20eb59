"""Private parts of TensorFlow are where one module says, and their absence is explained."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from taxiway.components.errors import ServingError
from taxiway.components.saved_models import tensorflow_private


def test_a_tensorflow_without_the_switch_for_xla_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorflow_private, "_DISABLE_XLA", "_ZN10tensorflow4GoneEv")
    with pytest.raises(ServingError, match=r"no switch for XLA .*GoneEv.*\n.*requirements-\w+\.lock"):
        tensorflow_private.disable_xla()


def test_sessions_without_a_direct_call_are_explained() -> None:
    with pytest.raises(ServingError, match=r"sessions without a direct call.*\n.*tensorflow_private\.py"):
        tensorflow_private.make_direct_callable(SimpleNamespace(), ["a:0"], ["b:0"])


def test_a_direct_call_takes_the_feeds_in_their_order() -> None:
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        a, b = (tf.compat.v1.placeholder(tf.float32, [None], name) for name in "ab")
        difference = tf.subtract(a, b)
        call = tensorflow_private.make_direct_callable(session, ["b:0", "a:0"], [difference.name])
        answers = call(np.float32([1, 2]), np.float32([5, 7]))
    assert [answer.tolist() for answer in answers] == [[4.0, 5.0]]
