"""TFX's own penguin pipeline, with this package's optimizer, serving validator and pusher behind its Trainer.

    python penguin_pipeline.py FOLDER

Nothing of TFX's example is changed: its ExampleGen, SchemaGen, Transform, Trainer (`module_file`), Resolver, Evaluator
and Pusher are as they were installed. Its model answers with logits in an output called `outputs`, and its label is the
raw column `species`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from taxiway.components import ModelOptimizer, Pusher, ServingValidator  # before TensorFlow: they choose Keras 2

# isort: split
from penguin_data import write_penguins
from tfx import v1 as tfx
from tfx.examples.penguin import penguin_pipeline_local, penguin_utils_keras


def create_stock_pipeline(folder: Path) -> tfx.dsl.Pipeline:
    """The pipeline as TFX's example makes it."""
    return penguin_pipeline_local.create_pipeline(
        pipeline_name="penguin",
        pipeline_root=str(folder / "artifacts"),
        data_root=str(folder / "data"),
        module_file=penguin_utils_keras.__file__,
        accuracy_threshold=0.6,
        serving_model_dir=str(folder / "stock-serving"),
        metadata_path=str(folder / "metadata.db"),
        user_provided_schema_path=None,
        enable_tuning=False,
        enable_bulk_inferrer=False,
        enable_example_diff=False,
        examplegen_input_config=None,
        examplegen_range_config_date=None,
        resolver_range_config=None,
        beam_pipeline_args=["--direct_running_mode=in_memory"],
        enable_transform_input_cache=False,
    )


def create_added_nodes(
    folder: Path, nodes: dict[str, tfx.dsl.components.BaseNode]
) -> list[tfx.dsl.components.BaseNode]:
    """The optimizer, the validator and the pusher behind the stock nodes, and TFX's BulkInferrer on the result."""
    examples, trained = nodes["CsvExampleGen"].outputs["examples"], nodes["Trainer"].outputs["model"]
    optimizer = ModelOptimizer(
        model=trained,
        examples=examples,
        schema=nodes["SchemaGen"].outputs["schema"],
        transform_graph=nodes["Transform"].outputs["transform_graph"],
        transformed_examples=nodes["Transform"].outputs["transformed_examples"],
        blessing=nodes["Evaluator"].outputs["blessing"],
        label="species",
        task="multiclass",
        config={"variants": ["frozen"], "objective": "size"},
    )
    validator = ServingValidator(
        model=optimizer.outputs["model"],
        trained_model=trained,
        optimization_report=optimizer.outputs["report"],
        examples=examples,
        label="species",
        task="multiclass",
        config={"validate_over": "process"},
    )
    pusher = Pusher(
        model=optimizer.outputs["model"],
        infra_blessing=validator.outputs["blessing"],
        optimization_report=optimizer.outputs["report"],
        examples=examples,
        serving_directory=folder / "serving" / "penguin",
    ).with_id("AtomicPusher")
    inferrer = tfx.components.BulkInferrer(
        examples=examples, model=optimizer.outputs["model"], model_blessing=nodes["Evaluator"].outputs["blessing"]
    )
    return [optimizer, validator, pusher, inferrer]


def create_pipeline(folder: Path) -> tfx.dsl.Pipeline:
    """The stock pipeline with the added nodes."""
    stock = create_stock_pipeline(folder)
    added = create_added_nodes(folder, {node.id: node for node in stock.components})
    return tfx.dsl.Pipeline(
        pipeline_name="penguin",
        pipeline_root=str(folder / "artifacts"),
        components=[*stock.components, *added],
        enable_cache=True,
        metadata_connection_config=stock.metadata_connection_config,
        beam_pipeline_args=["--direct_running_mode=in_memory"],
    )


if __name__ == "__main__":
    target = Path(sys.argv[1]).absolute()
    write_penguins(target / "data")
    tfx.orchestration.LocalDagRunner().run(create_pipeline(target))
