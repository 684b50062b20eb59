"""Which column becomes what: plain data, no TensorFlow."""

import pytest

from components.errors import ConfigError, DataError
from components.transform.columns import choose
from components.transform.config import FeaturesConfig

DTYPES = {"y": "int64", "b": "float32", "a": "int64", "tract": "int64", "name (x)": "string", "id": "int64"}


def chosen(by_schema=(), **features):
    return choose(DTYPES, "y", FeaturesConfig.model_validate(features), frozenset(by_schema))


def test_types_decide_and_names_are_sorted():
    columns = chosen()
    assert columns.numeric == ("a", "b", "id", "tract")
    assert columns.categorical == ("name (x)",)


def test_overrides_and_the_schema_decide_before_types():
    columns = chosen(["a", "tract"], leave_out={"id": "identifies"}, categorical=["b"], numeric=["a"])
    assert columns.numeric == ("a",)
    assert columns.categorical == ("b", "name (x)", "tract")


@pytest.mark.parametrize("key", ["leave_out", "categorical", "numeric"])
def test_an_unknown_column_is_refused_with_a_close_match(key):
    value = {"trac": "typo"} if key == "leave_out" else ["trac"]
    with pytest.raises(ConfigError, match=rf"features\.{key} names the column 'trac'.*\n.*'tract'"):
        chosen(**{key: value})


def test_text_cannot_be_numeric():
    with pytest.raises(ConfigError, match="holds text"):
        chosen(numeric=["name (x)"])


def test_a_label_that_is_not_there():
    with pytest.raises(DataError, match="'z' is not in the schema"):
        choose(DTYPES, "z", FeaturesConfig(), frozenset())


def test_nothing_left_to_learn_from():
    with pytest.raises(DataError, match="No column is left"):
        chosen(leave_out=dict.fromkeys(set(DTYPES) - {"y"}, "why"))
