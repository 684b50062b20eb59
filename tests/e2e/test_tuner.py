"""A search and the training that takes its settings, in one run; the Tuner cannot read the split `test`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from taxiway.components.contract import training_dir
from taxiway.components.training.job import HISTORY_FILE, JOB_FILE, WEIGHTS_FILE, TrainingJob
from taxiway.components.tuner.job import HYPERPARAMETERS_FILE, REPORT_FILE
from taxiway.pipeline.lineage.traversal import LineageReader
from tests.e2e.conftest import run
from tests.e2e.guarded import GUARDED_FILE
from tests.fixtures.orders import write_orders

pytestmark = pytest.mark.e2e

RATE, UNITS = "training.optimizer.learning_rate", "model.hidden_units"
SEARCHED = {RATE: [0.004, 0.016], UNITS: [[4], [6, 5]]}
"""No value is configured, so that what the Trainer takes can come from nowhere else."""
CONFIG = {
    "name": "orders",
    "data": {"path": "orders.csv"},
    "label": {"column": "returned", "task": "binary"},
    "model": {"kind": "mlp", "hidden_units": [3]},
    "training": {"epochs": 2, "global_batch_size": 64, "tensorboard": False, "optimizer": {"learning_rate": 1e-6}},
    "tuning": {"enabled": True, "trials": 2, "parallel": 1, "pruner": "none", "space": SEARCHED},
    "gates": {"min_rows_per_class": 0},
}


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    write_orders(folder / "orders.csv", 800, 5)
    (folder / "orders.yaml").write_text(yaml.safe_dump(CONFIG))
    finished = run(folder / "orders.yaml", folder / "root", "--to", "Trainer", guarded=True)
    assert finished.code == 0, finished.printed
    return finished


def read_best(tuned):
    return json.loads((tuned.artifact("Tuner", "best_hyperparameters") / HYPERPARAMETERS_FILE).read_text())["values"]


def test_the_best_settings_are_those_of_the_trial_with_the_least_loss(tuned):
    best, report = read_best(tuned), json.loads((tuned.artifact("Tuner", "tuner_results") / REPORT_FILE).read_text())
    losses = {trial["value"]: trial["settings"] for trial in report["all_trials"]}
    assert len(report["all_trials"]) == 2 and best == losses[min(losses)]
    assert best[RATE] in SEARCHED[RATE] and json.loads(best[UNITS]) in SEARCHED[UNITS]


def test_the_trainer_trained_with_them(tuned):
    import h5py

    best, folder = read_best(tuned), Path(training_dir(str(tuned.artifact("Trainer", "model"))))
    job = TrainingJob.model_validate_json((folder / JOB_FILE).read_text())
    assert job.training.optimizer.learning_rate == best[RATE]
    assert list(job.model.hidden_units) == json.loads(best[UNITS])
    assert json.loads((folder / HISTORY_FILE).read_text())["steps"] > 0
    kernels = []
    with h5py.File(folder / WEIGHTS_FILE) as file:
        file.visititems(lambda name, item: kernels.append(item.shape) if "kernel" in name else None)
    assert {shape[1] for shape in kernels} == {*json.loads(best[UNITS]), 1}


def test_the_lineage_knows_where_the_settings_came_from(tuned):
    reader = LineageReader.open_root(tuned.root)
    (found,) = reader.list_artifacts_of_type("HyperParameters")
    number = int(found.key.partition(":")[2])
    walked = reader.walk_downstream(artifacts=(number,))
    assert [node.name for node in reader.get_executions(walked.executions)] == ["Trainer"]
    walked = reader.walk_upstream(artifacts=(number,))
    assert "Tuner" in [node.name for node in reader.get_executions(walked.executions)]


def test_no_node_of_it_read_the_split_test(tuned):
    """Its files held garbage while any node but ExampleGen ran."""
    guarded = (tuned.root.path / GUARDED_FILE).read_text().split()
    ran = {name for name, state in tuned.states.items() if state == "done"}
    assert "Tuner" in guarded and set(guarded) == ran - {"ExampleGen"}
