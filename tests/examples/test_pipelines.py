"""The pipelines of `examples/`, which are not ours, run to a pushed version: minutes each, where it is asked for."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
WHOLE = os.environ.get("TAXIWAY_TEST_EXAMPLES") == "whole"


@pytest.fixture(scope="module")
def run_example(tmp_path_factory):
    """Runs an example's script; the folder that it has filled."""

    def run_script(name, script):
        folder = tmp_path_factory.mktemp(name)
        command = [sys.executable, str(EXAMPLES / name / script), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=1500, cwd=folder)
        assert done.returncode == 0, done.stderr[-4000:]
        return folder

    return run_script


def read_json(folder, node, output, name):
    (file,) = (folder / "artifacts" / node / output).glob(f"*/{name}")
    return json.loads(file.read_text())


def test_each_example_is_told_of():
    page = (EXAMPLES.parent / "docs" / "extensions.md").read_text()
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir() and any(path.iterdir())}
    assert {name for name in folders if f"| `examples/{name}` |" not in page} == set()


@pytest.mark.skipif(not WHOLE, reason="minutes each: TAXIWAY_TEST_EXAMPLES=whole runs the examples")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("name", "script", "pusher", "output", "quality"),
    [
        ("penguin", "penguin_pipeline.py", "AtomicPusher", "outputs", 0.9),
        ("taxi_template", "template_pipeline.py", "Pusher", "outputs", None),
        ("digits", "digits_pipeline.py", "Pusher", "logits", 0.9),
        ("sentences", "sentences_pipeline.py", "Pusher", "praise", 0.95),
    ],
)
def test_it_runs_to_a_pushed_version(run_example, name, script, pusher, output, quality):
    folder = run_example(name, script)
    report = read_json(folder, "ModelOptimizer", "report", "report.json")
    assert report["job"]["prediction_output"] == output
    (chosen,) = [variant for variant in report["variants"] if variant["name"] == report["decision"]["chosen"]]
    assert chosen["name"] != "reference"  # the objective is the size, whatever the machine
    assert quality is None or chosen["quality"]["value"]["value"] > quality
    assert read_json(folder, "ServingValidator", "report", "report.json")["blessed"]
    pushed = read_json(folder, pusher, "pushed_model", "push.json")
    assert pushed["pushed"] and Path(pushed["pushed_destination"], "saved_model.pb").is_file()
    if name == "taxi_template":  # after 100 steps from weights without a seed it may be worse than chance
        assert chosen["quality"]["value"]["value"] == pytest.approx(measure_auc(folder, "tips_xf", "outputs"), abs=1e-6)


def measure_auc(folder, label, output):
    """The AUC of the pushed model on the split `eval`, by the label that the transform graph made."""
    import numpy as np
    import tensorflow as tf

    def read_split(node, name):
        files = sorted(map(str, (folder / "artifacts" / node / name).glob("*/Split-eval/*")))
        return list(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator())

    transformed = map(tf.train.Example.FromString, read_split("Transform", "transformed_examples"))
    positive = np.array([example.features.feature[label].int64_list.value[0] == 1 for example in transformed])
    (version,) = (folder / "serving" / "taxi").glob("*/saved_model.pb")
    serve = tf.saved_model.load(str(version.parent)).signatures["serving_default"]
    scores = serve(tf.constant(read_split("CsvExampleGen", "examples")))[output].numpy().ravel()
    above = scores[positive][:, None] - scores[~positive][None]
    return float((above > 0).mean() + (above == 0).mean() / 2)
