"""Images: scikit-learn's 1,797 digits through stock components, then the optimizer, the validator and the pusher.

    python digits_pipeline.py FOLDER

There is no Transform: the model reads pixels.
"""

from __future__ import annotations

import sys
from pathlib import Path

from taxiway.components import ModelOptimizer, Pusher, ServingValidator  # before TensorFlow: they choose Keras 2

# isort: split
import tensorflow as tf
from sklearn.datasets import load_digits
from tfx import v1 as tfx


def write_digits(folder: Path) -> None:
    """One TFRecord file of `image`, 64 numbers of 0 to 1, and `digit`."""
    digits = load_digits()
    folder.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(folder / "digits.tfrecord.gz"), "GZIP") as file:
        for image, digit in zip(digits.data / 16.0, digits.target, strict=True):
            features = {
                "image": tf.train.Feature(float_list=tf.train.FloatList(value=image)),
                "digit": tf.train.Feature(int64_list=tf.train.Int64List(value=[int(digit)])),
            }
            file.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


def create_pipeline(folder: Path) -> tfx.dsl.Pipeline:
    """From TFRecords to a pushed version."""
    example_gen = tfx.components.ImportExampleGen(input_base=str(folder / "data"))
    examples = example_gen.outputs["examples"]
    statistics_gen = tfx.components.StatisticsGen(examples=examples)
    schema_gen = tfx.components.SchemaGen(statistics=statistics_gen.outputs["statistics"], infer_feature_shape=True)
    trainer = tfx.components.Trainer(
        module_file=str(Path(__file__).with_name("digits_trainer.py")),
        examples=examples,
        schema=schema_gen.outputs["schema"],
        train_args=tfx.proto.TrainArgs(num_steps=200),
        eval_args=tfx.proto.EvalArgs(num_steps=5),
    )
    optimizer = ModelOptimizer(
        model=trainer.outputs["model"],
        examples=examples,
        schema=schema_gen.outputs["schema"],
        label="digit",
        task="multiclass",
        config={"variants": ["frozen", "float16"], "objective": "size"},
    )
    validator = ServingValidator(
        model=optimizer.outputs["model"],
        trained_model=trainer.outputs["model"],
        optimization_report=optimizer.outputs["report"],
        examples=examples,
        label="digit",
        task="multiclass",
        config={"validate_over": "process"},
    )
    pusher = Pusher(
        model=optimizer.outputs["model"],
        infra_blessing=validator.outputs["blessing"],
        serving_directory=folder / "serving" / "digits",
    )
    return tfx.dsl.Pipeline(
        pipeline_name="digits",
        pipeline_root=str(folder / "artifacts"),
        components=[example_gen, statistics_gen, schema_gen, trainer, optimizer, validator, pusher],
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(folder / "metadata.db")
        ),
    )


if __name__ == "__main__":
    target = Path(sys.argv[1]).absolute()
    write_digits(target / "data")
    tfx.orchestration.LocalDagRunner().run(create_pipeline(target))
