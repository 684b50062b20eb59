"""The serving validator's core: a good candidate is blessed; every way of being bad is a verdict with its reason."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from taxiway.components.errors import TaxiwayError
from taxiway.components.saved_models import manifest
from taxiway.components.serving.config import ServingConfig
from taxiway.components.serving.requests import from_examples, warmup
from taxiway.components.serving.validation import start
from taxiway.components.serving.versions.server_files import IMAGE
from tests.components.serving import models

ALLOWED = 1e-4


@pytest.fixture(scope="module")
def eval_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(models.write_examples(tmp_path_factory.mktemp("examples") / "part-0.gz", models.rows(150)))


def job(candidate: Path, trained: Path, eval_file: str, extra: Path, **config: Any) -> dict[str, Any]:
    return {
        "candidate": str(candidate),
        "trained": str(trained),
        "files": [eval_file],
        "label": "tip",
        "task": "binary",
        "model_name": "taxi",
        "config": ServingConfig(**config).model_dump_json(),
        "allowed_error": ALLOWED,
        "extra_files": str(extra),
    }


def run(*args: Any, tmp_path: Path, **config: Any) -> dict[str, Any]:
    return start.run_validation(job(*args, tmp_path / "extra", **config), tmp_path / "log.txt", 300)


def test_the_same_model_is_blessed(taxi_model: Path, eval_file: str, tmp_path: Path) -> None:
    report = run(taxi_model, taxi_model, eval_file, tmp_path=tmp_path)
    assert report["reason"] == "" and report["blessed"] and report["version"] == 1
    assert report["digest"] == manifest.digest_folder(taxi_model)
    checks = {finding["check"]: finding for finding in report["findings"]}
    assert {"serving_default in batches of 64", "serving_raw in batches of 1"} <= set(checks)
    assert checks["serving_raw in batches of 7"]["value"] < 1e-6
    assert checks["serving_raw over REST"]["value"] < 1e-6 and checks["serving_default over REST labels"]["passed"]
    assert checks["malformed: an honest request after all of them"]["passed"]
    assert checks["malformed: garbage bytes as an example"]["detail"].endswith("refused as INVALID_ARGUMENT")
    figures = report["figures"]
    assert figures["rows"] == 150 and figures["latency_ms"]["p99"] > 0 and figures["warmup_requests"] == 4
    assert len(warmup.read_requests(tmp_path / "extra")) == 4


def test_a_program_that_reads_files_is_refused_unloaded(taxi_model: Path, eval_file: str, tmp_path: Path) -> None:
    module = tf.Module()
    module.serve = tf.function(tf.io.read_file, input_signature=[tf.TensorSpec([], tf.string, "examples")])
    tf.saved_model.save(
        module, str(tmp_path / "m"), signatures={"serving_default": module.serve.get_concrete_function()}
    )
    report = run(tmp_path / "m", taxi_model, eval_file, tmp_path=tmp_path)
    assert not report["blessed"] and "ReadFile" in report["reason"] and "load_seconds" not in report["figures"]


def test_other_answers_are_refused(taxi_model: Path, eval_file: str, tmp_path: Path) -> None:
    other = models.write_model(tmp_path / "other", offset=1e-3)
    report = run(other, taxi_model, eval_file, tmp_path=tmp_path)
    assert not report["blessed"] and "largest difference from the trained model 0.001" in report["reason"]


def test_a_jitted_signature_is_refused_although_it_loads(taxi_model: Path, eval_file: str, tmp_path: Path) -> None:
    """TensorFlow Serving disables XLA: such a signature fails on the first request there."""
    jitted = models.write_model(tmp_path / "jitted", jit=True)
    report = run(jitted, taxi_model, eval_file, tmp_path=tmp_path)
    assert not report["blessed"] and "does not serve" in report["reason"]


def test_a_model_that_does_not_load_is_refused(taxi_model: Path, eval_file: str, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(taxi_model, tmp_path / "broken"))
    (broken / "variables" / "variables.index").write_bytes(b"nothing")
    report = run(broken, taxi_model, eval_file, tmp_path=tmp_path)
    assert not report["blessed"] and "does not serve" in report["reason"]


def test_raw_inputs_that_differ_from_the_file_are_refused(taxi_model: Path, eval_file: str, tmp_path: Path) -> None:
    other = Path(shutil.copytree(taxi_model, tmp_path / "other"))
    path = other / "assets.extra" / "signature_inputs.json"
    content = json.loads(path.read_text())
    del content["inputs"]["seats"]
    path.write_text(json.dumps(content))
    assert not run(other, taxi_model, eval_file, tmp_path=tmp_path)["blessed"]


def test_a_damaged_live_version_can_be_replaced_and_is_told(taxi_model: Path, eval_file: str, tmp_path: Path) -> None:
    live = Path(shutil.copytree(taxi_model, tmp_path / "live"))
    (live / "assets.extra" / "signature_inputs.json").write_text("{}")
    asked = job(taxi_model, taxi_model, eval_file, tmp_path / "extra", validate_over="process")
    report = start.run_validation({**asked, "live": str(live)}, tmp_path / "log.txt", 300)
    assert report["blessed"]
    [said] = report["figures"]["input_changes"]
    assert "not compared with the live version's inputs" in said and str(live) in said


def test_an_output_of_the_live_version_that_is_gone_is_told(taxi_model: Path, eval_file: str, tmp_path: Path) -> None:
    live = Path(shutil.copytree(taxi_model, tmp_path / "live"))
    model = saved_model_pb2.SavedModel.FromString((live / "saved_model.pb").read_bytes())
    outputs = model.meta_graphs[0].signature_def["serving_default"].outputs
    outputs["classes"].CopyFrom(outputs["predicted_label"])
    (live / "saved_model.pb").write_bytes(model.SerializeToString())
    asked = job(taxi_model, taxi_model, eval_file, tmp_path / "extra", validate_over="process")
    report = start.run_validation({**asked, "live": str(live)}, tmp_path / "log.txt", 300)
    assert report["blessed"] and report["figures"]["input_changes"] == ["the output 'classes' is gone"]


def test_limits_are_judged_also_without_sockets(taxi_model: Path, eval_file: str, tmp_path: Path) -> None:
    limits = {"validate_over": "process", "max_p99_ms": 1e-6, "max_load_seconds": 600}
    report = run(taxi_model, taxi_model, eval_file, tmp_path=tmp_path, **limits)
    assert not any("REST" in finding["check"] for finding in report["findings"])
    assert not report["blessed"] and "p99 latency of one row" in report["reason"]
    assert "load time" not in report["reason"]


ENGINE = """#!{python}
import os, sys
arguments = sys.argv[1:]
if arguments[:2] == ["image", "inspect"]:
    sys.exit(arguments[2] != "{image}")
assert arguments[:3] == ["run", "--rm", "--init"] and "{image}" in arguments
value = lambda flag: [a for f, a in zip(arguments, arguments[1:]) if f == flag]
(mount,), ports = value("-v"), dict(reversed(p.removeprefix("127.0.0.1:").split(":")) for p in value("-p"))
base, inside, mode = mount.split(":")
assert (inside, mode) == ("/models/taxi", "ro") and value("-e") == ["MODEL_NAME=taxi"]
assert arguments[-2:] == ["--model_name=taxi", "--model_base_path=/models/taxi"]
os.execv(sys.executable, [sys.executable, "-m", "taxiway.components.serving.server.embedded", "--model-name", "taxi",
    "--model-base-path", base, "--rest-port", ports["8501"], "--grpc-port", ports["8500"]])
"""


def test_over_the_image(taxi_model: Path, eval_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for podman checks how it is called and serves what is mounted: the image itself is not at hand."""
    engine = tmp_path / "bin" / "podman"
    engine.parent.mkdir()
    engine.write_text(ENGINE.format(python=sys.executable, image=IMAGE))
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", str(engine.parent), prepend=os.pathsep)
    report = run(taxi_model, taxi_model, eval_file, tmp_path=tmp_path, validate_over="container", max_memory_mb=1e4)
    assert report["figures"]["over"] == "container" and report["figures"]["memory_mb"] is None
    assert report["reason"] == "memory: cannot be measured of a server in a container"
    checks = {finding["check"]: finding for finding in report["findings"]}
    assert checks["serving_raw over REST"]["passed"] and checks["serving_default in batches of 64"]["passed"]
    assert checks["malformed: an honest request after all of them"]["passed"]


def test_no_more_rows_are_read_than_asked_for(tmp_path: Path) -> None:
    """From all files in turn; a split of a hundred million rows is not read to its end."""
    files = [models.write_examples(tmp_path / f"{n}.gz", [{"n": n * 100 + i} for i in range(50)]) for n in range(3)]
    whole = files[2].read_bytes()
    files[2].write_bytes(whole[: len(whole) // 2])  # damaged, after the rows that are wanted
    read = from_examples.read_examples(files, 7)
    assert [row.features.feature["n"].int64_list.value[0] for row in read] == [0, 100, 200, 1, 101, 201, 2]


def test_requests_of_any_size_hold_the_same_rows(taxi_model: Path) -> None:
    made = from_examples.RequestBuilder.from_examples(
        [models.example(row) for row in models.rows(10)], taxi_model, "tip"
    )
    for signature in made.signatures:
        whole = made.build_request(signature, slice(None))
        batches = list(made.split_batches(signature, 4))
        assert [len(next(iter(batch.values()))) for batch in batches] == [4, 4, 2]
        for alias, values in whole.items():
            np.testing.assert_array_equal(np.concatenate([batch[alias] for batch in batches]), values)


def test_no_rows_is_an_error_not_a_verdict(taxi_model: Path, tmp_path: Path) -> None:
    empty = str(models.write_examples(tmp_path / "empty.gz", []))
    with pytest.raises(TaxiwayError, match="No rows"):
        run(taxi_model, taxi_model, empty, tmp_path=tmp_path)


def test_a_process_that_dies_is_a_verdict(taxi_model: Path, eval_file: str, tmp_path: Path) -> None:
    report = start.run_validation(job(taxi_model, taxi_model, eval_file, tmp_path), tmp_path / "log.txt", 0.5)
    assert not report["blessed"] and "did not end within" in report["reason"]
