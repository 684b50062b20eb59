"""The sections refuse what cannot be meant. Nothing heavy is imported."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from components.example_gen.config import DataConfig, LabelConfig, SplitConfig


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"train": 0.8, "eval": 0.3}, "together more than 1"),
        ({"by": "hash", "column": "x"}, "only with by: entity"),
        ({"by": "entity"}, "needs the name of a column"),
        ({"cutoff": "2020-01-01"}, "only with by: time"),
    ],
)
def test_split(values, words):
    with pytest.raises(ValidationError, match=words):
        SplitConfig(**values)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"task": "regression", "classes": ["a", "b"]}, "no meaning for a regression"),
        ({"task": "multiclass", "positive": "a"}, "only for task: binary"),
        ({"classes": ["a", "a"]}, "twice"),
        ({"classes": ["a", "b", "c"]}, "two classes"),
        ({"classes": ["a", "b"], "positive": "c"}, "not one of classes"),
        ({"expression": "__import__('os')"}, "not accepted"),
        ({"expression": "a >"}, "cannot be read"),
    ],
)
def test_label(values, words):
    with pytest.raises(ValidationError, match=words):
        LabelConfig(**values)


@pytest.mark.parametrize("spans", ["newest", "3..", "-1", "1-3"])
def test_spans(spans):
    with pytest.raises(ValidationError, match="none of latest, all"):
        DataConfig(path="x", spans=spans)


def test_values_of_yaml_become_text():
    assert LabelConfig(classes=[0, 1], positive=1).classes == ("0", "1")
    assert LabelConfig(classes=[False, True]).classes == ("false", "true")
    assert DataConfig(path="x", spans=3).spans == "3"


def test_paths():
    with pytest.raises(ValidationError, match="NUL"):
        DataConfig(path="a\0b")
    with pytest.raises(ValidationError, match="none of int"):
        DataConfig(path="a", types={"x": "date"})
    assert DataConfig(path="a.csv").located("/d").path == "/d/a.csv"
    assert DataConfig(path="package://p/a.csv").located("/d").path == "package://p/a.csv"


def test_importing_the_configuration_is_light():
    code = "import sys, components.example_gen.config; print([m for m in ('pyarrow', 'numpy', 'tensorflow', 'tfx') if m in sys.modules])"  # noqa: E501
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.strip() == "[]"
