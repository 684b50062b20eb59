"""`taxiway optimize` on models that nothing of ours made, as a user calls it: one process a model, Keras 3 apart."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from taxiway.components.errors import OptimizationError, ServingError, UsageError
from taxiway.components.optimizer.report import read_report
from taxiway.components.processes import subprocesses
from taxiway.components.saved_models import manifest
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.pipeline.optimization import run
from taxiway.pipeline.optimization.request import OptimizeRequest
from taxiway.pipeline.optimization.result_text import list_result_lines

BEFORE_ANY_LEVEL = re.compile(r"I0000 |WARNING: All log messages before absl::InitializeLog")
"""Lines of information that TensorFlow writes from 2.21 on, whatever its log level, when it is imported."""
FAST = ("--budget", "150", "--rows", "200", "--batch", "8")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The SavedModels, by kind: those of Keras 2 and TensorFlow together, Keras 3's in a process of its own."""
    folder = tmp_path_factory.mktemp("models")
    _build(folder, "1", "text_table", "two_outputs", "estimator", "sparse", "file_reader", "single", "keras_file")
    _build(folder, "0", "keras3_conv")
    return folder


def _build(folder: Path, legacy: str, *kinds: str) -> None:
    environment = {**os.environ, **subprocesses.CHILD_ENVIRONMENT, "TF_USE_LEGACY_KERAS": legacy}
    command = [sys.executable, "-m", "tests.components.optimizer.given_models", str(folder), *kinds]
    subprocess.run(command, check=True, timeout=900, env=environment, capture_output=True)


def _optimize(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "taxiway", "optimize", *map(str, arguments)]
    return subprocess.run(command, timeout=900, capture_output=True, text=True, check=False)


def _read(done: subprocess.CompletedProcess) -> dict:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_convolutional_net_of_keras_3(models, tmp_path):
    """Its optimizer's variables, whose names in graph and object graph differ, used to end the optimizer."""
    names = ("frozen", "lean_inputs", "float16", "magnitude_pruned")
    chosen = [word for name in names for word in ("--variant", name)]
    done = _optimize(models / "keras3_conv", "-o", tmp_path / "out", "--json", *FAST, *chosen)
    answer = _read(done)
    lines = [line for line in done.stderr.splitlines() if not BEFORE_ANY_LEVEL.match(line)]
    assert "cuda" not in "".join(lines)  # what TensorFlow says when it is imported
    variants = {each["name"]: each for each in answer["report"]["variants"]}
    assert variants["frozen"]["status"] == "measured"
    assert variants["frozen"]["agreement"][0]["max_error"] < 1e-5
    assert variants["lean_inputs"]["status"] == "refused"
    assert variants["lean_inputs"]["reason"].startswith("lean_inputs: nothing to do: ")
    assert "lean_inputs: refused: " in "".join(answer["report"]["decision"]["reasons"])
    assert variants["magnitude_pruned"]["status"] == "measured"
    assert all(check["passed"] for check in variants["magnitude_pruned"]["checks"])
    with_slots = models / "keras3_conv" / "variables" / "variables.data-00000-of-00001"
    assert variants["frozen"]["size"]["bytes"] < with_slots.stat().st_size
    assert answer["random_rows"]
    assert "drawn at random" in answer["rows"]
    assert manifest.find_differences(Path(answer["model"]), manifest.read_manifest(Path(answer["model"]))) == []
    page = Path(answer["page"]).read_text()
    assert "Agreement with the original" in page and "nothing to do" in page


@pytest.fixture(scope="module")
def pushed(models, tmp_path_factory):
    """The text model optimized by labels and pushed: the command's folder, and its answer."""
    folder = tmp_path_factory.mktemp("pushed")
    rows = folder / "rows.csv"
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(["good", "bad", "fair", "awful"], 4)) for _ in range(400)]
    rows.write_text("text,liked\n" + "".join(f"{text},{int('good' in text)}\n" for text in texts))
    labels = ("--data", rows, "--label", "liked", "--metric", "auc", "--max-drop", "0.05")
    variants = ("--variant", "frozen", "--variant", "int8_dynamic", "--objective", "size")
    out = ("-o", folder / "out", "--push", folder / "serving")
    return folder, _read(_optimize(models / "text_table", "--json", *FAST, *labels, *variants, *out))


def test_a_text_model_with_a_table_judged_by_labels_and_pushed(pushed):
    _, answer = pushed
    by_name = {each["name"]: each for each in answer["report"]["variants"]}
    assert answer["chosen"] == "frozen"
    assert by_name["frozen"]["quality"]["metric"] == "auc"
    assert by_name["int8_dynamic"]["status"] == "refused"
    assert "takes or gives texts" in by_name["int8_dynamic"]["reason"]
    assert Path(answer["pushed"]["path"], "saved_model.pb").exists()
    assert Path(answer["pushed"]["path"], "assets", "words.txt").exists()


def test_a_push_that_leaves_another_model_live_is_no_success(pushed, models):
    """0 where the model is live already, 3 where a rollback took it back; what is forced is live again."""
    folder, _ = pushed
    request = OptimizeRequest(models / "text_table", folder / "out")
    report = read_report(folder / "out" / "report")

    def push_again(force=False):
        model, base = folder / "out" / "model", folder / "serving"
        done = run._push_model(model, request, report, base, force)
        return done, run.OptimizeResult(report, model, folder / "out" / "report.html", done)

    done, result = push_again()
    assert not done.pushed and done.is_live and result.exit_code == 0
    (folder / "other").mkdir()
    shutil.copytree(models / "text_table", folder / "other" / "1")
    directory = ServingDirectory(folder / "serving")
    directory.push(folder / "other" / "1", {})
    assert push_again()[0].pushed
    directory.rollback()  # to the other one: the optimized model is taken back
    done, result = push_again()
    assert not done.pushed and result.exit_code == 3
    assert any("not pushed: a rollback took this model back" in line for line in list_result_lines(result))
    done, result = push_again(force=True)
    assert done.pushed and result.exit_code == 0


def test_a_failed_push_says_where_the_result_is(pushed, models):
    folder, _ = pushed
    (folder / "a_file").write_text("")
    request = OptimizeRequest(models / "text_table", folder / "out")
    with pytest.raises(ServingError, match=r"The model and its report are in .*out"):
        run._push_model(
            folder / "out" / "model", request, read_report(folder / "out" / "report"), folder / "a_file" / "x", False
        )
    assert (folder / "out" / "report.html").is_file()


@pytest.mark.parametrize(
    ("error", "raised", "left"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt, None),
        (UsageError("The rows do not fit."), UsageError, None),
        (OptimizationError("It broke."), OptimizationError, ["optimizer.log"]),
        (OSError(errno.ENOSPC, "No space left on device"), OptimizationError, ["optimizer.log"]),
    ],
)
def test_what_does_not_end_well_leaves_nothing_half(models, tmp_path, monkeypatch, error, raised, left):
    """But for the log of an optimizer that failed, over which the next run may write."""
    out = tmp_path / "out"

    def fail(job):
        Path(job.chosen_uri).mkdir()
        (out / "optimizer.log").write_text("it says why")
        raise error

    monkeypatch.setattr(run, "_run_search", fail)
    for _ in range(2):
        with pytest.raises(raised):
            run.optimize_saved_model(OptimizeRequest(models / "two_outputs", out))
        assert (sorted(path.name for path in out.iterdir()) if out.exists() else None) == left


def test_a_result_that_another_run_has_left_meanwhile_is_not_touched(models, tmp_path, monkeypatch):
    """Two runs may find the folder empty; the second one to write takes nothing of the first one's away."""
    out, build_job = tmp_path / "out", run.build_job

    def build_while_another_ends(*given):
        for name in ("report", "model"):
            (out / name).mkdir(parents=True)
            (out / name / "result").write_text("another run's")
        return build_job(*given)

    monkeypatch.setattr(run, "build_job", build_while_another_ends)
    with pytest.raises(UsageError, match="is there already"):
        run.optimize_saved_model(OptimizeRequest(models / "two_outputs", out))
    assert [(out / name / "result").read_text() for name in ("report", "model")] == ["another run's"] * 2


def test_a_failed_run_takes_only_what_is_its_own(models, tmp_path, monkeypatch):
    out = tmp_path / "out"

    def fail(job):
        (out / "notes.txt").write_text("of someone else")
        (out / "model").mkdir()
        raise UsageError("The rows do not fit.")

    monkeypatch.setattr(run, "_run_search", fail)
    with pytest.raises(UsageError, match="do not fit"):
        run.optimize_saved_model(OptimizeRequest(models / "two_outputs", out))
    assert [path.name for path in out.iterdir()] == ["notes.txt"]


def test_of_a_serving_directory_the_newest_version_is_named(tmp_path):
    for name in ("9", "10", "draft"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").touch()
    with pytest.raises(UsageError) as raised:
        run.optimize_saved_model(OptimizeRequest(tmp_path, tmp_path.parent / "out"))
    assert raised.value.remedy == f"It has one below: give {tmp_path / '10'}."


def test_integer_inputs_two_outputs_and_another_runtime(models, tmp_path):
    requests = tmp_path / "requests.jsonl"
    random = np.random.default_rng(0)
    bodies = [{"instances": [{"item": int(random.integers(50)), "counts": random.integers(0, 100, 8).tolist()}]}
              for _ in range(60)]  # fmt: skip
    requests.write_text("".join(json.dumps(body) + "\n" for body in bodies))
    done = _optimize(
        models / "two_outputs", "-o", tmp_path / "out", "--json", *FAST, "--requests", requests, "--runtime", "onnx",
        "--variant", "onnx", "--max-drop", "0.2",
    )  # fmt: skip
    answer = _read(done)
    onnx = next(each for each in answer["report"]["variants"] if each["name"] == "onnx")
    assert [each["output"] for each in onnx["agreement"]] == ["logits", "value"]
    assert answer["chosen"] == "onnx"
    assert Path(answer["model"], "model.onnx").exists()
    assert list(Path(tmp_path, "out", "triton").rglob("config.pbtxt"))


def test_an_estimators_signature_of_serialized_examples(models, tmp_path):
    chosen = ("--variant", "frozen", "--variant", "magnitude_pruned")
    done = _optimize(models / "estimator", "-o", tmp_path / "out", "--json", *FAST, *chosen)
    variants = {each["name"]: each for each in _read(done)["report"]["variants"]}
    frozen, pruned = variants["frozen"], variants["magnitude_pruned"]
    assert frozen["status"] == pruned["status"] == "measured"
    assert {each["output"]: each["kind"] for each in frozen["agreement"]} == {
        "classes": "labels",
        "scores": "probabilities",
    }


@pytest.mark.parametrize(
    ("kind", "arguments", "code", "said"),
    [
        ("sparse", (), 2, "sparse tensor"),
        ("file_reader", (), 1, "ReadFile"),
        ("file_reader", ("--allow-op", "ReadFile"), 1, "ReadFile"),
        ("two_outputs", ("--signature", "servng_default"), 2, "serving_default"),
        ("two_outputs", ("--metric", "auc"), 2, "--label"),
        ("two_outputs", ("--runtime", "tensorflow"), 2, "tf_serving"),
        ("nowhere", (), 2, "saved_model.pb"),
        ("single", (), 2, "a single value"),
        ("keras_file", (), 2, ".export('exported')"),
        ("two_outputs", ("-o", "{model}/saved_model.pb/optimized"), 2, "saved_model.pb is a file"),
        ("two_outputs", ("--push", "{model}/serving"), 2, "inside of the model"),
        ("two_outputs", ("-o", "{model}/optimized"), 2, "inside of the model"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(models, tmp_path, kind, arguments, code, said):
    arguments = [argument.format(model=models / kind) for argument in arguments]
    done = _optimize(models / kind, "-o", tmp_path / "out", *arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
