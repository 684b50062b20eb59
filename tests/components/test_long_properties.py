"""Texts of an artifact: short ones as properties, long ones as files."""

from __future__ import annotations

import json

import pytest
from tfx.types import standard_artifacts

from taxiway.components.long_properties import MAX_PROPERTY_BYTES, read_text, write_text


@pytest.fixture()
def examples(tmp_path):
    artifact = standard_artifacts.Examples()
    artifact.uri = str(tmp_path)
    return artifact


@pytest.mark.parametrize(
    ("text", "in_a_file"),
    [("[]", False), ("x" * MAX_PROPERTY_BYTES, False), (json.dumps({f"größe {n}": "int" for n in range(4000)}), True)],
    ids=["short", "longest", "long"],
)
def test_a_text_comes_back(examples, tmp_path, text, in_a_file):
    write_text(examples, "kinds", text)
    assert read_text(examples, "kinds") == text
    assert (tmp_path / "kinds.json").exists() == in_a_file
    properties = [value.string_value for value in examples.mlmd_artifact.custom_properties.values()]
    assert max(map(len, properties), default=0) <= MAX_PROPERTY_BYTES


def test_a_long_property_of_an_earlier_version_is_read(examples):
    examples.set_string_custom_property("kinds", "x" * 5000)
    assert read_text(examples, "kinds") == "x" * 5000


def test_no_text(examples):
    assert read_text(examples, "notes") == ""
