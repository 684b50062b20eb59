"""`NAME=VALUE` after an option."""

import pytest

from taxiway.components.errors import ConfigError, UsageError
from taxiway.pipeline.assignments import parse_assignment, parse_assignments


def test_values_are_yaml_and_the_last_one_counts():
    texts = ("epochs=3", "path=s3://b/k=v", "none=", "list=[1, a]", "epochs=0.5")
    found = parse_assignments("--param", texts, "epochs=3")
    assert found == {"epochs": 0.5, "path": "s3://b/k=v", "none": None, "list": [1, "a"]}


@pytest.mark.parametrize("text", ["words", "=x", "words=[1", ""])
def test_another_form_is_said_with_an_example(text):
    with pytest.raises(UsageError, match="--param") as caught:
        parse_assignment("--param", text, "epochs=3")
    assert type(caught.value) is UsageError and (
        "--param epochs=3" in str(caught.value) or "Quote" in str(caught.value)
    )
    with pytest.raises(ConfigError, match="--set"):
        parse_assignment("--set", text, "training.epochs=3", ConfigError)
