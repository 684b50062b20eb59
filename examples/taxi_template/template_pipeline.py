"""TFX's taxi template with every step switched on, and our optimizer, validator and pusher in place of its Pusher.

    python template_pipeline.py FOLDER

The template's pipeline is the installed one: its commented steps are uncommented as its tutorial asks for. Its label
is made inside `preprocessing_fn`: `tips_xf` is whether the tip was above a fifth of the fare; `tips` is the amount.
"""

from __future__ import annotations

import itertools
import re
import sys
from importlib import util
from pathlib import Path
from typing import Any

from taxiway.components import ModelOptimizer, Pusher, ServingValidator  # before TensorFlow: they choose Keras 2

# isort: split
import tfx
from tfx import v1 as tfx_v1

TEMPLATE = "tfx.experimental.templates.taxi"
ROWS = 4000


def write_trips(folder: Path) -> None:
    """The first trips of the data that TFX's wheel ships."""
    shipped = Path(tfx.__file__).parent / "examples" / "chicago_taxi_pipeline" / "data" / "simple" / "data.csv"
    folder.mkdir(parents=True, exist_ok=True)
    with shipped.open(encoding="utf-8") as lines:
        (folder / "data.csv").write_text("".join(itertools.islice(lines, ROWS + 1)), encoding="utf-8")


def load_template() -> dict[str, Any]:
    """The names of the template's `pipeline.py`, with its steps uncommented but for the Pusher: a node stays linked to
    those before it, so that one of a pipeline cannot be taken out of it."""
    spec = util.find_spec(f"{TEMPLATE}.pipeline.pipeline")
    source = Path(str(spec.origin)).read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(re.sub(r"# (components\.append\((?!pusher\)))", r"\1", source), names)
    return names


def create_pipeline(folder: Path) -> tfx_v1.dsl.Pipeline:
    """The template's nodes but its Pusher, and ours."""
    connection = tfx_v1.orchestration.metadata.sqlite_metadata_connection_config(str(folder / "metadata.db"))
    stock = load_template()["create_pipeline"](
        pipeline_name="taxi-template",
        pipeline_root=str(folder / "artifacts"),
        data_path=str(folder / "data"),
        preprocessing_fn=f"{TEMPLATE}.models.preprocessing.preprocessing_fn",
        run_fn=f"{TEMPLATE}.models.keras_model.model.run_fn",
        train_args=tfx_v1.proto.TrainArgs(num_steps=100),
        eval_args=tfx_v1.proto.EvalArgs(num_steps=20),
        eval_accuracy_threshold=0.5,
        serving_model_dir=str(folder / "stock-serving"),
        metadata_connection_config=connection,
    )
    nodes = {node.id: node for node in stock.components}
    return tfx_v1.dsl.Pipeline(
        pipeline_name="taxi-template",
        pipeline_root=str(folder / "artifacts"),
        components=[*nodes.values(), *create_added_nodes(folder, nodes)],
        enable_cache=True,
        metadata_connection_config=connection,
        beam_pipeline_args=["--direct_running_mode=in_memory"],
    )


def create_added_nodes(folder: Path, nodes: dict[str, Any]) -> list[Any]:
    """The optimizer, the validator and the pusher."""
    examples, trained = nodes["CsvExampleGen"].outputs["examples"], nodes["Trainer"].outputs["model"]
    blessing = nodes["Evaluator"].outputs["blessing"]
    optimizer = ModelOptimizer(
        model=trained,
        examples=examples,
        schema=nodes["SchemaGen"].outputs["schema"],
        transform_graph=nodes["Transform"].outputs["transform_graph"],
        transformed_examples=nodes["Transform"].outputs["transformed_examples"],
        blessing=blessing,
        label="tips_xf",
        task="binary",
        config={"variants": ["frozen"], "objective": "size"},
    )
    validator = ServingValidator(
        model=optimizer.outputs["model"],
        trained_model=trained,
        optimization_report=optimizer.outputs["report"],
        examples=examples,
        label="tips",
        task="binary",
        config={"validate_over": "process"},
    )
    pusher = Pusher(
        model=optimizer.outputs["model"],
        model_blessing=blessing,
        infra_blessing=validator.outputs["blessing"],
        optimization_report=optimizer.outputs["report"],
        examples=examples,
        serving_directory=folder / "serving" / "taxi",
    )
    return [optimizer, validator, pusher]


if __name__ == "__main__":
    target = Path(sys.argv[1]).absolute()
    write_trips(target / "data")
    tfx_v1.orchestration.LocalDagRunner().run(create_pipeline(target))
