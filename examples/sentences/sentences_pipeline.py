"""Text: sentences and stars through stock components, a label made inside `preprocessing_fn`, then our nodes.

python sentences_pipeline.py FOLDER
"""

from __future__ import annotations

import csv
import itertools
import sys
from pathlib import Path

from taxiway.components import ModelOptimizer, Pusher, ServingValidator  # before TensorFlow: they choose Keras 2

# isort: split
from tfx import v1 as tfx

SUBJECTS = ("The driver", "The car", "This ride", "The route", "The app", "Our trip", "The seat")
GOOD = ("was wonderful", "was clean and quick", "felt safe", "was a pleasure", "could not be better", "was great")
BAD = ("was late", "was dirty", "felt unsafe", "cost too much", "was a waste of time", "broke down")
ENDS = ("", ", again", ", as ever", " this morning", " from the airport", " in the rain")


def write_sentences(folder: Path) -> None:
    """500 rows of `text` and `stars`; the stars follow from what is said."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "sentences.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "stars"])
        for number, parts in enumerate(itertools.product(SUBJECTS, (*GOOD, *BAD), ENDS)):
            subject, said, end = parts
            writer.writerow([f"{subject} {said}{end}.", (4 if said in GOOD else 1) + number % 2])


def create_pipeline(folder: Path) -> tfx.dsl.Pipeline:
    """From sentences to a pushed version."""
    module = str(Path(__file__).with_name("sentences_trainer.py"))
    example_gen = tfx.components.CsvExampleGen(input_base=str(folder / "data"))
    examples = example_gen.outputs["examples"]
    statistics_gen = tfx.components.StatisticsGen(examples=examples)
    schema_gen = tfx.components.SchemaGen(statistics=statistics_gen.outputs["statistics"], infer_feature_shape=True)
    transform = tfx.components.Transform(
        examples=examples, schema=schema_gen.outputs["schema"], module_file=module, disable_statistics=True
    )
    trainer = tfx.components.Trainer(
        module_file=module,
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema_gen.outputs["schema"],
        train_args=tfx.proto.TrainArgs(num_steps=150),
        eval_args=tfx.proto.EvalArgs(num_steps=5),
    )
    optimizer = ModelOptimizer(
        model=trainer.outputs["model"],
        examples=examples,
        schema=schema_gen.outputs["schema"],
        transform_graph=transform.outputs["transform_graph"],
        transformed_examples=transform.outputs["transformed_examples"],
        label="praise",  # no raw column: the transform graph makes it
        task="binary",
        config={"variants": ["frozen"], "objective": "size", "constraints": {"min_quality_rows": 50}},
    )
    validator = ServingValidator(
        model=optimizer.outputs["model"],
        trained_model=trainer.outputs["model"],
        optimization_report=optimizer.outputs["report"],
        examples=examples,
        label="stars",  # what no request holds
        task="binary",
        config={"validate_over": "process"},
    )
    pusher = Pusher(
        model=optimizer.outputs["model"],
        infra_blessing=validator.outputs["blessing"],
        serving_directory=folder / "serving" / "sentences",
    )
    return tfx.dsl.Pipeline(
        pipeline_name="sentences",
        pipeline_root=str(folder / "artifacts"),
        components=[example_gen, statistics_gen, schema_gen, transform, trainer, optimizer, validator, pusher],
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(folder / "metadata.db")
        ),
        beam_pipeline_args=["--direct_running_mode=in_memory"],
    )


if __name__ == "__main__":
    target = Path(sys.argv[1]).absolute()
    write_sentences(target / "data")
    tfx.orchestration.LocalDagRunner().run(create_pipeline(target))
