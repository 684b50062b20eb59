"""Trigger conditions, evaluated as the backend evaluates them."""

from __future__ import annotations

import pytest

from taxiway.pipeline.emulator.errors import TaskFailedError
from taxiway.pipeline.emulator.expression import evaluate_condition
from taxiway.pipeline.emulator.launcher import compile_command

INPUT = {
    "inputs": {
        "parameterValues": {"maxSteps": 3, "name": "x", "json": '{"a": [1, 2]}'},
        "artifacts": {"_Gate.verdict": {"artifacts": [{"uri": "gs://b/v", "metadata": {"passed": 1, "whyNot": "z"}}]}},
    }
}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("(inputs.artifacts['_Gate.verdict'].artifacts[0].metadata['passed'] == 1.0)", True),
        ("inputs.artifacts['_Gate.verdict'].artifacts[0].metadata['passed'] == 0.0", False),
        ("inputs.artifacts['_Gate.verdict'].artifacts[0].metadata['whyNot'] == 'z' && true", True),
        ("inputs.artifacts['_Gate.verdict'].artifacts[0].uri == 'gs://b/v'", True),
        ("inputs.parameter_values['maxSteps'] > 2.0", True),
        ("!(inputs.parameter_values['name'] == 'x')", False),
        ("parseJson(inputs.parameter_values['json'])['a'][1] == 2", True),
    ],
)
def test_conditions(condition, expected):
    assert evaluate_condition(INPUT, condition) is expected


@pytest.mark.parametrize(
    "condition", ["inputs.artifacts['none'].artifacts[0].uri == ''", "inputs.parameter_values['name']", "1 +", "nobody"]
)
def test_a_condition_that_cannot_be_judged_fails_the_driver(condition):
    with pytest.raises(TaskFailedError, match=r"expression\.go"):
        evaluate_condition(INPUT, condition)


def test_placeholders_in_arguments_and_not_in_the_command():
    invocation = {
        "inputs": {"parameterValues": {"n": 3.0, "x": 0.5, "flag": True, "list": [1, "a"]}, "artifacts": {}},
        "outputs": {"artifacts": {"model": {"artifacts": [{"uri": "gs://b/m"}]}}},
    }
    template = ["{{$.inputs.parameters['n']}}", "n={{$.inputs.parameters['n']}} {{$.inputs.parameters['x']}}",
                "{{$.inputs.parameters['flag']}}", "{{$.inputs.parameters['list']}}",
                "{{$.outputs.artifacts['model'].path}}"]  # fmt: skip
    assert compile_command(template, invocation) == [
        "{{$.inputs.parameters['n']}}",
        "n=3 0.5",
        "true",
        '[1,"a"]',
        "/gcs/b/m",
    ]
