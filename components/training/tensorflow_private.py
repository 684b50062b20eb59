"""Everything private of TensorFlow, Keras and TFT that training takes. No other module here names a part of it.

Each function says which public function is missing. Where a release has moved a part, its function raises a
`TrainingError` that says so; `tests/components/training/test_tensorflow_private.py` finds it before users do.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from taxiway.components.errors import TrainingError
from taxiway.components.stack_seam import name_lock

_REMEDY = (
    f"Install the versions that this Taxiway was made for ({name_lock()}), or adapt "
    "taxiway/components/training/tensorflow_private.py to these."
)


def load_transform(folder: str) -> tuple[Any, Callable[[dict[str, Any]], dict[str, Any]]]:
    """Transform's function, to be part of another SavedModel.

    Missing in TFT's public API: `TFTransformOutput.transform_features_layer` is a Keras layer, of which Keras would
    trace and save the call beside our signatures; `tf.saved_model.load` gives the function, which wants the label too.

    Args:
        folder: `TFTransformOutput.transform_savedmodel_dir`.

    Returns:
        What a `tf.Module` must hold so that the tables and vocabulary files travel with its export; and the function
        from a dict of raw columns to one of transformed features, which leaves out what the columns do not give.
    """
    loader_class = _require_attribute("tensorflow_transform.saved.saved_transform_io_v2", "SavedModelLoader")
    loader = loader_class(folder)
    return _require_attribute(loader, "_imported"), _require_attribute(loader, "apply_transform_model")


def write_fingerprint(export_dir: str) -> None:
    """Rewrites the `fingerprint.pb` of a SavedModel after its graph was changed.

    Missing in TensorFlow's public API: `tf.saved_model.save` alone writes it; `read_fingerprint` only reads.
    """
    _require_attribute("tensorflow.python.saved_model.fingerprinting_utils", "write_fingerprint")(export_dir)


def exempt_from_autograph(packages: Sequence[str]) -> None:
    """Tells autograph, in this process, to leave the code of these packages as it is. Again is harmless.

    Missing in TensorFlow's public API: `tf.autograph.experimental.do_not_convert` marks single functions, which
    would have to be done in Keras's own code.
    """
    rules = _require_attribute("tensorflow.python.autograph.core", "config")
    present = tuple(_require_attribute(rules, "CONVERSION_RULES"))
    new_rule = _require_attribute(rules, "DoNotConvert")
    added = tuple(new_rule(name) for name in packages if not any(rule.matches(name) for rule in present))
    rules.CONVERSION_RULES = added + present


@contextlib.contextmanager
def replace_unique_name(choose_name: Callable[[tf.Graph, str, bool, Callable[..., str]], str]) -> Iterator[None]:
    """Within it every graph gives its operations the names that `choose_name` chooses.

    Missing in TensorFlow's public API: `tf.Graph.unique_name` takes names that differ by case for one, and a signature
    function's graph is made inside `tf.function`, where no graph of our own can stand.

    Args:
        choose_name: A function of the graph, the wanted name, `mark_as_used`, and TensorFlow's own method.
    """
    unique_name = _require_attribute(tf.Graph, "unique_name")

    def replaced(graph: tf.Graph, name: str, mark_as_used: bool = True) -> str:
        return choose_name(graph, name, mark_as_used, unique_name)

    tf.Graph.unique_name = replaced
    try:
        yield
    finally:
        tf.Graph.unique_name = unique_name


def create_optimizer_variables(optimizer: Any, variables: Sequence[Any]) -> None:
    """Creates a legacy optimizer's counter, settings and slots, so that the first graph finds them and a checkpoint
    can be restored into them.

    Missing in Keras's public API: legacy optimizers make them in the first `apply_gradients`, which would move the
    weights; only the newer optimizers have `build`.
    """
    _require_attribute(optimizer, "_create_all_weights")(variables)


class UpdateHooks:
    """Mixed into a legacy optimizer before its Keras class: the hooks for a step of one's own, by plain names.

    Missing in Keras's public API: its guide to custom legacy optimizers names these methods, underscore and all.
    """

    def update_dense(self, gradient: Any, variable: Any, apply_state: Any) -> Any:
        """The operation of a step with a dense gradient."""
        parent = _require_attribute(super(), "_resource_apply_dense")
        return parent(gradient, variable, apply_state)

    def update_sparse(self, gradient: Any, variable: Any, indices: Any, apply_state: Any) -> Any:
        """The operation of a step with a gradient of some rows, `indices`."""
        parent = _require_attribute(super(), "_resource_apply_sparse")
        return parent(gradient, variable, indices, apply_state)

    def read_rate(self, variable: Any) -> Any:
        """The learning rate of this step, of the variable's type."""
        return _require_attribute(self, "_decayed_lr")(variable.dtype)

    def read_setting(self, name: str, variable: Any) -> Any:
        """A setting such as `beta_1`, of the variable's type."""
        return _require_attribute(self, "_get_hyper")(name, variable.dtype)

    def _resource_apply_dense(self, grad: Any, var: Any, apply_state: Any = None) -> Any:
        return self.update_dense(grad, var, apply_state)

    def _resource_apply_sparse(self, grad: Any, var: Any, indices: Any, apply_state: Any = None) -> Any:
        return self.update_sparse(grad, var, indices, apply_state)


def _require_attribute(owner: Any, name: str) -> Any:
    """A private part.

    Args:
        owner: An object, or the path of a module.
        name: The attribute's name.

    Raises:
        TrainingError: There is none.
    """
    where = owner if isinstance(owner, str) else getattr(owner, "__name__", type(owner).__name__)
    try:
        return getattr(importlib.import_module(owner) if isinstance(owner, str) else owner, name)
    except (ImportError, AttributeError) as error:
        raise TrainingError(f"TensorFlow {tf.__version__} has no {where}.{name} ({error}).", _REMEDY) from error
