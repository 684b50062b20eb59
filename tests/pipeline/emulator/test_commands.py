from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from components.errors import UsageError
from pipeline.emulator import commands
from tests.pipeline.emulator.sample import text, two_tasks


def test_json_is_all_that_is_printed(tmp_path, capsys):
    file = tmp_path / "pipeline.yaml"
    file.write_text(text(two_tasks()))
    code = commands.run(commands.Request(file, tmp_path / "root", ("words=hi",), "gs://bucket/x", json=True))
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert code == 0 and result["succeeded"]
    assert result["outputs"]["use"]["copy"]["uri"].startswith("gs://bucket/x/sample/")
    assert "succeeded" in printed.err
    stored = tmp_path / "root" / "kfp" / "objects" / result["outputs"]["use"]["copy"]["uri"].replace("://", "/")
    assert (stored / "data").read_text() == "hi copied"


def test_the_parameter_root_is_this_machines_root(tmp_path):
    spec = two_tasks()
    spec["root"]["inputDefinitions"]["parameters"]["root"] = {"parameterType": "STRING", "defaultValue": "/taxiway"}
    task = spec["root"]["dag"]["tasks"]["make"]["inputs"]["parameters"]
    task["text"] = {"componentInputParameter": "root"}
    file = tmp_path / "pipeline.yaml"
    file.write_text(text(spec))
    assert commands.run(commands.Request(file, tmp_path / "root")) == 0
    [data] = (tmp_path / "root" / "kfp" / "objects").rglob("make/*/model/data")
    assert data.read_text() == str(tmp_path / "root")


@pytest.mark.parametrize("parameter", ["words", "=x", "words=[1"])
def test_parameters_of_another_form(tmp_path, parameter):
    file = tmp_path / "pipeline.yaml"
    file.write_text(text(two_tasks()))
    with pytest.raises(UsageError, match="--param"):
        commands.run(commands.Request(file, tmp_path / "root", parameters=(parameter,)))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        commands.run(commands.Request(tmp_path / "none.yaml", tmp_path))


def test_emulator_and_compiler_share_no_code():
    home = Path(commands.__file__).parent
    for file in home.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [name for name in names if name.startswith(("pipeline.kubeflow", "pipeline.dag", "tfx"))], file
