"""The pipeline, in data order: `create_pipeline`, then its nodes. `taxiway.pipeline.runs.launching.runners` runs it.

TFX's names come from where they are defined: `tfx.v1` imports Google Cloud's AI platform too, seconds at every start.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tfx.components import ExampleValidator
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.experimental.conditionals.conditional import Cond
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline

from taxiway.components.baseline.component import Baseline
from taxiway.components.contract import TEST_SPLIT
from taxiway.components.evaluation.component import Evaluator
from taxiway.components.evaluation.eval_config import build_eval_config, build_optimized_eval_config
from taxiway.components.example_gen.component import TabularExampleGen
from taxiway.components.explanation.component import ModelExplainer
from taxiway.components.gates import statistics
from taxiway.components.gates.component import DataGate
from taxiway.components.optimizer.component import ModelOptimizer
from taxiway.components.schema.component import CuratedSchema
from taxiway.components.schema.curated import derive_reading_rules
from taxiway.components.serving.component import Pusher, ServingValidator
from taxiway.components.statistics.component import StatisticsGen
from taxiway.components.trainer.component import Trainer
from taxiway.components.transform.component import Transform
from taxiway.components.tuner.component import Tuner
from taxiway.pipeline.code_fingerprint import fingerprint_pipeline
from taxiway.pipeline.config import PipelineConfig
from taxiway.pipeline.images import resolve_images
from taxiway.pipeline.node_set import NodeFactory, NodeSet
from taxiway.pipeline.resources.beam_args import make_beam_args
from taxiway.pipeline.resources.cluster_pod import make_cluster_pod
from taxiway.pipeline.root import DEFAULT_ROOT, Root

NEVER_CACHED = frozenset({"Baseline", "Pusher"})
"""Nodes that look at the serving directory, which changes without their inputs changing."""


def create_pipeline(
    config: PipelineConfig,
    root: Root | str | Path = DEFAULT_ROOT,
    *,
    cache: bool = True,
    force: bool = False,
    extra_nodes: Sequence[NodeFactory] = (),
    blessed_nodes: Sequence[NodeFactory] = (),
    **replacements: NodeFactory,
) -> Pipeline:
    """The whole pipeline, from files of rows to a pushed version, with nodes of yours.

    Args:
        config: Configuration of the pipeline.
        root: Root under which a run writes.
        cache: Whether nodes whose inputs have not changed reuse what they wrote before.
        force: Whether a model is pushed that was rolled back, is live already, or was judged on fewer rows than
            `gates.min_rows_per_class`.
        extra_nodes: Functions of all nodes by id that return further ones, which run where the data passed its gate.
        blessed_nodes: The same, of nodes that run where the evaluator has blessed the trained model, too.
        **replacements: By `example_gen`, `statistics_gen`, `schema_gen`, `example_validator`, `data_gate`, `transform`,
            `baseline`, `tuner`, `trainer`, `evaluator`, `optimizer`, `optimized_evaluator`, `validator`, `pusher` or
            `explainer`: a function of the nodes before it by id. It returns the node that takes the place and has the
            outputs of ours, under its id; or several, the last of which takes it.

    Returns:
        The pipeline, with the nodes of `docs/architecture.md` in data order.

    Raises:
        UsageError: A replacement is of no node, or no function, or makes no node.
    """
    root = root if isinstance(root, Root) else Root.at(root)
    fewest_rows = 0 if force else config.gates.min_rows_per_class
    made = NodeSet(replacements)
    data = _create_data_nodes(config, root, made)
    with Cond(data.data_gate.outputs["verdict"].future()[0].custom_property("passed") == 1):
        training = _create_training_nodes(config, root, fewest_rows, data, made)
        with Cond(training.evaluator.outputs["blessing"].future()[0].custom_property("blessed") == 1):
            optimization = _create_optimization_nodes(config, fewest_rows, data, training, made)
            push = _create_push_nodes(config, root, force, data, training, optimization, made)
            _create_explainer(config, data, optimization, push, made)
            made.add_extra_nodes(blessed_nodes)
        made.add_extra_nodes(extra_nodes)
    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=str(root.artifacts),
        components=list(made.nodes.values()),
        enable_cache=cache,
        metadata_connection_config=sqlite_metadata_connection_config(str(root.metadata)),
        beam_pipeline_args=make_beam_args(resolve_images(config.resources.beam), config.resources.beam_args),
    )


class DataNodes(NamedTuple):
    """From files of rows to a verdict on them."""

    example_gen: BaseNode
    statistics_gen: BaseNode
    schema_gen: BaseNode
    example_validator: BaseNode
    data_gate: BaseNode


class TrainingNodes(NamedTuple):
    """From good rows to a trained model that was compared with the live one."""

    transform: BaseNode
    baseline: BaseNode
    tuner: BaseNode | None
    trainer: BaseNode
    evaluator: BaseNode


class OptimizationNodes(NamedTuple):
    """From a blessed model to its fastest or smallest variant that is as good."""

    optimizer: BaseNode
    optimized_evaluator: BaseNode


class PushNodes(NamedTuple):
    """From the variant to the serving directory."""

    validator: BaseNode
    pusher: BaseNode


def _create_data_nodes(config: PipelineConfig, root: Root, made: NodeSet) -> DataNodes:
    label, task = config.label.column, config.label.task
    example_gen = made.add_node(
        "example_gen",
        lambda: TabularExampleGen(
            data=config.data,
            label=config.label,
            column_rules=derive_reading_rules(config.schema_path, label),
        ).with_id("ExampleGen"),
    )
    statistics_gen = made.add_node(
        "statistics_gen",
        lambda: StatisticsGen(
            examples=example_gen.outputs["examples"],
            stats_options=statistics.build_stats_options(label, task),
            exclude_splits=[TEST_SPLIT],
        ),
    )
    schema_gen = made.add_node(
        "schema_gen",
        lambda: CuratedSchema(
            statistics=statistics_gen.outputs["statistics"],
            examples=example_gen.outputs["examples"],
            label=label,
            path=str(config.schema_path or ""),
            configuration=config.source.name if config.source else "",
        ).with_id("SchemaGen"),
    )
    example_validator = made.add_node(
        "example_validator",
        lambda: ExampleValidator(statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]),
    )
    data_gate = made.add_node(
        "data_gate",
        lambda: DataGate(
            statistics=statistics_gen.outputs["statistics"],
            anomalies=example_validator.outputs["anomalies"],
            examples=example_gen.outputs["examples"],
            schema=schema_gen.outputs["schema"],
            label=label,
            task=task,
            config=config.gates,
            statistics_directory=str(root.statistics / config.name),
            serving_directory=str(root.serving / config.name),
            left_out=sorted({*config.features.leave_out, *config.features.calendar}),  # a later span has later times
        ),
    )
    return DataNodes(example_gen, statistics_gen, schema_gen, example_validator, data_gate)


def _create_training_nodes(
    config: PipelineConfig, root: Root, fewest_rows: int, data: DataNodes, made: NodeSet
) -> TrainingNodes:
    label, task = config.label.column, config.label.task
    transform = made.add_node(
        "transform",
        lambda: Transform(
            examples=data.example_gen.outputs["examples"],
            schema=data.schema_gen.outputs["schema"],
            label=label,
            task=task,
            features=config.features,
            preprocessing=config.preprocessing.resolve_numbers(config.model.kind),
        ),
    )
    baseline = made.add_node(
        "baseline",
        lambda: Baseline(
            statistics=data.statistics_gen.outputs["statistics"],
            schema=data.schema_gen.outputs["schema"],
            serving_directory=str(root.serving / config.name),
            label=label,
            task=task,
            check="taxiway.components.serving.safety.load_check.check_loadable",
            allowed_ops=config.serving.allowed_ops,
        ),
    )
    tuner = made.add_node("tuner", lambda: _create_tuner(config, root, data, transform))
    trainer = made.add_node(
        "trainer",
        lambda: Trainer(
            examples=transform.outputs["transformed_examples"],
            transform_graph=transform.outputs["transform_graph"],
            schema=data.schema_gen.outputs["schema"],
            label=config.label.column,
            task=config.label.task,
            classes=config.label.classes,
            left_out=sorted(config.features.leave_out),
            model=config.model,
            training=config.training,
            checkpoint_root=str(root.checkpoints),
            cluster_pod=_make_cluster_pod(config),
            base_model=baseline.outputs["model"] if config.training.warm_start == "live" else None,
            hyperparameters=tuner.outputs["best_hyperparameters"] if tuner else None,
        ),
    )
    evaluator = made.add_node(
        "evaluator",
        lambda: Evaluator(
            examples=data.example_gen.outputs["examples"],
            model=trainer.outputs["model"],
            baseline_model=baseline.outputs["model"],
            eval_config=build_eval_config(config.evaluation, label, task, config.label.classes, fewest_rows),
        ),
    )
    return TrainingNodes(transform, baseline, tuner, trainer, evaluator)


def _make_cluster_pod(config: PipelineConfig) -> str:
    """The pod of a training cluster. Where none is made, images are not looked at: they may be another stack's."""
    kubeflow = config.resources.kubeflow
    has_pods = config.training.cluster.where == "kubernetes"
    return make_cluster_pod(config.training, resolve_images(kubeflow) if has_pods else kubeflow)


def _create_tuner(config: PipelineConfig, root: Root, data: DataNodes, transform: BaseNode) -> Tuner | None:
    """The Tuner, unless it is switched off."""
    if not config.tuning.enabled:
        return None
    return Tuner(
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=data.schema_gen.outputs["schema"],
        label=config.label.column,
        task=config.label.task,
        classes=config.label.classes,
        left_out=sorted(config.features.leave_out),
        model=config.model,
        training=config.training,
        tuning=config.tuning,
        storage_root=str(root.checkpoints),
    )


def _create_optimization_nodes(
    config: PipelineConfig, fewest_rows: int, data: DataNodes, training: TrainingNodes, made: NodeSet
) -> OptimizationNodes:
    label, task = config.label.column, config.label.task
    main_metric = config.evaluation.get_main_metric(task)
    allowed_drops = config.optimization.constraints.list_allowed_drops(task, main_metric)
    # No `blessing`: the condition around the node asks for it, and an input that is a new artifact in every run would
    # optimize the same model again after a changed threshold.
    optimizer = made.add_node(
        "optimizer",
        lambda: ModelOptimizer(
            model=training.trainer.outputs["model"],
            transform_graph=training.transform.outputs["transform_graph"],
            transformed_examples=training.transform.outputs["transformed_examples"],
            examples=data.example_gen.outputs["examples"],
            schema=data.schema_gen.outputs["schema"],
            config=config.optimization,
            label=label,
            task=task,
            metric=main_metric,
            slices=[list(columns) for columns in config.evaluation.slices],
        ),
    )
    optimized_evaluator = made.add_node(
        "optimized_evaluator",
        lambda: Evaluator(
            examples=data.example_gen.outputs["examples"],
            model=optimizer.outputs["model"],
            baseline_model=training.trainer.outputs["model"],
            eval_config=build_optimized_eval_config(config.evaluation, label, task, allowed_drops, fewest_rows),
        ).with_id("OptimizedEvaluator"),
    )
    return OptimizationNodes(optimizer, optimized_evaluator)


def _create_push_nodes(
    config: PipelineConfig,
    root: Root,
    force: bool,
    data: DataNodes,
    training: TrainingNodes,
    optimization: OptimizationNodes,
    made: NodeSet,
) -> PushNodes:
    validator = made.add_node(
        "validator",
        lambda: ServingValidator(
            model=optimization.optimizer.outputs["model"],
            trained_model=training.trainer.outputs["model"],
            baseline_model=training.baseline.outputs["model"],
            examples=data.example_gen.outputs["examples"],
            schema=data.schema_gen.outputs["schema"],
            statistics=data.statistics_gen.outputs["statistics"],
            optimization_report=optimization.optimizer.outputs["report"],
            label=config.label.column,
            task=config.label.task,
            config=config.serving,
            model_name=config.name,
        ),
    )
    pusher = made.add_node(
        "pusher",
        lambda: Pusher(
            model=optimization.optimizer.outputs["model"],
            model_blessing=optimization.optimized_evaluator.outputs["blessing"],
            infra_blessing=validator.outputs["blessing"],
            optimization_report=optimization.optimizer.outputs["report"],
            evaluation=optimization.optimized_evaluator.outputs["evaluation"],
            examples=data.example_gen.outputs["examples"],
            serving_directory=str(root.serving / config.name),
            model_name=config.name,
            code_fingerprint=fingerprint_pipeline(),
            config=config.serving,
            force=force,
        ),
    )
    return PushNodes(validator, pusher)


def _create_explainer(
    config: PipelineConfig, data: DataNodes, optimization: OptimizationNodes, push: PushNodes, made: NodeSet
) -> None:
    """ModelExplainer, unless it is switched off. The push does not wait for it."""

    def create_ours() -> BaseNode | None:
        if not config.explanation.enabled:
            return None
        explainer = ModelExplainer(
            model=optimization.optimizer.outputs["model"],
            examples=data.example_gen.outputs["examples"],
            label=config.label.column,
            task=config.label.task,
            metric=config.evaluation.get_main_metric(config.label.task),
            classes=config.label.classes,
            calendar={time: [f"{time}_{part}" for part in parts] for time, parts in config.data.calendar.items()},
            config=config.explanation,
        )
        explainer.add_upstream_node(push.pusher)
        return explainer

    made.add_node("explainer", create_ours)
