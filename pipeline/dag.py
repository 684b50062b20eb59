"""The pipeline, in data order. Where it runs is not its business: see `pipeline/runners.py`.

TFX's names come from where they are defined: `tfx.v1` imports Google Cloud's AI platform too, seconds at every start.
"""

from __future__ import annotations

from collections.abc import Sequence

from tfx.components import Evaluator, ExampleValidator, StatisticsGen
from tfx.dsl.components.base import base_node
from tfx.dsl.experimental.conditionals.conditional import Cond
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.types import BaseChannel

from components.baseline.component import Baseline
from components.evaluation.eval_config import eval_config, optimized_eval_config
from components.evaluation.extractors import MODULE as EXTRACTORS
from components.example_gen.component import TabularExampleGen
from components.gates import statistics
from components.gates.component import CuratedSchema, DataGate
from components.gates.schema import edited_content, reading_rules
from components.optimizer.component import ModelOptimizer
from components.serving.component import Pusher, ServingValidator
from components.trainer.component import Trainer
from components.transform.component import Transform
from pipeline.config import Config
from pipeline.fingerprint import pipeline_fingerprint
from pipeline.layout import Root

BEAM_ARGS = ("--direct_running_mode=in_memory", "--direct_num_workers=1")
"""One process: every further Beam worker imports TensorFlow again."""

NOTHING_TO_STAGE = "--sdk_container_image=none"
"""Where Beam works in this process, TFX need not build a package of itself for remote workers, which it does for every
component (1.4 s each) unless an option says where workers find it."""

NEVER_CACHED = frozenset({"Baseline", "Pusher"})
"""Nodes that look at the serving directory, which changes without their inputs changing."""


def create_pipeline(
    config: Config, root: Root, *, run_id: str = "", cache: bool = True, force: bool = False
) -> Pipeline:
    """The whole way of the data, from files to a servable.

    Args:
        config: What to do.
        root: Where everything that a run writes goes.
        run_id: Written into the provenance of what is pushed.
        cache: Whether nodes whose inputs have not changed reuse what they wrote before.
        force: Push also what was rolled back, is live already, or was judged on fewer rows than
            `gates.min_rows_per_class`.

    Returns:
        The pipeline, with the nodes of `docs/architecture.md` in data order.
    """
    label, task = config.label.column, config.label.task
    fewest = 0 if force else config.gates.min_rows_per_class

    example_gen = TabularExampleGen(
        data=config.data.model_dump_json(),
        label=config.label.model_dump_json(),
        schema=reading_rules(config.schema_path, label),
    ).with_id("ExampleGen")
    statistics_gen = StatisticsGen(
        examples=example_gen.outputs["examples"], stats_options=statistics.options(label, task)
    )
    schema_gen = CuratedSchema(
        statistics=statistics_gen.outputs["statistics"],
        examples=example_gen.outputs["examples"],
        label=label,
        path=str(config.schema_path or ""),
        edited=edited_content(config.schema_path),
        configuration=config.source.name if config.source else "",
    ).with_id("SchemaGen")
    schema = schema_gen.outputs["schema"]
    example_validator = ExampleValidator(statistics=statistics_gen.outputs["statistics"], schema=schema)
    data_gate = DataGate(
        statistics=statistics_gen.outputs["statistics"],
        anomalies=example_validator.outputs["anomalies"],
        examples=example_gen.outputs["examples"],
        schema=schema,
        label=label,
        task=task,
        config=config.gates.model_dump_json(),
        kept=str(root.statistics / config.name),
        serving_directory=str(root.serving / config.name),
        left_out=sorted(config.features.leave_out),
    )
    nodes: list[base_node.BaseNode] = [example_gen, statistics_gen, schema_gen, example_validator, data_gate]

    with Cond(data_gate.outputs["verdict"].future()[0].custom_property("passed") == 1):
        transform = Transform(
            examples=example_gen.outputs["examples"],
            schema=schema,
            label=label,
            task=task,
            features=config.features.model_dump_json(),
            preprocessing=config.preprocessing.model_dump_json(),
        )
        baseline = Baseline(
            statistics=statistics_gen.outputs["statistics"],
            schema=schema,
            serving_directory=str(root.serving / config.name),
            label=label,
            task=task,
            check="components.serving.checked.check_loadable",
            allowed_ops=config.serving.allowed_ops,
        )
        trainer = Trainer(
            examples=transform.outputs["transformed_examples"],
            transform_graph=transform.outputs["transform_graph"],
            schema=schema,
            label=config.label.model_dump_json(),
            left_out=sorted(config.features.leave_out),
            model=config.model.model_dump_json(),
            training=config.training.model_dump_json(),
            checkpoint_root=str(root.checkpoints),
            base_model=baseline.outputs["model"] if config.training.warm_start == "live" else None,
        )
        evaluator = Evaluator(
            examples=example_gen.outputs["examples"],
            model=trainer.outputs["model"],
            baseline_model=baseline.outputs["model"],
            eval_config=eval_config(config.evaluation, label, task, config.label.classes, fewest),
            example_splits=["eval"],
            module_path=EXTRACTORS,
        )
        nodes += [transform, baseline, trainer, evaluator]

        with Cond(evaluator.outputs["blessing"].future()[0].custom_property("blessed") == 1):
            nodes += _to_serving(
                config, root, run_id, force, example_gen, schema, transform, baseline, trainer, evaluator
            )

    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=str(root.artifacts),
        components=nodes,
        enable_cache=cache,
        metadata_connection_config=sqlite_metadata_connection_config(str(root.metadata)),
        beam_pipeline_args=beam_args(config.resources.beam_args),
    )


def beam_args(configured: Sequence[str]) -> list[str]:
    """Options of every Beam component: ours, then the configured ones, which win."""
    remote = any(option.startswith("--runner") for option in configured)
    return [*BEAM_ARGS, *([] if remote else [NOTHING_TO_STAGE]), *configured]


def _to_serving(
    config: Config,
    root: Root,
    run_id: str,
    force: bool,
    example_gen: base_node.BaseNode,
    schema: BaseChannel,
    transform: base_node.BaseNode,
    baseline: base_node.BaseNode,
    trainer: base_node.BaseNode,
    evaluator: base_node.BaseNode,
) -> list[base_node.BaseNode]:
    """From a blessed model to the serving directory."""
    label, task = config.label.column, config.label.task
    main = config.evaluation.main(task)
    fewest = 0 if force else config.gates.min_rows_per_class
    optimizer = ModelOptimizer(
        model=trainer.outputs["model"],
        transform_graph=transform.outputs["transform_graph"],
        transformed_examples=transform.outputs["transformed_examples"],
        examples=example_gen.outputs["examples"],
        schema=schema,
        blessing=evaluator.outputs["blessing"],
        config=config.optimization.model_dump_json(),
        label=label,
        task=task,
        metric=main,
        slices=[list(columns) for columns in config.evaluation.slices],
    )
    optimized_evaluator = Evaluator(
        examples=example_gen.outputs["examples"],
        model=optimizer.outputs["model"],
        baseline_model=trainer.outputs["model"],
        eval_config=optimized_eval_config(
            config.evaluation, label, task, config.optimization.constraints.allowed_drops(task, main), fewest
        ),
        example_splits=["eval"],
        module_path=EXTRACTORS,
    ).with_id("OptimizedEvaluator")
    validator = ServingValidator(
        model=optimizer.outputs["model"],
        trained_model=trainer.outputs["model"],
        baseline_model=baseline.outputs["model"],
        examples=example_gen.outputs["examples"],
        schema=schema,
        optimization_report=optimizer.outputs["report"],
        label=label,
        task=task,
        config=config.serving.model_dump_json(),
        model_name=config.name,
    )
    pusher = Pusher(
        model=optimizer.outputs["model"],
        model_blessing=optimized_evaluator.outputs["blessing"],
        infra_blessing=validator.outputs["blessing"],
        optimization_report=optimizer.outputs["report"],
        evaluation=optimized_evaluator.outputs["evaluation"],
        examples=example_gen.outputs["examples"],
        serving_directory=str(root.serving / config.name),
        model_name=config.name,
        run_id=run_id,
        code_fingerprint=pipeline_fingerprint(),
        config=config.serving.model_dump_json(),
        force=force,
    )
    return [optimizer, optimized_evaluator, validator, pusher]
