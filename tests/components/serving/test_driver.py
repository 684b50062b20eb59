"""The cache sees of the live model what the validator says of it, and nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tfx.orchestration.portable import data_types
from tfx.types import standard_artifacts

from taxiway.components.cache_keys import list_inputs_read_in_part
from taxiway.components.serving.config import ServingConfig
from taxiway.components.serving.driver import InputChangesDriver, digest_input_changes

INPUTS_FILE = Path("Format-Serving", "assets.extra", "signature_inputs.json")


@pytest.fixture
def make_model(tmp_path: Path, taxi_model: Path) -> Callable[..., Any]:
    """A function that makes a `Model` artifact of the taxi model, with one more input where it is given."""

    def make(name: str, **more: Any) -> Any:
        made = standard_artifacts.Model()
        made.uri = str(tmp_path / name)
        shutil.copytree(taxi_model, tmp_path / name / "Format-Serving")
        content = json.loads((tmp_path / name / INPUTS_FILE).read_text())
        content["inputs"] |= more
        (tmp_path / name / INPUTS_FILE).write_text(json.dumps(content))
        return made

    return make


def digest(model: Any, live: Any = None, input_changes: Any = "report") -> str:
    properties = {"config": ServingConfig(input_changes=input_changes).model_dump_json()}
    return digest_input_changes({"model": [model]} | ({"baseline_model": [live]} if live else {}), properties)


def test_another_live_model_that_loses_nothing_is_the_same_to_the_cache(make_model: Any, tmp_path: Path) -> None:
    candidate, same, naive = make_model("candidate"), make_model("same"), make_model("naive")
    (tmp_path / "naive" / INPUTS_FILE).unlink()
    assert digest(candidate, same) == digest(candidate, naive) == digest(candidate)


def test_what_is_said_of_the_live_model_counts(make_model: Any) -> None:
    age = {"column": "Age", "dtype": "float32", "default": 0.0}
    candidate, live = make_model("candidate"), make_model("live", age=age)
    size = make_model("other", size={**age, "column": "Size"})
    seen = {digest(candidate), digest(candidate, live), digest(candidate, size), digest(candidate, live, "block")}
    assert len(seen) == 4


def test_a_live_model_that_cannot_be_read_counts_with_its_path(make_model: Any, tmp_path: Path) -> None:
    candidate, damaged = make_model("candidate"), make_model("damaged")
    (tmp_path / "damaged" / INPUTS_FILE).write_text("{}")
    assert digest(candidate, damaged) != digest(candidate)
    assert digest_input_changes({"model": []}, {"config": "{}"}) != digest_input_changes(
        {"model": []}, {"config": "{}"}
    )


def test_the_driver_tells_the_key_and_names_the_input(make_model: Any) -> None:
    properties = {"config": ServingConfig().model_dump_json(), "label": "tip"}
    inputs = {"model": [make_model("candidate")], "baseline_model": [make_model("live")]}
    asked = data_types.ExecutionInfo(input_dict=inputs, exec_properties=properties)
    told = InputChangesDriver(metadata_handle=None).run(asked).exec_properties
    values = {name: value.string_value for name, value in told.items()}
    assert values.items() >= properties.items()
    assert list_inputs_read_in_part(values) == {"baseline_model"} and list_inputs_read_in_part(properties) == set()
    assert values["input_changes"] == digest_input_changes(inputs, properties)
