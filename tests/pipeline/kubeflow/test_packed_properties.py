"""Long values among a container's arguments, and back."""

from __future__ import annotations

import pytest

from taxiway.components.errors import UsageError
from taxiway.pipeline.kubeflow import packed_properties as packed


def make_task(**constants):
    return {"inputs": {"parameters": {name: {"runtimeValue": {"constant": v}} for name, v in constants.items()}}}


def list_constants(task):
    return {name: value["runtimeValue"]["constant"] for name, value in task["inputs"]["parameters"].items()}


def list_pieces(arguments):
    assert set(arguments[::2]) <= {packed.PACKED}
    return arguments[1::2]


TEXT = "".join(f'feature {{ name: "größe {number}" }}\n' for number in range(5_000))


def test_a_long_value_is_taken_out_and_comes_back():
    task = make_task(edited=TEXT, label="tips")
    arguments = packed.pack_task(task)
    left = list_constants(task)
    assert left["label"] == "tips" and len(left["edited"]) < 100
    assert sum(map(len, arguments)) < len(TEXT) / 10
    assert packed.restore_values(left, packed.read_arguments(list_pieces(arguments))) == {
        "edited": TEXT,
        "label": "tips",
    }


def test_another_value_is_another_parameter_and_the_same_value_the_same_arguments():
    one, other = make_task(edited=TEXT), make_task(edited=TEXT + "#")
    again = make_task(edited=TEXT)
    assert packed.pack_task(one) == packed.pack_task(again)
    packed.pack_task(other)
    assert list_constants(one) == list_constants(again) != list_constants(other)


def test_pieces_are_short():
    import random

    text = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=200_000))
    pieces = list_pieces(packed.write_arguments({"x": text}))
    assert len(pieces) > 3 and max(map(len, pieces)) <= packed.PIECE_CHARACTERS
    assert packed.read_arguments(pieces) == {"x": text}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fare", False),
        ("cost in $", False),
        ("$$ paid", True),  # Kubernetes would make it "$ paid"
        ("$(HOME)", True),
        ("{{workflow.name}}", True),
        ("{{$.pipeline_job_uuid}}", False),  # the driver's own
        ("x" * packed.LONGEST_VALUE_BYTES, False),
        ("ü" * (packed.LONGEST_VALUE_BYTES // 2 + 1), True),
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_is_packed(text, expected):
    assert packed.must_be_packed(text) == expected
    assert bool(packed.pack_task(make_task(a=text))) == expected


def test_numbers_and_parameters_of_the_run_stay():
    task = {"inputs": {"parameters": {"n": {"runtimeValue": {"constant": 3.0}}, "p": {"componentInputParameter": "p"}}}}
    assert packed.pack_task(task) == [] and packed.pack_task({}) == []


@pytest.mark.parametrize("pieces", [["no base64!"], ["YWJj"], [packed.write_arguments({"a": TEXT})[1][:-8]]])
def test_damaged_arguments(pieces):
    with pytest.raises(UsageError, match="--packed_properties cannot be read"):
        packed.read_arguments(pieces)


def test_a_pointer_to_another_value():
    pointer = packed.make_pointer("one")
    for given in ({}, {"edited": "two"}):
        with pytest.raises(UsageError, match="The value of edited is not among the container's arguments"):
            packed.restore_values({"edited": pointer}, given)


def test_constants_of_a_compiled_specification():
    task = make_task(edited=TEXT)
    task["componentRef"] = {"name": "SchemaGen"}
    arguments = packed.pack_task(task)
    spec = {
        "root": {"dag": {"tasks": {"SchemaGen": task}}},
        "components": {"SchemaGen": {"executorLabel": "e"}},
        "deploymentSpec": {"executors": {"e": {"container": {"args": ["--node", "SchemaGen", *arguments]}}}},
    }
    assert packed.read_constants(spec, "SchemaGen") == {"edited": TEXT}
    assert packed.read_constants(spec, "Trainer") == {}
