"""The step's program by itself: a section that is too long for a parameter, and a root that cannot be written."""

from __future__ import annotations

import json

import pytest

from taxiway.pipeline.exit_codes import EXIT_FAILED
from taxiway.pipeline.kubeflow import packed_properties, pod_folders
from taxiway.pipeline.kubeflow.data_digest import program


@pytest.fixture()
def invocation(tmp_path):
    """The executor input, and the section `data` of a table of many columns."""
    (tmp_path / "rows.csv").write_text("a,label\n1,0\n2,1\n")
    types = {f"measured_value_of_the_sensor_{number}": "float" for number in range(1500)}
    data = json.dumps({"path": str(tmp_path / "rows.csv"), "types": types})
    values = {
        "data": packed_properties.make_pointer(data),
        "run_id": "r",
        "pipeline": "p",
        "taxiway_root": str(tmp_path),
    }
    outputs = {name: {"outputFile": str(tmp_path / "out" / name)} for name in ("digest", "spans")}
    return {"inputs": {"parameterValues": values}, "outputs": {"parameters": outputs}}, data


def test_a_long_section_comes_from_the_arguments(invocation, tmp_path):
    given, data = invocation
    arguments = [program.INPUT_OPTION, json.dumps(given), *packed_properties.write_arguments({"data": data})]
    assert program.main(arguments) == 0
    assert len((tmp_path / "out" / "digest").read_text()) == 32


def test_without_them_the_step_says_so(invocation, capsys):
    assert program.main([program.INPUT_OPTION, json.dumps(invocation[0])]) != 0
    assert "The value of data is not among the container's arguments" in capsys.readouterr().err


def test_the_first_step_tells_of_a_fresh_volume(invocation, tmp_path, monkeypatch, capsys):
    def refuse(root):
        raise pod_folders.TaxiwayError(f"{root} cannot be written", "Give it away.")

    monkeypatch.setattr(pod_folders, "check_root", refuse)
    given, data = invocation
    arguments = [program.INPUT_OPTION, json.dumps(given), *packed_properties.write_arguments({"data": data})]
    assert program.main(arguments) == EXIT_FAILED
    assert "cannot be written\nGive it away." in capsys.readouterr().err and not (tmp_path / "out").exists()
