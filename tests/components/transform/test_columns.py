"""Which columns become numeric and which categorical. Plain data, no TensorFlow."""

import pytest
from pydantic import ValidationError

from taxiway.components.errors import ConfigError, DataError
from taxiway.components.transform.columns import choose_columns
from taxiway.components.transform.config import FeaturesConfig

DTYPES = {"y": "int64", "b": "float32", "a": "int64", "tract": "int64", "name (x)": "string", "id": "int64"}


def chosen(by_schema=(), **features):
    return choose_columns(DTYPES, "y", FeaturesConfig.model_validate(features), frozenset(by_schema))


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
        choose_columns(DTYPES, "z", FeaturesConfig(), frozenset())


def test_nothing_left_to_learn_from():
    with pytest.raises(DataError, match="No column is left"):
        chosen(leave_out=dict.fromkeys(set(DTYPES) - {"y"}, "why"))


def test_times_hashed_names_and_texts_are_neither_numbers_nor_categories():
    columns = chosen(calendar={"a": ["hour"]}, hashed=["id"], text=["name (x)"])
    assert (columns.calendar, columns.hashed, columns.text) == (("a",), ("id",), ("name (x)",))
    assert columns.numeric == ("b", "tract") and columns.categorical == ()
    assert chosen(leave_out={"a": "why"}, calendar={"a": ["hour"]}).calendar == ()


@pytest.mark.parametrize(
    ("features", "words"),
    [
        ({"calendar": {"b": ["hour"]}}, r"(?s)'b', which is no time.*data\.types"),
        ({"text": ["a"]}, "'a', which holds numbers"),
        (
            {"hashed": ["tract"], "categorical": ["tract"]},
            r"features\.categorical and features\.hashed both name 'tract'",
        ),
        ({"calendar": {"y": ["hour"]}}, r"label\.column and features\.calendar both name 'y'"),
        ({"text": ["nam (x)"]}, r"(?s)features\.text names the column 'nam \(x\)'.*'name \(x\)'"),
    ],
)
def test_a_column_has_one_use_that_suits_its_type(features, words):
    with pytest.raises(ConfigError, match=words):
        chosen(**features)


@pytest.mark.parametrize("parts", [[], ["year"]])
def test_a_time_of_no_known_part_is_refused_when_the_configuration_is_read(parts):
    with pytest.raises(ValidationError, match=r"calendar\.a"):
        FeaturesConfig.model_validate({"calendar": {"a": parts}})


def test_every_column_that_is_read_is_listed():
    columns = chosen(leave_out={"id": "identifies"}, hashed=["name (x)"], categorical=["tract"])
    assert columns.used == ["a", "b", "name (x)", "tract", "y"]
