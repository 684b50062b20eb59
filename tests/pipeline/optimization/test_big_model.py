"""`taxiway optimize` on a model of BERT's base size: minutes and gigabytes, where it is asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from taxiway.components.processes import subprocesses
from taxiway.pipeline.runs.peak_memory import PeakMemory

_LIMIT_MB = 8 * 2**30 / 1e6


@pytest.mark.skipif(os.environ.get("TAXIWAY_TEST_BIG") != "1", reason="minutes: TAXIWAY_TEST_BIG=1 runs it")
@pytest.mark.timeout(4500)
def test_an_encoder_of_110_million_parameters_takes_less_than_8_gib(tmp_path):
    environment = {**os.environ, **subprocesses.CHILD_ENVIRONMENT, "TF_USE_LEGACY_KERAS": "1"}
    build = [sys.executable, "-m", "tests.components.optimizer.given_models", str(tmp_path), "bert"]
    subprocess.run(build, check=True, timeout=900, env=environment, capture_output=True)
    variants = [word for name in ("frozen", "float16", "int8_weights") for word in ("--variant", name)]
    limits = [
        "--budget",
        "1500",
        "--rows",
        "100",
        "--memory",
        f"{_LIMIT_MB:.0f}",
        "--batch",
        "1",
        "--objective",
        "size",
    ]
    command = [sys.executable, "-m", "taxiway", "optimize", str(tmp_path / "bert"), "-o", str(tmp_path / "out")]
    with PeakMemory() as memory:
        done = subprocess.run(
            [*command, *variants, *limits, "--json"], timeout=3600, capture_output=True, text=True, check=False
        )
        peak_mb = memory.peak_mb()
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    made = {each["name"]: each for each in answer["report"]["variants"]}
    assert {name: each["status"] for name, each in made.items()} == dict.fromkeys(
        ("reference", "frozen", "float16", "int8_weights"), "measured"
    ), {name: each["reason"] for name, each in made.items()}
    assert made["float16"]["size"]["ratio"] > 1.9
    assert made["int8_weights"]["size"]["ratio"] > 3.5
    assert peak_mb < _LIMIT_MB
    assert Path(answer["model"], "saved_model.pb").is_file()
