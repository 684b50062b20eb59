"""The taxi pipeline, compiled for Kubeflow and run as its backend would run it, against the same run through TFX."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from pipeline.kubeflow import records
from tests.e2e.conftest import taxiway

pytestmark = pytest.mark.e2e

KUBEFLOW = {"image": "taxiway:test", "default": {"volumes": [{"claim": "taxiway", "mount_path": "/taxiway"}]}}
AUC_TOLERANCE = 0.01
"""Rows are written in another order by every run, so weights differ in their last digits from the first step on."""


@dataclass(frozen=True)
class Emulated:
    root: Path
    code: int
    result: dict


@pytest.fixture(scope="module")
def emulated(taxi, tmp_path_factory) -> Emulated:
    folder = tmp_path_factory.mktemp("kubeflow")
    file = folder / "pipeline.yaml"
    options = ["--set", f"resources.kubeflow={json.dumps(KUBEFLOW)}", "--set", "optimization.variants=[frozen]"]
    compiled = taxiway("compile", taxi.config, "-o", file, *options, cwd=folder)
    assert compiled.returncode == 0, compiled.stderr
    done = taxiway("emulate", file, "--root", folder / "root", "--json", cwd=folder, timeout=1800)
    assert done.stdout, done.stderr
    return Emulated(folder / "root", done.returncode, json.loads(done.stdout))


def live(serving: Path) -> dict:
    newest = max((path for path in serving.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
    return json.loads((newest / "assets.extra" / "provenance.json").read_text())


def test_the_compiled_pipeline_ends_in_a_pushed_model(emulated):
    states = {name: task["state"] for name, task in emulated.result["tasks"].items()}
    assert set(states.values()) == {"succeeded"}, emulated.result["tasks"]
    assert emulated.code == 0
    assert live(emulated.root / "serving" / "taxi")["run_id"] == emulated.result["run_id"]


def test_its_metrics_are_those_of_a_local_run(emulated, taxi):
    name = yaml.safe_load(taxi.config.read_text())["name"]
    here = live(taxi.root.serving / name)["metrics"]
    there = live(emulated.root / "serving" / name)["metrics"]
    assert there["auc"] == pytest.approx(here["auc"], abs=AUC_TOLERANCE)
    assert there["example_count"] == here["example_count"]


def test_every_node_leaves_a_record_that_joins_by_uri(emulated):
    found = {record.node: record for record in records.read(emulated.root)}
    assert set(found) == set(emulated.result["tasks"])
    assert {record.run_id for record in found.values()} == {emulated.result["run_id"]}
    made = {artifact.uri for record in found.values() for each in record.outputs.values() for artifact in each}
    read = {artifact.uri for record in found.values() for each in record.inputs.values() for artifact in each}
    assert read <= made and all(uri.startswith("minio://") for uri in made)


def test_it_is_inspected_as_a_local_run_is(emulated, taxi):
    """No `metadata.db` is there: the records say what ran and where the live model comes from."""
    assert not (emulated.root / "metadata.db").exists()
    asked = {"cwd": emulated.root, "timeout": 120}
    [told] = json.loads(taxiway("runs", "--root", emulated.root, "--json", **asked).stdout)
    assert (told["run_id"], told["state"], told["model"]) == (emulated.result["run_id"], "live", "taxi")
    there, here = (
        json.loads(taxiway("lineage", "--root", root, "--format", "json", **asked).stdout)
        for root in (emulated.root, taxi.root.path)
    )
    assert {step["node"] for step in there["steps"]} == {step["node"] for step in here["steps"]}
    facts = [next(s for s in told["steps"] if s["node"] == "ExampleGen")["facts"] for told in (there, here)]
    assert facts[0]["fingerprint"] == facts[1]["fingerprint"] and facts[0]["rows"] == facts[1]["rows"]


def test_the_provenance_says_as_much_as_a_local_one(emulated, taxi):
    there, here = live(emulated.root / "serving" / "taxi"), live(taxi.root.serving / "taxi")
    assert set(there) == set(here)
    assert there["data"]["span"] == here["data"]["span"] == 0
    assert there["data"]["input_fingerprint"] == here["data"]["input_fingerprint"]
    assert there["code_fingerprint"] == here["code_fingerprint"] != ""
