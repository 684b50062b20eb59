"""The file that maps tensors to columns: one reader for validation, prediction and clients."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taxiway.components.contract import SIGNATURE_INPUTS_FILE
from taxiway.components.errors import ServingError
from taxiway.components.saved_models.signature_inputs import SignatureInput, map_column_dtypes, read_signature_inputs


def write_file(folder: Path, content: str) -> Path:
    path = folder / SIGNATURE_INPUTS_FILE
    path.parent.mkdir()
    path.write_text(content, encoding="utf-8")
    return folder


def test_the_exporter_s_file(tmp_path: Path) -> None:
    inputs = {"column__1": {"column": "город", "dtype": "string", "default": ""}}
    inputs["age"] = {"column": "age", "dtype": "int64", "default": None}
    found = read_signature_inputs(write_file(tmp_path, json.dumps({"version": 1, "inputs": inputs})))
    assert found == {"column__1": SignatureInput("город", "string", ""), "age": SignatureInput("age", "int64", None)}
    assert map_column_dtypes(found) == {"город": "string", "age": "int64"}


def test_a_model_without_the_file_has_no_raw_signature(tmp_path: Path) -> None:
    assert read_signature_inputs(tmp_path) == read_signature_inputs(tmp_path / "nothing") == {}


DAMAGED = ["", "[]", "{}", '{"inputs": 1}', '{"inputs": {"a": 1}}', '{"inputs": {"a": {"column": "a"}}}', "[" * 200_000]


@pytest.mark.parametrize("content", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_is_no_model_without_one(tmp_path: Path, content: str) -> None:
    with pytest.raises(ServingError, match=r"signature_inputs\.json cannot be read"):
        read_signature_inputs(write_file(tmp_path, content))
