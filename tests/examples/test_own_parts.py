"""The package `examples/own_parts` is installed, and each of its parts does its work under its name."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "examples" / "own_parts"
SCRIPT = Path(__file__).with_name("use_own_parts.py")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder into which the package is installed: offline, with the build tools of this environment."""
    folder = tmp_path_factory.mktemp("own")
    shutil.copytree(PACKAGE, folder / "source")  # setuptools builds inside
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--quiet", "--target", str(folder / "site")]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(folder / "source")], check=True, timeout=300)
    return folder / "site"


@pytest.fixture(scope="module")
def used(installed, tmp_path_factory):
    """What `use_own_parts.py` found with the package on its path."""
    command = [sys.executable, str(SCRIPT), str(tmp_path_factory.mktemp("used"))]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(installed)}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_technique_changes_weights_and_proves_it(used):
    assert used["technique"]["passed"] and used["technique"]["detail"] == "1 variables of 10 bits"
    assert used["technique"]["refused_of_a_model_without_variables"].startswith("it rounds variables")
    assert 0 < used["technique"]["largest_change"] < 1e-2


def test_the_model_function_is_found_by_its_name(used):
    assert used["model"] == [None, 1]


def test_the_metric_goes_into_the_evaluators_configuration(used):
    assert used["metric"]["class"] == "MatthewsCorrelationCoefficient"
    assert "metrics of others: MatthewsCorrelationCoefficient" in used["metric"]["obstacle"]
    assert "metric 'matthews', which a regression model does not have" in used["metric"]["other_task"]


def test_the_reader_reads_files_with_its_ending(used):
    assert used["reader"] == {"x": [1.5, 2.0], "word": ["a", "b"]}
    assert "no column 'gone'" in used["missing_column"]


def test_an_edited_part_counts_for_the_cache(used):
    assert {name.partition(":")[2] for name in used["fingerprint"]} == {
        "rounded",
        "two_towers",
        "matthews",
        "semicolons",
    }
    assert all(text.startswith("own-parts 0.1 ") for text in used["fingerprint"].values())


def test_without_the_package_its_names_are_refused():
    from taxiway.components.errors import ConfigError
    from taxiway.pipeline.config import load_config

    for override in (
        "optimization.variants=[rounded]",
        "evaluation.metrics=[matthews]",
        "data.format=semicolons",
    ):
        with pytest.raises(ConfigError, match=override.rpartition("=")[2].strip("[]")):
            load_config(overrides=(override,))
