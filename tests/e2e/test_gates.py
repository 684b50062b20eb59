"""Every gate blocks: each test spoils one thing and sees the run end with exit code 3 and nothing pushed."""

from __future__ import annotations

import importlib.util
import json
import random
from pathlib import Path

import pytest

from tests.e2e.conftest import run, taxi_config

pytestmark = pytest.mark.e2e

BLOCKED = 3


def taxi_rows():
    package = Path(importlib.util.find_spec("tfx").submodule_search_locations[0])
    text = (package / "examples/chicago_taxi_pipeline/data/big_tipper_label/data.csv").read_text()
    header, *rows = text.splitlines()
    return header.split(","), [row.split(",") for row in rows]


def write_rows(path, header, rows):
    path.write_text("\n".join(",".join(cells) for cells in [header, *rows]) + "\n")
    return path


def spoiled(taxi, tmp_path, change, **sections):
    """The taxi data after `change(header, rows)`, judged by the schema that the shared run left."""
    header, rows = taxi_rows()
    change(header, rows)
    data = write_rows(tmp_path / "rows.csv", header, rows)
    config = taxi_config(tmp_path / "config", data={"path": str(data)}, **sections)
    (config.parent / "schema.pbtxt").write_text((taxi.config.parent / "schema.pbtxt").read_text())
    return run(config, tmp_path / "root")


def test_shuffled_labels_end_at_the_evaluator(taxi, tmp_path):
    def shuffle(header, rows):
        column = header.index("big_tipper")
        labels = [row[column] for row in rows]
        random.Random(1).shuffle(labels)
        for row, label in zip(rows, labels, strict=True):
            row[column] = label

    blocked = spoiled(taxi, tmp_path, shuffle, training={"epochs": 1})
    assert blocked.code == BLOCKED, blocked.printed
    assert blocked.versions == ()
    assert blocked.states["Evaluator"] == "done"
    assert {blocked.states[n] for n in ("ModelOptimizer", "ServingValidator", "Pusher")} == {"skipped"}
    assert "Evaluator" in blocked.nodes["Pusher"]["reason"]
    assert "auc is 0." in blocked.summary["reason"]
    assert "at least 0.7" in blocked.printed


def test_a_spoiled_column_stops_before_transform(taxi, tmp_path):
    def spoil(header, rows):
        column = header.index("payment_type")
        for row in rows[::2]:
            row[column] = f"garbage {random.Random(row[1]).random()}"

    blocked = spoiled(taxi, tmp_path, spoil)
    assert blocked.code == BLOCKED, blocked.printed
    assert blocked.versions == ()
    assert blocked.states["DataGate"] == "done"
    assert {blocked.states[n] for n in ("Transform", "Trainer", "Pusher")} == {"skipped"}
    assert "payment_type" in blocked.printed
    assert "DataGate" in blocked.nodes["Transform"]["reason"]


def test_the_same_again_says_so_and_runs_nothing(taxi):
    again = run(taxi.config, taxi.root.path)
    assert again.code == 0, again.printed
    assert str(taxi.versions[-1]) in again.printed
    assert "same inputs" in again.printed
    assert "Transform" not in again.printed


def test_a_changed_threshold_runs_gates_alone(taxi):
    """The Evaluator compares with the live model, the baseline now, whose clients lose nothing by the candidate."""
    changed = ("--set", "evaluation.thresholds={auc: {min: 0.6}}")
    judged = run(taxi.config, taxi.root.path, *changed)
    assert judged.code == 0, judged.printed
    done = {node for node, state in judged.states.items() if state != "cached"}
    assert done == {"Baseline", "Evaluator", "Pusher"}
    assert judged.versions == taxi.versions and judged.summary["push"]["already_live"]
    again = run(taxi.config, taxi.root.path, *changed)
    assert "same inputs" in again.printed and again.summary == judged.summary


def test_a_variant_that_loses_quality_is_not_chosen(taxi):
    """Pruned to 99 % without fine-tuning worth the name: smaller, and worse."""
    options = (
        "optimization.objective=size",
        "optimization.variants=[magnitude_pruned]",
        "optimization.pruning.final_sparsity_fraction=0.99",
        "optimization.fine_tuning={epochs: 1, max_steps: 30}",
        "optimization.constraints.max_quality_drop=0.0005",
    )
    loser = run(taxi.config, taxi.root.path, *[word for option in options for word in ("--set", option)])
    assert {loser.states[n] for n in ("ExampleGen", "StatisticsGen", "Transform", "Trainer")} == {"cached"}
    report = json.loads((loser.artifact("ModelOptimizer", "report") / "report.json").read_text())
    (pruned,) = [v for v in loser.summary["variants"] if "pruned" in v["variant"]]
    assert pruned["reason"], pruned
    assert not pruned["chosen"]
    assert report["decision"]["chosen"] != pruned["variant"]
    assert loser.code == 0, loser.printed


def test_a_candidate_whose_answers_differ_is_not_pushed(taxi, tmp_path):
    """A candidate with other weights, through the real validator and pusher under TFX."""
    changed = tmp_path / "changed"
    _save_with_other_weights(taxi, changed / "Format-Serving")
    _validate_and_push(taxi, changed, tmp_path)
    (verdict,) = (tmp_path / "artifacts" / "ServingValidator" / "report").glob("*/report.json")
    (push,) = (tmp_path / "artifacts" / "Pusher" / "pushed_model").glob("*/push.json")
    verdict, push = json.loads(verdict.read_text()), json.loads(push.read_text())
    assert verdict["blessed"] is False
    assert "largest difference from the trained model" in verdict["reason"]
    assert (push["pushed"], push["live_version"]) == (False, None)
    assert push["reason"] == f"not pushed: the serving validation did not bless it ({verdict['reason']})"
    assert list((tmp_path / "serving").glob("taxi/[0-9]*")) == []


def _save_with_other_weights(taxi, folder):
    from taxiway.components.training import load_trained, save_servable

    trained = load_trained(str(taxi.artifact("Trainer", "model")))
    trained.keras_model.set_weights([1.05 * weight for weight in trained.keras_model.get_weights()])
    save_servable(trained.keras_model, trained.job, str(folder))


def _validate_and_push(taxi, candidate, tmp_path):
    from tfx import v1 as tfx

    from taxiway.components.serving.component import Pusher, ServingValidator
    from taxiway.components.serving.config import ServingConfig
    from taxiway.pipeline.runs.launching import runners

    def imported(name, uri, artifact):
        return tfx.dsl.Importer(source_uri=str(uri), artifact_type=artifact).with_id(name)

    examples = tfx.dsl.Importer(
        source_uri=str(taxi.artifact("ExampleGen", "examples")),
        artifact_type=tfx.types.standard_artifacts.Examples,
        properties={"split_names": '["train", "eval"]'},
        custom_properties={"file_format": "tfrecords_gzip", "payload_format": "FORMAT_TF_EXAMPLE"},
    ).with_id("examples")
    model = imported("candidate", candidate, tfx.types.standard_artifacts.Model)
    trained = imported("trained", taxi.artifact("Trainer", "model"), tfx.types.standard_artifacts.Model)
    config = ServingConfig(validate_over="process")
    validator = ServingValidator(
        model=model.outputs["result"],
        trained_model=trained.outputs["result"],
        examples=examples.outputs["result"],
        label="big_tipper",
        task="binary",
        config=config,
        model_name="taxi",
    )
    pusher = Pusher(
        model=model.outputs["result"],
        infra_blessing=validator.outputs["blessing"],
        serving_directory=str(tmp_path / "serving" / "taxi"),
        model_name="taxi",
        config=config,
    )
    pipeline = tfx.dsl.Pipeline(
        pipeline_name="differs",
        pipeline_root=str(tmp_path / "artifacts"),
        components=[examples, model, trained, validator, pusher],
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(tmp_path / "metadata.db")
        ),
    )
    runners.run_compiled(runners.compile_pipeline(pipeline, "differs"), _Quiet())


class _Quiet:
    def node_started(self, *_):
        pass

    def node_finished(self, *_):
        pass

    def node_failed(self, *_):
        pass
