"""The label as class index or value."""

import pyarrow as pa
import pytest

from components.errors import ConfigError, DataError
from components.example_gen import label as labels
from components.example_gen.config import LabelConfig


def text(*values):
    return pa.array([None if v is None else v.encode() for v in values], pa.large_binary())


def test_numbers_are_sorted_as_numbers_and_positive_comes_last():
    assert labels.class_order(LabelConfig(task="multiclass"), {"10", "9", "x"}) == ("9", "10", "x")
    assert labels.class_order(LabelConfig(positive="no"), {"no", "yes"}) == ("yes", "no")


def test_text_labels_by_configured_order():
    config = LabelConfig(column="y", task="multiclass", classes=("low", "mid", "high"))
    got = labels.materialize(config, {"y": text("high", "low", None, "mid")}, config.classes)
    assert got.type == pa.int64() and got.to_pylist() == [2, 0, None, 1]


def test_one_and_one_point_nought_are_one_class():
    config = LabelConfig(column="y")
    assert labels.distinct(pa.array([1.0, 0.0, None])) == ["1", "0"]
    assert labels.materialize(config, {"y": pa.array([1.0, 0.0, None])}, ("0", "1")).to_pylist() == [1, 0, None]


def test_expression_and_regression():
    columns = {"tips": pa.array([3.0, None, 0.0]), "fare": pa.array([10.0, 1.0, 0.0])}
    made = LabelConfig(column="big", expression="tips > 0.2 * fare")
    assert labels.materialize(made, columns, ("false", "true")).to_pylist() == [1, None, 0]
    share = LabelConfig(column="share", expression="tips / fare", task="regression")
    got = labels.materialize(share, columns, ())
    assert got.type == pa.float32() and got.to_pylist() == [pytest.approx(0.3), None, None]  # 0/0 is no label


@pytest.mark.parametrize(
    ("config", "found", "words"),
    [
        (LabelConfig(column="y"), {"1"}, "only one class, '1'"),
        (LabelConfig(column="y"), set(), "no value in any row"),
        (LabelConfig(column="y"), {"a", "b", "c"}, "3 different values .* label.task is binary"),
        (LabelConfig(column="y", task="multiclass"), {str(i) for i in range(1001)}, "more than 1000"),
        (LabelConfig(column="y", classes=("a", "b")), {"a", "z"}, "'z', which label.classes does not name"),
        (LabelConfig(column="y", positive="q"), {"a", "b"}, "label.positive is 'q'"),
    ],
)
def test_labels_that_cannot_be_learnt(config, found, words):
    with pytest.raises(DataError, match=words):
        labels.class_order(config, found)


def test_columns_are_checked():
    with pytest.raises(DataError, match=r"label.column is 'tipps'.*\n.*'tips'"):
        labels.check_columns(LabelConfig(column="tipps"), ["tips", "fare"])
    with pytest.raises(DataError, match="reads 'far'"):
        labels.check_columns(LabelConfig(expression="far > 1"), ["tips", "fare"])
    with pytest.raises(ConfigError, match="a column of that name"):
        labels.check_columns(LabelConfig(column="fare", expression="tips > 1"), ["tips", "fare"])
    with pytest.raises(ConfigError, match=r"label\.expression"):
        labels.raw_label(LabelConfig(expression="s + 1"), {"s": text("a")})


def test_text_is_no_regression_and_missing_may_be_refused():
    with pytest.raises(DataError, match="label column 'y' holds text such as 'a'"):
        labels.materialize(LabelConfig(column="y", task="regression"), {"y": text("a")}, ())
    array = pa.array([1, None])
    assert labels.labelled(LabelConfig(), array, "f").tolist() == [True, False]
    with pytest.raises(DataError, match="f: 1 rows have no label"):
        labels.labelled(LabelConfig(missing="refuse"), array, "f")
