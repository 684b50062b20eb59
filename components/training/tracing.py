"""Keeps autograph away from code that does not need it.

TensorFlow rewrites the source of what it traces, so that Python's `if` and `for` work on tensors. It knows that Keras
needs none of that under the name `keras`, not under `tf_keras`: there it rewrites Keras layer by layer, 6 to 20 seconds
of CPU the first time that a process builds or traces a model. A user's own layers and functions are rewritten as ever.
"""

from __future__ import annotations

import importlib
import logging
from typing import Any

LOG = logging.getLogger(__name__)

RULES_MODULE = "tensorflow.python.autograph.core.config"
UNCONVERTED = ("tf_keras", "tensorflow_model_optimization", "components.training")
"""Packages written for graphs: their control flow is TensorFlow's own."""


def keep_keras_unconverted() -> bool:
    """Tells autograph to leave `UNCONVERTED` as they are, in this process. Call it before a model is built or traced.

    The list of rules is private to TensorFlow. Where a release moved it, everything works as before, slower.

    Returns:
        Whether autograph was told. Calling it again is harmless.
    """
    try:
        rules: Any = importlib.import_module(RULES_MODULE)
        present = rules.CONVERSION_RULES
        added = tuple(rules.DoNotConvert(n) for n in UNCONVERTED if not any(rule.matches(n) for rule in present))
    except (ImportError, AttributeError) as error:
        LOG.warning("autograph's rules are not where they were (%s): models take seconds longer to build", error)
        return False
    rules.CONVERSION_RULES = added + tuple(present)
    return True
