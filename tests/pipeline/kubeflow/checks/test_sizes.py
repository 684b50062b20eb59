"""Sizes of arguments and of the workflow."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess

import pytest
import yaml

from taxiway.pipeline.config import DEFAULT_CONFIG, load_config
from taxiway.pipeline.kubeflow import checks, packed_properties
from taxiway.pipeline.kubeflow.argument_sizes import MAX_ARGUMENT_BYTES, measure_longest
from taxiway.pipeline.kubeflow.checks import sizes
from taxiway.pipeline.kubeflow.compiler import compile_for_target
from tests.pipeline.kubeflow.checks.findings import messages
from tests.pipeline.kubeflow.conftest import KUBEFLOW


def set_schema(size, sign="x"):
    def edit(spec):
        parameters = spec["root"]["dag"]["tasks"]["SchemaGen"]["inputs"]["parameters"]
        parameters["edited"] = {"runtimeValue": {"constant": sign * size}}

    return edit


def test_an_argument_that_no_process_can_be_started_with(changed):
    """A schema of 110,000 bytes fits SchemaGen's executor input, but not the pipeline that the root driver gets."""
    assert list(sizes.check_arguments(changed(set_schema(90_000)))) == []
    [pipeline] = sizes.check_arguments(changed(set_schema(110_000)))
    assert pipeline.node == "" and "'SchemaGen.edited'" in pipeline.problem
    node, _ = sizes.check_arguments(changed(set_schema(131_000)))
    assert node.node == "SchemaGen" and node.level == "refused"
    assert "131072; 131002 are the parameter 'SchemaGen.edited'" in node.problem
    assert list(sizes.check_arguments(changed(set_schema(131_000), target="vertex"))) == []


def test_signs_that_go_escapes_are_longer(changed):
    """Go's `encoding/json` writes `<` in six bytes, in what the drivers are started with."""
    assert list(sizes.check_arguments(changed(set_schema(20_000)))) == []
    assert {found.level for found in sizes.check_arguments(changed(set_schema(20_000, "<")))} == {"refused"}


def compile_wide(folder, names, **data):
    """A table of many columns with a curated schema of all of them, compiled."""
    content = yaml.safe_load(DEFAULT_CONFIG.read_text())
    content["resources"] = {"kubeflow": KUBEFLOW}
    content["data"].update(data)
    (folder / "mine.yaml").write_text(yaml.safe_dump(content))
    feature = 'feature {{\n  name: "{}"\n  type: FLOAT\n  presence {{\n    min_fraction: 1.0\n  }}\n}}\n'
    (folder / "schema.pbtxt").write_text("".join(map(feature.format, names)))
    return compile_for_target(load_config(folder / "mine.yaml"))


def test_1500_columns_fit_with_room_to_spare(tmp_path):
    """Their schema alone is longer than one argument may be."""
    types = {f"measured_value_of_the_sensor_{number}": "float" for number in range(1500)}
    compiled = compile_wide(tmp_path, types, types=types)
    schema = (tmp_path / "schema.pbtxt").read_text()
    assert len(schema) > MAX_ARGUMENT_BYTES
    assert messages(compiled) == []
    assert packed_properties.read_constants(compiled.spec, "SchemaGen")["edited"] == schema
    assert json.loads(packed_properties.read_constants(compiled.spec, "ExampleGen")["data"])["types"] == types
    for task in compiled.spec["root"]["dag"]["tasks"].values():
        for value in task["inputs"]["parameters"].values():
            assert len(str(value.get("runtimeValue", {}).get("constant", ""))) <= packed_properties.LONGEST_VALUE_BYTES
    assert measure_longest(compiled.spec) < MAX_ARGUMENT_BYTES / 2


def test_what_does_not_fit_compressed_is_refused_with_the_number(tmp_path):
    names = (hashlib.sha256(str(number).encode()).hexdigest() for number in range(4000))
    found = [
        finding for finding in checks.examine_pipeline(compile_wide(tmp_path, names)) if finding.level == "refused"
    ]
    schema_gen = next(finding for finding in found if finding.node == "SchemaGen")
    told = re.search(
        r"would have (\d+) bytes.*; (\d+) are the parameter 'SchemaGen.edited' \((\d+) before", str(schema_gen)
    )
    total, packed, value = map(int, told.groups())
    assert MAX_ARGUMENT_BYTES < packed < total < value
    assert value > (tmp_path / "schema.pbtxt").stat().st_size


def test_the_limit_is_the_one_of_this_machine():
    """One byte less than the limit starts a process, the limit does not: the zero at the end counts."""
    subprocess.run(["true", "x" * (MAX_ARGUMENT_BYTES - 1)], check=True)
    with pytest.raises(OSError, match="Argument list too long"):
        subprocess.run(["true", "x" * MAX_ARGUMENT_BYTES], check=True)
