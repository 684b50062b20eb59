"""The user's preprocessing function gets the columns that a model may use, and an error says what it must return."""

import sys
import types

import pytest

from taxiway.components.errors import ConfigError
from taxiway.components.transform.config import PreprocessingConfig
from taxiway.components.transform.users import preprocessing_fn
from taxiway.components.user_functions import import_function


@pytest.fixture
def mine(monkeypatch):
    module = types.ModuleType("preprocessing_of_a_user")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def called(mine, function, name="function"):
    mine.function = function
    config = {
        "preprocessing": {"function": f"{mine.__name__}.{name}"},
        "features": {"leave_out": {"id": "identifies"}},
        "label": "y",
    }
    return preprocessing_fn({"a": 1, "id": 2, "y": 3}, config)


def test_columns_that_are_left_out_are_not_handed_on(mine):
    assert called(mine, lambda inputs: dict(inputs)) == {"a": 1, "y": 3}


def test_a_function_may_take_the_configuration(mine):
    outputs = called(mine, lambda inputs, custom_config: {"y": inputs["y"], "named": custom_config["label"]})
    assert outputs == {"y": 3, "named": "y"}


@pytest.mark.parametrize(
    ("returned", "said"), [({"a": 1}, "returned only a"), ([1], "returned list")], ids=["no label", "no dict"]
)
def test_the_label_must_come_back(mine, returned, said):
    with pytest.raises(ConfigError, match=rf"{said}\.\n.*the label 'y' among them"):
        called(mine, lambda inputs: returned)


def test_a_function_that_is_not_there(mine):
    with pytest.raises(ConfigError, match=r"'preprocessing_of_a_user\.other' cannot be imported"):
        called(mine, lambda inputs: {}, name="other")


def test_numbers_that_are_not_finite_are_missing_for_a_user_s_function_too(mine):
    import tensorflow as tf

    config = {
        "preprocessing": {"function": f"{mine.__name__}.function"},
        "features": {"leave_out": {}},
        "label": "y",
    }
    mine.function = lambda inputs: dict(inputs)
    values = [1.0, float("inf"), float("nan"), 1e39]
    dense = tf.constant(values, tf.float64)
    sparse = tf.SparseTensor([[i, 0] for i in range(4)], dense, [4, 1])
    given = {"a": sparse, "b": dense, "n": tf.constant([1]), "y": dense}
    outputs = preprocessing_fn(given, config)
    assert outputs["a"].indices.numpy().tolist() == [[0, 0]]
    assert tf.math.is_nan(outputs["b"]).numpy().tolist() == [False, True, True, True]
    assert outputs["n"] is given["n"]
    assert outputs["y"] is given["y"], "a label that is not finite is an error, not a missing one"


def test_the_built_in_function_has_the_name_that_older_configurations_say():
    """`taxiway init` wrote it out, when the package was not yet `taxiway.components`."""
    former = PreprocessingConfig(function="components.transform.preprocessing.preprocessing_fn")
    assert former == PreprocessingConfig()
    assert import_function(former.function, "preprocessing.function").__module__ == former.function.rpartition(".")[0]
    assert PreprocessingConfig(function="mine.preprocessing_fn").function == "mine.preprocessing_fn"
