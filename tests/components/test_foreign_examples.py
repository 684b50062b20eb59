"""Examples of another component go through ours: those of TFX's CsvExampleGen have no columnar copy and no counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_data_validation as tfdv
from google.protobuf import json_format
from tfx.components.example_gen.csv_example_gen.executor import Executor as CsvExecutor
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.proto import example_gen_pb2
from tfx.types import Channel, artifact_utils, standard_artifacts
from tfx.types import standard_component_specs as keys

from taxiway.components.artifacts import read_row_counts
from taxiway.components.beam.options import BEAM_OPTIONS
from taxiway.components.evaluation.config import EvaluationConfig, Threshold
from taxiway.components.evaluation.eval_config import build_eval_config
from taxiway.components.evaluation.executor import Executor as Evaluator
from taxiway.components.statistics.executor import Executor as StatisticsGen
from taxiway.components.tables.examples.shards import list_shards
from taxiway.components.training.config import ModelConfig, TrainingConfig
from taxiway.components.training.run import run_training
from taxiway.components.training.tfx_arguments import build_custom_config
from taxiway.components.transform.component import Transform
from taxiway.components.transform.executor import Executor as TransformExecutor
from taxiway.components.tuner.executor import build_training_job

ROWS = 400


def make_artifact(kind: Any, folder: Path) -> Any:
    folder.mkdir(parents=True)
    artifact = kind()
    artifact.uri = str(folder)
    return artifact


def run_executor(executor: Any, inputs: dict[str, Any], outputs: dict[str, Any], properties: dict[str, Any]) -> None:
    context = BaseBeamExecutor.Context(beam_pipeline_args=[*BEAM_OPTIONS], tmp_dir="", unique_id="1")
    executor(context).Do({name: [each] for name, each in inputs.items()},
                         {name: [each] for name, each in outputs.items()}, properties)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Artifacts by name, from CsvExampleGen's examples to an evaluation, each made of those before it."""
    folder = tmp_path_factory.mktemp("foreign")
    artifacts = {"examples": write_examples(folder)}
    artifacts["statistics"] = make_artifact(standard_artifacts.ExampleStatistics, folder / "statistics")
    run_executor(StatisticsGen, artifacts, {"statistics": artifacts["statistics"]}, {})
    artifacts["schema"] = make_artifact(standard_artifacts.Schema, folder / "schema")
    statistics = tfdv.load_stats_binary(f"{artifacts['statistics'].uri}/Split-train/FeatureStats.pb")
    tfdv.write_schema_text(tfdv.infer_schema(statistics), str(folder / "schema" / "schema.pbtxt"))
    artifacts |= transform_rows(folder, artifacts)
    artifacts["model"] = train_model(folder, artifacts)
    artifacts |= judge_model(folder, artifacts)
    return artifacts


def write_examples(folder: Path) -> Any:
    """Two numbers of which one has gaps, a word, and a label that the first number tells."""
    chance = np.random.default_rng(5)
    fare = chance.normal(size=ROWS)
    cells = [
        f"{number:.3f},{'' if gap < 0.2 else round(gap, 3)},{word},{int(number > 0)}"
        for number, gap, word in zip(fare, chance.random(ROWS), chance.choice(["bus", "taxi"], ROWS), strict=True)
    ]
    (folder / "csv").mkdir()
    (folder / "csv" / "rows.csv").write_text("\n".join(["fare,share,kind,y", *cells]))
    examples = make_artifact(standard_artifacts.Examples, folder / "examples")
    examples.split_names = artifact_utils.encode_split_names(["train", "eval"])
    split = example_gen_pb2.Input.Split(name="all", pattern="*.csv")
    shares = [example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=n) for name, n in (("train", 2), ("eval", 1))]
    config = example_gen_pb2.Output(split_config=example_gen_pb2.SplitConfig(splits=shares))
    properties = {
        keys.INPUT_BASE_KEY: str(folder / "csv"),
        keys.INPUT_CONFIG_KEY: json_format.MessageToJson(example_gen_pb2.Input(splits=[split])),
        keys.OUTPUT_CONFIG_KEY: json_format.MessageToJson(config),
        keys.OUTPUT_DATA_FORMAT_KEY: example_gen_pb2.FORMAT_TF_EXAMPLE,
        keys.OUTPUT_FILE_FORMAT_KEY: example_gen_pb2.FORMAT_TFRECORDS_GZIP,
    }
    run_executor(CsvExecutor, {}, {"examples": examples}, properties)
    return examples


def transform_rows(folder: Path, artifacts: dict[str, Any]) -> dict[str, Any]:
    component = Transform(
        examples=Channel(type=standard_artifacts.Examples),
        schema=Channel(type=standard_artifacts.Schema),
        label="y",
        task="binary",
        preprocessing={"numbers": "z_scores"},
    )
    outputs = {
        "transform_graph": make_artifact(standard_artifacts.TransformGraph, folder / "graph"),
        "transformed_examples": make_artifact(standard_artifacts.Examples, folder / "transformed"),
    }
    inputs = {name: artifacts[name] for name in ("examples", "schema")}
    run_executor(TransformExecutor, inputs, outputs, component.exec_properties)
    return outputs


def train_model(folder: Path, artifacts: dict[str, Any]) -> Any:
    """The job is made of the artifacts as Trainer and Tuner make it."""
    model = make_artifact(standard_artifacts.Model, folder / "model")
    settings = ModelConfig(kind="linear"), TrainingConfig(epochs=20, xla="off")
    custom = build_custom_config("y", "binary", (), (), *settings)
    inputs = {
        "examples": [artifacts["transformed_examples"]],
        "transform_graph": [artifacts["transform_graph"]],
        "schema": [artifacts["schema"]],
    }
    job = build_training_job(inputs, {"custom_config": json.dumps(custom)})
    assert not job.rows and not job.class_rows, "nobody has counted them"
    run_training(job.model_copy(update={"export_dir": f"{model.uri}/Format-Serving"}))
    return model


def judge_model(folder: Path, artifacts: dict[str, Any]) -> dict[str, Any]:
    config = EvaluationConfig(thresholds={"auc": Threshold(min=0.9)}, slices=(("kind",),))
    outputs = {
        "evaluation": make_artifact(standard_artifacts.ModelEvaluation, folder / "evaluation"),
        "blessing": make_artifact(standard_artifacts.ModelBlessing, folder / "blessing"),
    }
    properties = {keys.EVAL_CONFIG_KEY: json_format.MessageToJson(build_eval_config(config, "y", "binary", (), 5))}
    run_executor(Evaluator, {name: artifacts[name] for name in ("examples", "model")}, outputs, properties)
    return outputs


def test_they_have_nothing_but_their_rows(made: dict[str, Any]) -> None:
    examples = made["examples"]
    assert read_row_counts([examples], ("train", "eval")) == {}
    shards = [shard for split in ("train", "eval") for shard in list_shards(examples.uri, split)]
    assert shards and not any(shard.columns for shard in shards)


def test_every_row_is_counted_and_transformed(made: dict[str, Any]) -> None:
    import tensorflow as tf

    counted = []
    for split in ("train", "eval"):
        (dataset,) = tfdv.load_stats_binary(f"{made['statistics'].uri}/Split-{split}/FeatureStats.pb").datasets
        files = [str(path) for path in Path(made["transformed_examples"].uri, f"Split-{split}").iterdir()]
        assert "facets-overview" in tfdv.utils.display_util.get_statistics_html(
            tfdv.load_stats_binary(f"{made['statistics'].uri}/Split-{split}/FeatureStats.pb")
        )
        assert dataset.num_examples == sum(1 for _ in tf.data.TFRecordDataset(files, "GZIP"))
        counted.append(dataset.num_examples)
    assert sum(counted) == ROWS


def test_the_model_is_judged_by_the_split_eval(made: dict[str, Any]) -> None:
    import tensorflow_model_analysis as tfma

    result = tfma.load_eval_result(made["evaluation"].uri)
    found = {slice_key: values[""][""] for slice_key, values in result.slicing_metrics}
    assert set(found) == {(), (("kind", "bus"),), (("kind", "taxi"),)}
    assert found[()]["auc"]["doubleValue"] > 0.9
    assert made["blessing"].get_int_custom_property("blessed") == 1
