"""Nothing changed: said at once. Anything changed: a run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from taxiway.pipeline import config as configuration
from taxiway.pipeline.root import Root
from taxiway.pipeline.runs import up_to_date
from taxiway.pipeline.tracking import run_record
from taxiway.pipeline.tracking.run_record import NodeRecord, PushRecord, RunRecord

REPOSITORY = Path(__file__).parents[3]

LIGHT = """
import sys
from taxiway.pipeline import cli
code = cli.run(sys.argv[1:])
assert not {"tensorflow", "tfx"} & set(sys.modules)
sys.exit(code)
"""


@pytest.fixture
def config(tmp_path):
    (tmp_path / "rows.csv").write_text("fare,tip\n" + "".join(f"{n},{n % 2}\n" for n in range(50)))
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"name": "mine", "data": {"path": "rows.csv"}, "label": {"column": "tip"}}))
    return path


def digest(config, *overrides):
    return up_to_date.digest_inputs(configuration.load_config(config, overrides))


@pytest.fixture
def root(tmp_path, config):
    """A root whose live version was pushed by a run with these inputs."""
    made = Root.at(tmp_path / "root")
    extra = made.serving / "mine" / "7" / "assets.extra"
    extra.mkdir(parents=True)
    (extra / "provenance.json").write_text(json.dumps({"version": 1, "run_id": "run-1"}))
    made.run_folder("run-1").mkdir(parents=True)
    run = RunRecord(run_id="run-1", state="live", model="mine", started=1.0, inputs=digest(config))
    run_record.write_summary(run, made.run_folder("run-1"))
    return made


def test_a_touched_file_is_the_same(config, tmp_path):
    before = digest(config)
    (tmp_path / "rows.csv").touch()
    assert digest(config) == before


def test_whatever_decides_the_model_counts(config, tmp_path):
    seen = {digest(config), digest(config, "training.epochs=2")}
    rows = (tmp_path / "rows.csv").read_text()
    (tmp_path / "rows.csv").write_text(rows.replace("49,1", "49,0"))
    seen.add(digest(config))
    (tmp_path / "rows.csv").write_text(rows)
    (tmp_path / "mine.py").write_text("def preprocessing_fn(inputs):\n    return inputs\n")
    own = "preprocessing.function=mine.preprocessing_fn"
    seen.add(digest(config, own))
    (tmp_path / "mine.py").write_text("def preprocessing_fn(inputs):\n    return dict(inputs)\n")
    seen.add(digest(config, own))
    (tmp_path / "schema.pbtxt").write_text('feature { name: "fare" type: FLOAT }')
    seen.add(digest(config))
    assert len(seen) == 6


def test_the_live_version_of_the_same_inputs(root, config):
    settings = configuration.load_config(config)
    version, run = up_to_date.find_same_inputs(root, settings, digest(config))
    assert (version.number, run.run_id) == (7, "run-1")
    assert up_to_date.find_same_inputs(root, settings, "other") is None


def test_a_rollback_is_never_up_to_date(root, config):
    provenance = {"version": 1, "run_id": "run-1", "rollback_of": 9}
    (root.serving / "mine" / "7" / "assets.extra" / "provenance.json").write_text(json.dumps(provenance))
    assert up_to_date.find_same_inputs(root, configuration.load_config(config), digest(config)) is None


def test_a_run_killed_after_its_push_is_finished_first(root, config):
    """The next run closes its executions; that one's end is what later runs go by."""
    settings, killed = configuration.load_config(config), run_record.read_summary(root.run_folder("run-1"))
    run_record.write_summary(killed.model_copy(update={"state": "running"}), root.run_folder("run-1"))
    assert up_to_date.find_same_inputs(root, settings, digest(config)) is None
    push = PushRecord(pushed=False, version=7, already_live=True)
    root.run_folder("run-2").mkdir()
    run_record.write_summary(killed.model_copy(update={"run_id": "run-2", "push": push}), root.run_folder("run-2"))
    assert up_to_date.find_same_inputs(root, settings, digest(config))[1].run_id == "run-2"


def test_a_run_that_found_the_version_live_need_not_be_run_again(root, config):
    """After a changed threshold the same model is live: the same threshold once more changes nothing."""
    settings, pushed = configuration.load_config(config), run_record.read_summary(root.run_folder("run-1"))
    changed = digest(config, "evaluation.thresholds={auc: {min: 0.6}}")
    push, part = (
        PushRecord(pushed=False, version=7, already_live=True),
        (NodeRecord(node="Evaluator", state="skipped"),),
    )
    run = pushed.model_copy(update={"push": push, "inputs": changed})
    other = {"push": push.model_copy(update={"version": 6})}
    for name, what in (("run-0", {}), ("run-2", other), ("run-3", {"state": "blocked"}), ("run-4", {"nodes": part})):
        root.run_folder(name).mkdir()
        run_record.write_summary(run.model_copy(update={"run_id": name, **what}), root.run_folder(name))
    assert up_to_date.find_same_inputs(root, settings, changed) is None
    run_record.write_summary(run.model_copy(update={"run_id": "run-3"}), root.run_folder("run-3"))
    assert up_to_date.find_same_inputs(root, settings, changed)[1].run_id == "run-3"
    assert up_to_date.find_same_inputs(root, settings, digest(config))[1].run_id == "run-1"


def test_a_version_of_unknown_origin_is_not_up_to_date(root, config):
    (root.run_folder("run-1") / run_record.SUMMARY_FILE).unlink()
    assert up_to_date.find_same_inputs(root, configuration.load_config(config), digest(config)) is None
    (root.serving / "mine" / "7" / "assets.extra" / "provenance.json").unlink()
    assert up_to_date.find_same_inputs(root, configuration.load_config(config), digest(config)) is None


def test_the_command_says_so_at_once(root, config):
    command = [sys.executable, "-c", LIGHT, "run", str(config), "--root", str(root.path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "mine version 7 is from the same inputs" in done.stdout
    assert [path.name for path in root.runs.iterdir()] == ["run-1"]
