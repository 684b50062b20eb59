"""The Evaluator reads the split that judges: `test`, or `eval` of examples that have none."""

import json

import pytest
from tfx.types import artifact_utils, standard_artifacts

from taxiway.components.evaluation.executor import choose_judging_split


@pytest.mark.parametrize(
    ("splits", "named", "expected"),
    [
        (["train", "eval", "test"], None, ["test"]),
        (["train", "eval"], None, ["eval"]),
        (["train", "eval", "test"], ["eval"], ["eval"]),
    ],
)
def test_the_split_that_judges(splits, named, expected):
    examples = standard_artifacts.Examples()
    examples.split_names = artifact_utils.encode_split_names(splits)
    chosen = choose_judging_split({"examples": [examples]}, {"example_splits": json.dumps(named), "other": "kept"})
    assert json.loads(chosen["example_splits"]) == expected and chosen["other"] == "kept"
