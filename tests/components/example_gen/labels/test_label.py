"""The label as class index or value."""

import pyarrow as pa
import pytest

from taxiway.components.errors import ConfigError, DataError
from taxiway.components.example_gen.config import LabelConfig
from taxiway.components.example_gen.labels.label import (
    check_label_columns,
    compute_raw_label,
    find_labelled_rows,
    list_distinct_labels,
    materialize_labels,
    order_classes,
)


def text(*values):
    return pa.array([None if v is None else v.encode() for v in values], pa.large_binary())


def test_numbers_are_sorted_as_numbers_and_positive_comes_last():
    assert order_classes(LabelConfig(task="multiclass"), {"10", "9", "x"}) == ("9", "10", "x")
    assert order_classes(LabelConfig(positive="no"), {"no", "yes"}) == ("yes", "no")


def test_text_labels_by_configured_order():
    config = LabelConfig(column="y", task="multiclass", classes=("low", "mid", "high"))
    got = materialize_labels(config, {"y": text("high", "low", None, "mid")}, config.classes)
    assert got.type == pa.int64() and got.to_pylist() == [2, 0, None, 1]


def test_one_and_one_point_nought_are_one_class():
    config = LabelConfig(column="y")
    assert list_distinct_labels(pa.array([1.0, 0.0, None])) == ["1", "0"]
    assert materialize_labels(config, {"y": pa.array([1.0, 0.0, None])}, ("0", "1")).to_pylist() == [1, 0, None]


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ([1.0, 0.0], [1.0, 0.0, None]),
        ([1, 0], [1.0, 0.0, None]),
        ([1.0, 0.0], [1, 0, None]),
        ([True, False], [True, False, None]),
        ([0.5, 1.5], [0.5, 1.5, None]),
    ],
)
def test_classes_mean_the_values_that_yaml_writes_so(written, values):
    config = LabelConfig(column="y", classes=written, positive=written[0])
    assert materialize_labels(config, {"y": pa.array(values)}, config.classes).to_pylist() == [0, 1, None]
    assert order_classes(config, list_distinct_labels(pa.array(values)))[-1] == config.classes[0]


def test_expression_and_regression():
    columns = {"tips": pa.array([3.0, None, 0.0]), "fare": pa.array([10.0, 1.0, 0.0])}
    made = LabelConfig(column="big", expression="tips > 0.2 * fare")
    assert materialize_labels(made, columns, ("false", "true")).to_pylist() == [1, None, 0]
    share = LabelConfig(column="share", expression="tips / fare", task="regression")
    got = materialize_labels(share, columns, ())
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
        order_classes(config, found)


def test_columns_are_checked():
    with pytest.raises(DataError, match=r"label.column is 'tipps'.*\n.*'tips'"):
        check_label_columns(LabelConfig(column="tipps"), ["tips", "fare"])
    with pytest.raises(DataError, match="reads 'far'"):
        check_label_columns(LabelConfig(expression="far > 1"), ["tips", "fare"])
    with pytest.raises(ConfigError, match="a column of that name"):
        check_label_columns(LabelConfig(column="fare", expression="tips > 1"), ["tips", "fare"])
    with pytest.raises(ConfigError, match=r"label\.expression"):
        compute_raw_label(LabelConfig(expression="s + 1"), {"s": text("a")})


def test_text_is_no_regression_and_missing_may_be_refused():
    with pytest.raises(DataError, match="label column 'y' holds text such as 'a'"):
        materialize_labels(LabelConfig(column="y", task="regression"), {"y": text("a")}, ())
    array = pa.array([1, None])
    assert find_labelled_rows(LabelConfig(), array, "f").tolist() == [True, False]
    with pytest.raises(DataError, match="f: 1 rows have no label"):
        find_labelled_rows(LabelConfig(missing="refuse"), array, "f")
