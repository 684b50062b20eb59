"""Everything private of TensorFlow and Keras that the optimizer takes. No other module here names a part of it.

Each function says which public function is missing. Where a release has moved a part, its function raises an
`OptimizationError` that says so: the techniques that need the part then fail with that reason, and the others go on.
`tests/components/optimizer/test_tensorflow_private.py` finds it before users do.
"""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager
from typing import Any

import tensorflow as tf

from taxiway.components.errors import OptimizationError
from taxiway.components.stack_seam import name_lock

_REMEDY = (
    f"Install the versions that this Taxiway was made for ({name_lock()}), or adapt "
    "taxiway/components/optimizer/tensorflow_private.py to these."
)


def rewrite_by_grappler(config: Any, meta_graph: Any) -> Any:
    """The graph of a meta graph, rewritten by TensorFlow's own graph optimizers.

    Missing in TensorFlow's public API: Grappler runs inside a session or a function, and nothing hands out the graph
    that it makes; `tf.config.optimizer.set_experimental_options` only chooses the passes.

    Args:
        config: `ConfigProto` whose `graph_options.rewrite_options` choose the passes.
        meta_graph: `MetaGraphDef`; the collection `train_op` names the nodes that must stay.
    """
    return _require_part("tensorflow.python.grappler.tf_optimizer", "OptimizeGraph")(config, meta_graph)


def flatten_function(function: Any) -> tuple[Any, dict[str, str]]:
    """The body of a `FunctionDef` as a `GraphDef`, and the name there of each tensor of the body.

    Missing in TensorFlow's public API: `tf.graph_util.import_graph_def` keeps functions as functions, and names their
    inner tensors (`node:output:0`) otherwise than graphs do (`node:0`).
    """
    flatten = _require_part("tensorflow.python.framework.function_def_to_graph", "function_def_to_graph_def")
    graph_def, names = flatten(function)
    return graph_def, names


def allow_lambda_layers() -> AbstractContextManager[None]:
    """Within it Keras copies layers that hold Python code, such as `Lambda`, through their configuration.

    Missing in Keras 2's public API: Keras 3 has `keras.config.enable_unsafe_deserialization`, for the whole process;
    `clone_model` has no argument `safe_mode` as `load_model` has.
    """
    scope: AbstractContextManager[None] = _require_part("tf_keras.src.saving.serialization_lib", "SafeModeScope")(
        safe_mode=False
    )
    return scope


def _require_part(module: str, name: str) -> Any:
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise OptimizationError(f"TensorFlow {tf.__version__} has no {module}.{name}: {error}", _REMEDY) from error
