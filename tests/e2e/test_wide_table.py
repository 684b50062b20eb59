"""A table of 1,500 columns, whose curated schema alone is longer than one argument of a process may be."""

from __future__ import annotations

import copy
import json
import os
import random
from pathlib import Path

import pytest
import yaml

from taxiway.pipeline.emulator.run import EmulationSettings, emulate_run
from tests.e2e.conftest import taxiway

pytestmark = pytest.mark.e2e

COLUMNS = tuple(f"measured_value_of_the_sensor_{number:05d}" for number in range(1500))
ARGUMENT_BYTES = 131_072
WHOLE = "TAXIWAY_TEST_WIDE"
"""Set to run the whole pipeline: ten minutes on two cores beside other work, of which Transform takes two."""
CONFIG = {
    "name": "wide",
    "data": {"path": "rows.csv"},
    "label": {"column": "failed", "task": "binary"},
    "training": {"epochs": 1},
    "gates": {"min_rows_per_class": 0},
    "optimization": {"variants": ["frozen", "lean_inputs"], "budget_seconds": 300},
    "evaluation": {"thresholds": {"auc": {"min": 0.0}}},
    "resources": {
        "kubeflow": {"image": "taxiway:test", "default": {"volumes": [{"claim": "taxiway", "mount_path": "/taxiway"}]}}
    },
}


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """Configuration, rows and a schema that a person has edited."""
    folder, rng = tmp_path_factory.mktemp("wide"), random.Random(7)
    rows = [[rng.gauss(0, 1) for _ in COLUMNS] for _ in range(300)]
    lines = [",".join([*(f"{value:.3f}" for value in row), str(int(row[0] + row[1] > 0))]) for row in rows]
    (folder / "rows.csv").write_text("\n".join([",".join((*COLUMNS, "failed")), *lines]) + "\n")
    feature = 'feature {{\n  name: "{}"\n  type: {}\n  presence {{\n    min_fraction: 1.0\n    min_count: 1\n  }}\n}}\n'
    kinds = [*((name, "FLOAT") for name in COLUMNS), ("failed", "INT")]
    (folder / "schema.pbtxt").write_text("".join(feature.format(*kind) for kind in kinds))
    (folder / "wide.yaml").write_text(yaml.safe_dump(CONFIG))
    return folder


def compile_table(table: Path, *options: str) -> Path:
    file = table / "pipeline.yaml"
    done = taxiway("compile", table / "wide.yaml", "-o", file, *options, cwd=table)
    assert done.returncode == 0, done.stderr
    assert (table / "schema.pbtxt").stat().st_size > ARGUMENT_BYTES
    return file


def keep_tasks(text: str, kept: tuple[str, ...]) -> str:
    """The pipeline with some of its tasks; inputs from the others are taken out."""
    spec, platform = (copy.deepcopy(document) for document in yaml.safe_load_all(text))
    tasks = spec["root"]["dag"]["tasks"]
    for name in set(tasks) - set(kept):
        tasks.pop(name)
    for task in tasks.values():
        artifacts = task.get("inputs", {}).get("artifacts", {})
        lost = [key for key, source in artifacts.items() if source["taskOutputArtifact"]["producerTask"] not in kept]
        for key in lost:
            artifacts.pop(key)
            spec["components"][task["componentRef"]["name"]]["inputDefinitions"]["artifacts"].pop(key)
        task["dependentTasks"] = [other for other in task.get("dependentTasks", []) if other in kept]
    return yaml.safe_dump_all([spec, platform])


def test_steps_with_the_long_values_start_and_get_them_whole(table, tmp_path):
    """Real processes with the arguments that the compiled file has: Linux itself is the judge of their length.

    An edited schema is handed on without a look at statistics, so SchemaGen needs no StatisticsGen here.
    """
    whole = compile_table(table, "--set", "resources.kubeflow.page=false")
    text = keep_tasks(whole.read_text(), ("DataDigest", "ExampleGen", "SchemaGen"))
    parameters = {"root": str(tmp_path / "root"), "data_path": str(table / "rows.csv")}
    result = emulate_run(text, EmulationSettings(folder=tmp_path / "kfp", parameters=parameters))
    assert result.succeeded, {
        name: (task.reason, task.log and task.log.read_text()) for name, task in result.tasks.items()
    }
    [schema] = (tmp_path / "kfp" / "objects").rglob("schema.pbtxt")
    assert schema.read_bytes() == (table / "schema.pbtxt").read_bytes()
    examples = result.outputs["ExampleGen"]["examples"]
    assert len(json.dumps(examples)) < 4096  # its properties are an argument of every node that reads it
    [kinds] = (tmp_path / "kfp" / "objects").rglob("kinds.json")
    assert json.loads(kinds.read_text()).keys() >= set(COLUMNS)


@pytest.mark.skipif(WHOLE not in os.environ, reason=f"takes many minutes: set {WHOLE}=1")
@pytest.mark.timeout(7200)
def test_the_whole_pipeline_ends_in_a_pushed_model(table):
    root, package = table / "root", compile_table(table)
    options = ["--root", root, "--param", f"data_path={table / 'rows.csv'}", "--json"]
    done = taxiway("emulate", package, *options, cwd=table, timeout=7200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert any(path.name.isdigit() for path in (root / "serving" / "wide").iterdir())
