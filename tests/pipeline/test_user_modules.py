"""The user's modules beside the configuration: any name but `taxiway`, wherever the user stands."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from taxiway.components.errors import ConfigError
from taxiway.pipeline import user_modules
from taxiway.pipeline.config import load_config

HOME = Path(__file__).parents[2]
CONFIG = """
name: mine
data: {path: rows.csv}
label: {column: y, task: binary}
preprocessing: {function: data.preprocessing_fn}
model: {function: pipeline.model.build_model}
training: {epochs: 1}
gates: {min_rows: 1}
"""
PREPROCESSING = """
import tensorflow as tf
from components import scale_number

def preprocessing_fn(inputs):
    dense = {name: tf.reshape(tf.sparse.to_dense(v) if isinstance(v, tf.SparseTensor) else v, [-1])
             for name, v in inputs.items()}
    return {"y": dense["y"], "scaled": scale_number(dense["a"])}
"""
HELPER = """
import tensorflow as tf
import tensorflow_transform as tft

def scale_number(value):
    return tft.scale_to_z_score(tf.cast(value, tf.float32))
"""
MODEL = """
import tf_keras

def build_model(features, task, units):
    inputs = {f.name: tf_keras.Input(f.shape, name=f.name, dtype=f.dtype) for f in features}
    column = tf_keras.layers.Reshape([1])(inputs["scaled"])
    return tf_keras.Model(inputs, tf_keras.layers.Dense(units, name="mine")(column))
"""


@pytest.fixture
def users(tmp_path):
    """A folder with a configuration."""
    folder = tmp_path / "users"
    folder.mkdir()
    (folder / "mine.yaml").write_text(CONFIG)
    draw = random.Random(1)
    rows = [f"{a},{int(a + draw.random() > 1)}" for a in (round(draw.random(), 3) for _ in range(400))]
    (folder / "rows.csv").write_text("a,y\n" + "\n".join(rows) + "\n")
    return folder


@pytest.fixture
def paths(monkeypatch):
    """Both search paths, as before when the test has ended."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", "")


@pytest.mark.usefixtures("paths")
def test_the_folder_comes_last_here_and_is_told_to_children(users):
    config = load_config(users / "mine.yaml", ())
    user_modules.make_importable(config)
    user_modules.make_importable(config)
    assert sys.path[-1] == str(users) and sys.path.count(str(users)) == 1
    assert os.environ["PYTHONPATH"] == str(users)


@pytest.mark.usefixtures("paths")
@pytest.mark.parametrize("name", ["taxiway.py", "taxiway/__init__.py"])
def test_a_module_called_taxiway_is_refused(users, name):
    (users / name).parent.mkdir(exist_ok=True)
    (users / name).touch()
    with pytest.raises(ConfigError, match="has Taxiway's own name"):
        user_modules.make_importable(load_config(users / "mine.yaml", ()))
    assert str(users) not in sys.path


@pytest.mark.usefixtures("paths")
def test_a_configuration_in_the_checkout_and_a_folder_of_files_are_not_refused(users, tmp_path):
    (users / "taxiway").mkdir()
    user_modules.make_importable(load_config(users / "mine.yaml", ()))
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "taxiway").symlink_to(HOME / "taxiway")
    user_modules._check_names(checkout)


@pytest.mark.e2e
def test_modules_with_our_folders_names_from_a_hostile_folder(users, tmp_path):
    """The real command: Transform runs in its process, training in a child, the folder where it stands has traps."""
    (users / "data.py").write_text(PREPROCESSING)
    (users / "components.py").write_text(HELPER)
    (users / "pipeline").mkdir()
    (users / "pipeline" / "model.py").write_text(MODEL)
    hostile = tmp_path / "hostile"
    for name in ("taxiway", "components", "pipeline", "data", "yaml"):
        (hostile / name).mkdir(parents=True)
        (hostile / name / "__init__.py").write_text("raise SystemExit('a hostile module was imported')\n")
    command = [Path(sys.executable).with_name("taxiway"), "run", users / "mine.yaml", "--root", tmp_path / "root"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [*command, "--to", "Trainer", "--json"],
        cwd=hostile,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    nodes = {node["node"]: node["state"] for node in json.loads(done.stdout)["nodes"]}
    assert nodes["Transform"] == nodes["Trainer"] == "done"
