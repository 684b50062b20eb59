"""`training.warm_start: live` through the real executor: fresh weights first, then those of the model that is live."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tfx import types
from tfx.types import standard_artifacts

from taxiway.components.contract import training_dir
from taxiway.components.trainer.component import Trainer
from taxiway.components.trainer.executor import Executor, drop_naive_model
from tests.components.training.synthetic import write_dataset

SETTINGS = {"warm_start": "live", "epochs": 8, "global_batch_size": 64, "tensorboard": False, "xla": "off"}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[types.Artifact]]:
    """Transformed examples, transform graph and schema, as Transform leaves them."""
    folder = tmp_path_factory.mktemp("inputs")
    write_dataset(folder, "binary")
    for split, pattern in (("train", "train-*.gz"), ("eval", "eval.gz")):
        (folder / "examples" / f"Split-{split}").mkdir(parents=True)
        for file in folder.glob(pattern):
            shutil.move(file, folder / "examples" / f"Split-{split}")
    examples, graph, schema = standard_artifacts.Examples(), standard_artifacts.TransformGraph(), None
    examples.uri, examples.split_names = str(folder / "examples"), '["train", "eval"]'
    graph.uri, schema = str(folder / "transform_graph"), standard_artifacts.Schema()
    schema.uri = str(folder / "transform_graph" / "metadata")
    return {"examples": [examples], "transform_graph": [graph], "schema": [schema]}


def base_model(uri: Path, kind: str) -> types.Artifact:
    model = standard_artifacts.Model()
    model.uri = str(uri)
    model.set_string_custom_property("kind", kind)
    model.set_string_custom_property("reason", "nothing is live in /serving/taxi")
    return model


def train(inputs: dict[str, list[types.Artifact]], base: types.Artifact, out: Path, **settings: Any) -> dict[str, Any]:
    """One execution; its `history.json`."""
    node = Trainer(
        examples=types.Channel(type=standard_artifacts.Examples),
        transform_graph=types.Channel(type=standard_artifacts.TransformGraph),
        schema=types.Channel(type=standard_artifacts.Schema),
        label="label",
        task="binary",
        left_out=["secret"],
        model={"hidden_units": [16, 8], "dropout": 0.0},
        training=SETTINGS | settings,
        checkpoint_root=str(out / "checkpoints"),
        base_model=types.Channel(type=standard_artifacts.Model),
    )
    model, run = standard_artifacts.Model(), standard_artifacts.ModelRun()
    model.uri, run.uri = str(out / "model"), str(out / "run")
    executor = Executor(Executor.Context(tmp_dir=str(out / "tmp"), unique_id="1"))
    executor.Do({**inputs, "base_model": [base]}, {"model": [model], "model_run": [run]}, dict(node.exec_properties))
    return json.loads(Path(training_dir(model.uri), "history.json").read_text())


@pytest.mark.timeout(300)
def test_the_first_run_begins_fresh_and_the_next_where_the_live_model_is(
    inputs: dict[str, list[types.Artifact]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        first = train(inputs, base_model(tmp_path / "naive", "naive"), tmp_path / "first")
    assert "nothing is live in /serving/taxi: this training begins with fresh weights" in caplog.text
    assert first["events"] == []
    pushed = tmp_path / "baseline" / "Format-Serving" / "assets.extra" / "provenance.json"
    pushed.parent.mkdir(parents=True)  # what is live may hold no weights; it says what it was made from
    pushed.write_text(json.dumps({"version": 1, "model_artifact": {"uri": str(tmp_path / "first" / "model")}}))
    second = train(inputs, base_model(tmp_path / "baseline", "live"), tmp_path / "second", epochs=1)
    assert [event["kind"] for event in second["events"]] == ["warm_started"]
    begun, ended = second["evaluations"][0]["loss"], first["evaluations"][-1]["loss"]
    assert begun < (first["evaluations"][0]["loss"] + ended) / 2, "it goes on from the live model's weights"


def test_a_live_model_is_handed_on(tmp_path: Path) -> None:
    live, naive = base_model(tmp_path, "live"), base_model(tmp_path, "naive")
    assert drop_naive_model({"base_model": [live]}) == {"base_model": [live]}
    assert drop_naive_model({"base_model": [naive], "schema": []}) == {"schema": []}
    assert drop_naive_model({"schema": []}) == {"schema": []}


@pytest.mark.parametrize("setting", ["none", "live"])
def test_the_pipeline_hands_the_live_model_over_only_where_it_is_asked_for(tmp_path: Path, setting: str) -> None:
    from taxiway.pipeline.config import load_config
    from taxiway.pipeline.dag import create_pipeline
    from taxiway.pipeline.root import Root

    config = load_config(overrides=[f"training.warm_start={setting}"])
    nodes = {node.id: node for node in create_pipeline(config, Root(tmp_path)).components}
    given = nodes["Trainer"].inputs.get("base_model")
    assert (given is not None) == (setting == "live")
    assert ("Trainer" in {n.id for n in nodes["Baseline"].downstream_nodes}) == (setting == "live")
