"""The search itself, on rows that can be learned: it ends, goes on, prunes, and leaves what the stock tools read."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from taxiway.components.errors import DataError, TrainingError
from taxiway.components.training import ModelConfig
from taxiway.components.training.tfx_arguments import build_job
from taxiway.components.training.trial import TrialRunner
from taxiway.components.tuner import search, study
from taxiway.components.tuner.config import TuningConfig
from taxiway.components.tuner.job import HYPERPARAMETERS_FILE, RECORDS_FILE, REPORT_FILE, TuningJob
from tests.components.training.synthetic import make_job

SPACE = {
    "training.optimizer.learning_rate": {"low": 1e-5, "high": 0.05, "log": True},
    "model.hidden_units": [[4], [8, 4]],
}


def make_tuning_job(data: Path, out: Path, **tuning: Any) -> TuningJob:
    job = make_job(data, training={"epochs": 3})
    settings = {"trials": 5, "parallel": 1, "space": SPACE, **tuning}
    return TuningJob(
        training_job=job.model_copy(update={"training_dir": "", "log_dir": ""}),
        tuning=TuningConfig.model_validate(settings),
        storage=str(out / "storage"), best_dir=str(out / "best"), results_dir=str(out / "results"),
    )  # fmt: skip


def run(job: TuningJob, asked: bool = False) -> dict[str, Any]:
    return search.run_search(job, lambda: asked)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def searched(binary_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[TuningJob, dict[str, Any]]:
    job = make_tuning_job(binary_data, tmp_path_factory.mktemp("searched"))
    return job, run(job)


def read_report(job: TuningJob) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(job.results_dir, REPORT_FILE).read_text())
    return content


def test_the_best_trial_is_the_least_loss_on_eval(searched: tuple[TuningJob, dict[str, Any]]) -> None:
    job, result = searched
    report = read_report(job)
    complete = [trial for trial in report["all_trials"] if trial["state"] == "complete"]
    assert result["metric"] == "loss"
    assert result["trials"] == len([t for t in report["all_trials"] if t["state"] in ("complete", "pruned")]) == 5
    assert result["value"] == min(trial["value"] for trial in complete)
    best = report["all_trials"][result["best"]]
    assert best["settings"] == result["settings"]
    assert best["value"] == best["metrics"]["loss"] == min(best["curve"])
    assert report["all_trials"][0]["settings"] != best["settings"] or result["best"] == 0


def test_the_best_settings_repeat_the_trials_value(searched: tuple[TuningJob, dict[str, Any]]) -> None:
    job, result = searched
    arguments = SimpleNamespace(
        transform_graph_path=job.training_job.transform_graph, train_files=list(job.training_job.train_files),
        eval_files=list(job.training_job.eval_files), schema_path=None, serving_model_dir="", model_run_dir="",
        base_model=None, hyperparameters=json.loads(Path(job.best_dir, HYPERPARAMETERS_FILE).read_text()),
        custom_config={"label": "label", "task": "binary", "left_out": [],
                       "model": job.training_job.model.model_dump(mode="json"),
                       "training": job.training_job.training.model_dump(mode="json")},
    )  # fmt: skip
    tuned = build_job(arguments)
    assert tuned.training.optimizer.learning_rate == result["settings"]["training.optimizer.learning_rate"]
    assert list(tuned.model.hidden_units) == json.loads(result["settings"]["model.hidden_units"])
    again = TrialRunner(job.training_job).run_trial(tuned.model, tuned.training, lambda number, value: "")
    assert again.metrics["loss"] == pytest.approx(result["value"], rel=1e-5)


def test_keras_tuner_reads_the_best_settings(searched: tuple[TuningJob, dict[str, Any]]) -> None:
    import keras_tuner

    job, result = searched
    assert [file.name for file in Path(job.best_dir).iterdir()] == [HYPERPARAMETERS_FILE], "the stock Trainer wants one"
    content = json.loads(Path(job.best_dir, HYPERPARAMETERS_FILE).read_text())
    hyperparameters = keras_tuner.HyperParameters.from_config(content)
    assert hyperparameters.values == result["settings"]
    assert hyperparameters.get("model.hidden_units") in ("[4]", "[8, 4]")
    records = json.loads(Path(job.results_dir, RECORDS_FILE).read_text())
    assert min(record["score"] for record in records) == result["value"]


def test_a_search_that_goes_on_keeps_its_trials(searched: tuple[TuningJob, dict[str, Any]]) -> None:
    job, _ = searched
    before = read_report(job)["all_trials"]
    open_trial = study.open_study(job.storage, job.tuning, "loss").ask()  # as a kill leaves it
    open_trial.suggest_float("training.optimizer.learning_rate", 1e-5, 0.05, log=True)
    more = job.model_copy(update={"tuning": job.tuning.model_copy(update={"trials": 6})})
    assert run(more)["trials"] == 6
    after = read_report(job)["all_trials"]
    assert after[: len(before)] == before, "nothing is trained twice"
    assert after[open_trial.number]["state"] == "fail"
    assert run(more) == run(more), "enough trials: nothing is trained"


def test_a_search_that_was_asked_to_end_says_so_and_leaves_its_trial_open(binary_data: Path, tmp_path: Path) -> None:
    job = make_tuning_job(binary_data, tmp_path, trials=2)
    with pytest.raises(TrainingError, match="asked to end"):
        run(job, asked=True)
    assert [t.state.name for t in study.open_study(job.storage, job.tuning, "loss").get_trials()] == ["RUNNING"]
    first = read_value(job)
    result = run(job)
    assert result["trials"] == 2
    assert first in [trial["settings"] for trial in read_report(job)["all_trials"] if trial["state"] == "complete"]


def read_value(job: TuningJob) -> dict[str, Any]:
    return dict(study.open_study(job.storage, job.tuning, "loss").get_trials()[0].params)


def test_trials_that_all_fail_end_the_search_with_their_reason(binary_data: Path, tmp_path: Path) -> None:
    job = make_tuning_job(
        binary_data, tmp_path, space={"training.optimizer.learning_rate": {"low": 1e30, "high": 1e36}}, trials=9
    )
    with pytest.raises(TrainingError, match=r"(?s)first 3 trials failed.*not finite"):
        run(job)


def test_a_space_of_which_most_fails_comes_to_an_end(binary_data: Path, tmp_path: Path) -> None:
    job = make_tuning_job(
        binary_data, tmp_path, space={"training.optimizer.learning_rate": {"low": 1e-3, "high": 1e36}}, trials=3
    )
    result = run(job)
    failed = [trial for trial in read_report(job)["all_trials"] if trial["error"]]
    assert result["trials"] == 1 and len(failed) == 3
    assert result["settings"] == {
        "training.optimizer.learning_rate": job.training_job.training.optimizer.learning_rate
    }, "the configured settings, which come first"


def test_no_time_leaves_no_value_and_says_so(binary_data: Path, tmp_path: Path) -> None:
    job = make_tuning_job(binary_data, tmp_path, timeout_seconds=1e-9)
    with pytest.raises(TrainingError, match=r"(?s)No trial.*timeout_seconds"):
        run(job)


def test_arguments_of_a_users_function_are_searched(binary_data: Path, tmp_path: Path) -> None:
    job = make_tuning_job(binary_data, tmp_path, space={}, trials=2)
    model = ModelConfig(function="tests.components.tuner.users_model.build_model")
    training_job = job.training_job.model_copy(update={"model": model})
    result = run(job.model_copy(update={"training_job": training_job}))
    assert {"model.arguments.size", "model.arguments.dropout", "model.arguments.bias"} <= set(result["settings"])


def test_workers_share_the_trials(binary_data: Path, tmp_path: Path) -> None:
    job = make_tuning_job(binary_data, tmp_path, trials=4, parallel=2)
    assert run(job)["trials"] == 4
    assert {file.name for file in Path(job.storage).glob("worker-*.log")} == {"worker-0.log", "worker-1.log"}


def test_a_workers_error_is_the_searchs(binary_data: Path, tmp_path: Path) -> None:
    job = make_tuning_job(binary_data, tmp_path, parallel=2)
    broken = job.training_job.model_copy(update={"train_files": ("/nowhere/*",)})
    with pytest.raises(DataError, match="No train files match /nowhere"):
        run(job.model_copy(update={"training_job": broken}))


def test_the_error_is_that_of_the_worker_that_failed_not_of_those_it_ended(
    binary_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = search.subprocesses.start_module

    def break_second(module: str, job_file: Path, *arguments: Any, **named: Any) -> Any:
        content = json.loads(job_file.read_text())
        if content["worker"] == 1:
            content["training_job"]["train_files"] = ["/nowhere/*"]
        else:
            content["tuning"]["trials"] = 10_000  # it goes on until it is ended
        job_file.write_text(json.dumps(content))
        return start(module, job_file, *arguments, **named)

    monkeypatch.setattr(search.subprocesses, "start_module", break_second)
    with pytest.raises(DataError, match="No train files match /nowhere"):
        run(make_tuning_job(binary_data, tmp_path, parallel=2))


@pytest.mark.parametrize("pruner", ["successive_halving", "hyperband", "median", "none"])
def test_every_pruner_is_one_of_optunas(pruner: str, tmp_path: Path) -> None:
    opened = study.open_study(str(tmp_path), TuningConfig.model_validate({"pruner": pruner}), "auc")
    assert type(opened.pruner).__name__.lower().startswith(pruner.replace("_", "").replace("none", "nop"))
    assert opened.direction.name == "MAXIMIZE"
