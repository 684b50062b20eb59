"""Classes as a configuration writes them, and their order where it names none."""

import itertools

import pyarrow as pa
import pytest
import yaml

from taxiway.components.example_gen.config import LabelConfig
from taxiway.components.example_gen.labels import label


@pytest.mark.parametrize("found", itertools.permutations(["nan", "10", "9", "-1e1", "1_000"]))
def test_the_order_of_classes_does_not_depend_on_that_of_the_rows(found):
    """`nan` is neither before nor after a number: sorting by it gives another order for another beginning."""
    assert sorted(found, key=label._make_class_sort_key) == ["-1e1", "9", "10", "1_000", "nan"]


@pytest.mark.parametrize(
    ("written", "column"),
    [
        ("[1.0, 0.0]", pa.array([1.0, 0.0, None])),
        ("[1, 0]", pa.array([1.0, 0.0, None])),
        ("[1.0, 0]", pa.array([1, 0, None])),
        ("[true, false]", pa.array([True, False, None])),
        ("['1.0', '0']", pa.array([b"1.0", b"0", None])),
    ],
)
def test_classes_in_yaml_are_the_values_of_the_column(written, column):
    config = LabelConfig.model_validate(yaml.safe_load(f"{{column: y, classes: {written}}}"))
    assert label.materialize_labels(config, {"y": column}, config.classes).to_pylist() == [0, 1, None]
