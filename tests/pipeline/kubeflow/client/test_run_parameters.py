"""Parameters of a run are checked against the compiled pipeline before they are sent."""

from __future__ import annotations

import pytest

from taxiway.components.errors import UsageError
from taxiway.pipeline.kubeflow.client.package import check_root, read_compiled
from taxiway.pipeline.kubeflow.client.run_parameters import read_parameters, read_text_parameters
from tests.pipeline.kubeflow.conftest import taxi

SPEC = {
    "root": {
        "inputDefinitions": {
            "parameters": {
                "span": {"parameterType": "STRING", "defaultValue": ""},
                "max_steps": {"parameterType": "NUMBER_INTEGER", "defaultValue": 0},
                "epochs": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 6},
                "fast": {"parameterType": "BOOLEAN", "isOptional": True},
                "columns": {"parameterType": "LIST", "defaultValue": []},
            }
        }
    }
}


def test_values_have_the_declared_types():
    given = ["span=007", "max_steps=20", "epochs=2", "fast=true", "columns=[a, b]"]
    assert read_parameters(SPEC, given) == {
        "span": "007",
        "max_steps": 20,
        "epochs": 2,
        "fast": True,
        "columns": ["a", "b"],
    }


def test_a_macro_of_the_schedule_is_a_text():
    text = "span=[[ScheduledTime.20060102]]"  # YAML would read a list in a list
    assert read_parameters(SPEC, [text]) == {"span": "[[ScheduledTime.20060102]]"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("epoch=3", "Did you mean 'epochs'"),
        ("epochs=three", "It takes a number"),
        ("epochs=true", "It takes a number"),
        ("epochs=.nan", "It takes a number"),
        ("max_steps=2.5", "It takes a whole number"),
        ("fast=1", "It takes true or false"),
        ("columns=a", "It takes a list"),
        ("epochs", "is not of the form NAME=VALUE"),
    ],
)
def test_what_the_pipeline_does_not_take(given, said):
    with pytest.raises(UsageError) as caught:
        read_parameters(SPEC, [given])
    assert said in str(caught.value)


def test_a_parameter_without_a_default_is_asked_for():
    spec = {"root": {"inputDefinitions": {"parameters": {"data_path": {"parameterType": "STRING"}}}}}
    with pytest.raises(UsageError, match="needs a value for data_path"):
        read_parameters(spec, [])
    assert read_parameters({}, []) == {}


def test_what_the_configuration_refuses_is_not_sent(compiled):
    assert compiled.config == taxi()
    for given, said in (("epochs=-1", "greater than 0"), ("max_steps=-1", "greater than or equal to 0")):
        with pytest.raises(UsageError, match=said):
            read_parameters(compiled.spec, [given])
    assert read_parameters(compiled.spec, ["epochs=2", "max_steps=20"]) == {"epochs": 2, "max_steps": 20}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("root=", "no absolute path"),
        ("root=gs://bucket/x", "no absolute path"),
        ("scheduled_time=monday", "which is no time"),
        ("data_path=/data/$(NAME)", "would arrive as another text"),
        ("data_path=/data/{{x}}.csv", "would arrive as another text"),
    ],
)
def test_texts_that_would_fail_in_the_pods_or_arrive_changed(compiled, given, said):
    with pytest.raises(UsageError, match=said):
        read_parameters(compiled.spec, [given])


def test_a_root_beside_the_volumes_is_lost_with_the_pods(compiled, tmp_path):
    file = tmp_path / "pipeline.yaml"
    file.write_text(compiled.text)
    check_root(read_compiled(file), "/taxiway/second")
    for root in ("/elsewhere", "/taxiway2"):
        with pytest.raises(UsageError, match="is on no volume of the steps, which have /taxiway"):
            check_root(read_compiled(file), root)


def test_the_emulator_takes_parameters_as_they_are_submitted(compiled):
    assert read_text_parameters(compiled.text, ["span=007"]) == {"span": "007"}
    assert read_text_parameters("- no pipeline", ["span=007"]) == {"span": 7}
