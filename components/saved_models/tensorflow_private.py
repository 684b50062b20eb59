"""Everything private of TensorFlow that loading and calling a SavedModel takes. No other module here names a part.

Each function says which public function is missing. Where a release of TensorFlow has moved a part, its function raises
a `ServingError` that says so; `tests/components/saved_models/test_tensorflow_private.py` finds it before users do.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from taxiway.components.errors import ServingError
from taxiway.components.stack_seam import name_lock

_DISABLE_XLA = "_ZN10tensorflow21DisableXlaCompilationEv"
"""`tensorflow::DisableXlaCompilation()`, as the C++ compiler spells it."""
_REMEDY = (
    f"Install the TensorFlow that this Taxiway was made for ({name_lock()}), or adapt "
    "taxiway/components/saved_models/tensorflow_private.py to this one."
)


def disable_xla() -> None:
    """Makes this process refuse XLA-compiled functions, as TensorFlow Serving does unless its flags say otherwise.

    A signature under `jit_compile` then loads and fails on its first request, here as there. It cannot be undone.

    Missing in TensorFlow's public API: `tf.config.optimizer.set_jit(False)` switches off automatic clustering only;
    functions under `jit_compile` are compiled all the same.

    Raises:
        ServingError: This TensorFlow does not export the function.
    """
    name = "libtensorflow_cc.2.dylib" if sys.platform == "darwin" else "libtensorflow_cc.so.2"
    try:
        ctypes.CDLL(str(Path(tf.sysconfig.get_lib(), name)))[_DISABLE_XLA]()
    except (OSError, AttributeError) as error:
        raise _make_missing_part_error(f"no switch for XLA ({error})") from error


def make_direct_callable(
    session: tf.compat.v1.Session, feeds: Sequence[str], fetches: Sequence[str]
) -> Callable[..., list[Any]]:
    """A function from arrays to arrays that is a thin hull around the runtime's own `RunCallable`.

    Missing in TensorFlow's public API: `Session.make_callable` goes through the Python of `Session.run` whenever there
    are feeds, 50 microseconds for each, which would hide what a benchmark of small models measures.

    Args:
        session: The session; the function holds it.
        feeds: Names of the tensors that take the arguments, in their order.
        fetches: Names of the tensors that are returned.

    Raises:
        ServingError: This TensorFlow's sessions have no such function.
    """
    try:
        make_callable = session._make_callable_from_options
    except AttributeError as error:
        raise _make_missing_part_error(f"sessions without a direct call ({error})") from error
    call: Callable[..., list[Any]] = make_callable(config_pb2.CallableOptions(feed=feeds, fetch=fetches))
    return call


def _make_missing_part_error(what: str) -> ServingError:
    return ServingError(f"TensorFlow {tf.__version__} has {what}.", _REMEDY)
