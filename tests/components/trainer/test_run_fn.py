"""From TFX's arguments to a training job. `train` itself is tested with the training core."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from taxiway.components.trainer import run_fn
from taxiway.components.training import ModelConfig, TrainingConfig, TrainingJob, TrainingResult

SCHEMA = """feature { name: "label" type: INT
annotation { tag: "taxiway.class:no" tag: "taxiway.class:yes" } }"""
RESULT = TrainingResult(
    strategy="one_device", replicas=1, steps=5, rows=40, seconds=1.5, restarts=0, best_step=5,
    metrics={"loss": 0.5}, stopped="done",
)  # fmt: skip


@pytest.fixture
def fn_args(tmp_path: Path) -> Any:
    (tmp_path / "graph").mkdir()
    (tmp_path / "schema.pbtxt").write_text(SCHEMA)
    for name in ("train", "eval"):
        (tmp_path / name).write_text(name)
    custom = {
        "label": "label",
        "task": "binary",
        "classes": [],
        "left_out": ["tips"],
        "model": ModelConfig(hidden_units=(3,)).model_dump(mode="json"),
        "training": TrainingConfig(epochs=2).model_dump(mode="json"),
        "checkpoint_root": str(tmp_path / "checkpoints"),
    }
    return SimpleNamespace(
        transform_graph_path=str(tmp_path / "graph"),
        train_files=[str(tmp_path / "train")],
        eval_files=[str(tmp_path / "eval")],
        schema_path=str(tmp_path / "schema.pbtxt"),
        serving_model_dir=str(tmp_path / "model" / "Format-Serving"),
        model_run_dir=str(tmp_path / "run"),
        base_model=None,
        custom_config=custom,
    )


def test_the_job_says_what_the_component_was_told(fn_args: Any, tmp_path: Path) -> None:
    job = run_fn.build_job(fn_args)
    assert (job.label, job.task, job.left_out) == ("label", "binary", ("tips",))
    assert job.class_labels == ("no", "yes"), "the schema fixes their order"
    assert job.model.hidden_units == (3,)
    assert job.training.epochs == 2
    assert job.training_dir == str(tmp_path / "model" / "training")


def test_checkpoints_lie_outside_tfx_outputs_under_their_key(fn_args: Any, tmp_path: Path) -> None:
    job = run_fn.add_checkpoint_dir(run_fn.build_job(fn_args), fn_args.custom_config["checkpoint_root"])
    assert job.checkpoint_dir == str(tmp_path / "checkpoints" / job.fingerprint)


def test_the_result_and_the_log_are_left_with_the_run(
    fn_args: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(job: TrainingJob, log: Path) -> TrainingResult:
        log.parent.mkdir(parents=True)
        log.write_text("trained")
        return RESULT

    monkeypatch.setattr(run_fn, "train", train)
    run_fn.run_fn(fn_args)
    assert TrainingResult.model_validate_json((tmp_path / "run" / "result.json").read_text()) == RESULT
    assert (tmp_path / "run" / "train.log").read_text() == "trained"
