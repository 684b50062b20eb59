"""The sections refuse settings that contradict one another, and import nothing heavy."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from taxiway.components.example_gen.config import DataConfig, LabelConfig, SplitConfig


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"train": 0.8, "eval": 0.3}, "together more than 1"),
        ({"by": "hash", "column": "x"}, "only with by: entity"),
        ({"by": "entity"}, "needs the name of a column"),
        ({"cutoff": "2020-01-01"}, "only with by: time"),
        ({"by": "time", "column": "t", "test_cutoff": "2020-01-01"}, "only with a cutoff"),
        ({"train": 0.7, "eval": 0.2, "test": 0.2}, "train 0.7, eval 0.2 and test 0.2 are together more than 1"),
        ({"by": "file"}, "needs files.eval"),
        ({"files": {"eval": "*"}}, "has a meaning only there"),
        ({"by": "file", "files": {"eval": "*"}, "column": "x"}, "only with by: entity"),
        ({"train": "x"}, "valid number"),
        ({"test": "x", "eval": 0.2}, "valid number"),
    ],
)
def test_split(values, words):
    with pytest.raises(ValidationError, match=words):
        SplitConfig(**values)


@pytest.mark.parametrize(
    ("given", "shares"),
    [
        ({}, (0.7, 0.15, None)),
        ({"train": 0.8, "eval": 0.2}, (0.8, 0.2, 0)),  # from before there were three splits
        ({"train": 0.7}, (0.7, 0.2, 0)),
        ({"by": "time", "column": "t", "cutoff": "2020-01-01"}, (0.8, 0.2, 0)),
        ({"test": 0}, (0.8, 0.2, 0)),
        ({"test": 0.1}, (0.75, 0.15, 0.1)),
        ({"test": 0.1, "eval": 0.2}, (0.7, 0.2, 0.1)),
        ({"train": 0.5, "test": 0.1}, (0.5, 0.15, 0.1)),
    ],
)
def test_shares_that_are_not_named(given, shares):
    split = SplitConfig(**given)
    assert [split.train, split.eval, split.test or 0] == pytest.approx([share or 0 for share in shares])
    assert (split.test is None) == (shares[2] is None)
    assert SplitConfig.model_validate_json(split.model_dump_json()) == split


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
    assert LabelConfig(classes=[1.0, 0.0], positive=1.0).classes == ("1", "0")
    assert LabelConfig(spellings={2.0: 1.0}).spellings == {"2": "1"}
    with pytest.raises(ValidationError):
        LabelConfig(classes=[["a"], ["b"]])
    assert DataConfig(path="x", spans=3).spans == "3"


def test_paths():
    with pytest.raises(ValidationError, match="NUL"):
        DataConfig(path="a\0b")
    with pytest.raises(ValidationError, match="none of int"):
        DataConfig(path="a", types={"x": "date"})
    assert DataConfig(path="a.csv").resolve_path("/d").path == "/d/a.csv"
    assert DataConfig(path="package://p/a.csv").resolve_path("/d").path == "package://p/a.csv"


def test_importing_the_configuration_is_light():
    code = "import sys, taxiway.components.example_gen.config; print([m for m in ('pyarrow', 'numpy', 'tensorflow', 'tfx') if m in sys.modules])"  # noqa: E501
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.strip() == "[]"
