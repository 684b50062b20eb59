"""Keeps autograph away from code that does not need it.

TensorFlow rewrites the source of what it traces, so that Python's `if` and `for` work on tensors. It knows that Keras
needs none of that under the name `keras`, not under `tf_keras`: there it rewrites Keras layer by layer, 6 to 20 seconds
of CPU the first time that a process builds or traces a model. A user's own layers and functions are rewritten as ever.
"""

from __future__ import annotations

import logging

from taxiway.components.errors import TrainingError
from taxiway.components.training.tensorflow_private import exempt_from_autograph

LOG = logging.getLogger(__name__)

UNCONVERTED = ("tf_keras", "tensorflow_model_optimization", "taxiway.components.training")
"""Packages written for graphs: their control flow is TensorFlow's own."""


def keep_keras_unconverted() -> bool:
    """Tells autograph to leave `UNCONVERTED` as they are, in this process. Call it before a model is built or traced.

    The list of rules is private to TensorFlow. Where a release has moved it, everything works as before, slower.

    Returns:
        Whether autograph was told. Calling it again is harmless.
    """
    try:
        exempt_from_autograph(UNCONVERTED)
    except TrainingError as error:
        LOG.warning("autograph rewrites Keras, so that models take seconds longer to build: %s", error)
        return False
    return True
