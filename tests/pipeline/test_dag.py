"""The pipeline as it is created: its order, its conditions, and what its nodes are told."""

import json

import pytest

from taxiway.components.errors import ConfigError
from taxiway.pipeline import stacks
from taxiway.pipeline.config import load_config
from taxiway.pipeline.root import Root


@pytest.mark.parametrize(
    ("force", "overrides", "asked"), [(False, (), 20), (True, (), None), (False, ("gates.min_rows_per_class=0",), None)]
)
def test_both_evaluators_want_rows_of_each_class(tmp_path, force, overrides, asked):
    from taxiway.pipeline.dag import create_pipeline

    made = create_pipeline(load_config(overrides=overrides), Root.at(tmp_path), force=force)
    for node in ("Evaluator", "OptimizedEvaluator"):
        (evaluator,) = [each for each in made.components if each.id == node]
        config = json.loads(evaluator.exec_properties["eval_config"])
        (spec,) = config["metricsSpecs"] if "metricsSpecs" in config else config["metrics_specs"]
        (rows,) = [metric for metric in spec["metrics"] if json.loads(metric["config"])["name"] == "judged_rows"]
        bounds = rows.get("perSliceThresholds", rows.get("per_slice_thresholds", []))
        thresholds = [bound["threshold"] for bound in bounds]
        values = [each.get("valueThreshold", each.get("value_threshold")) for each in thresholds]
        assert [value.get("lowerBound", value.get("lower_bound")) for value in values] == ([asked] if asked else [])


def test_the_trainer_takes_what_the_tuner_found_and_the_tuner_reads_what_the_trainer_reads(tmp_path):
    from taxiway.pipeline.dag import create_pipeline

    overrides = ["tuning.enabled=true", "tuning.trials=7", "training.epochs=2"]
    made = create_pipeline(load_config(overrides=overrides), Root.at(tmp_path))
    nodes = {node.id: node for node in made.components}
    assert nodes["Trainer"].inputs["hyperparameters"] is nodes["Tuner"].outputs["best_hyperparameters"]
    assert {name: nodes["Trainer"].inputs[name] for name in nodes["Tuner"].inputs} == dict(nodes["Tuner"].inputs)
    told = {name: json.loads(nodes[name].exec_properties["custom_config"]) for name in ("Tuner", "Trainer")}
    assert told["Trainer"].pop("checkpoint_root") == nodes["Tuner"].exec_properties["storage_root"]
    assert told["Tuner"] == told["Trainer"] and told["Tuner"]["training"]["epochs"] == 2
    assert json.loads(nodes["Tuner"].exec_properties["tuning"])["trials"] == 7


def test_a_bad_verdict_stops_what_follows_and_an_unblessed_model_is_not_optimized(tmp_path):
    from tfx.dsl.experimental.conditionals import conditional

    from taxiway.pipeline.dag import create_pipeline

    made = create_pipeline(load_config(), Root.at(tmp_path))
    conditions = {node.id: len(conditional.get_predicates(node, made.dsl_context_registry)) for node in made.components}
    assert list(conditions.items()) == [
        *dict.fromkeys(("ExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "DataGate"), 0).items(),
        *dict.fromkeys(("Baseline", "Transform", "Trainer", "Evaluator"), 1).items(),
        *dict.fromkeys(("ModelOptimizer", "OptimizedEvaluator", "ServingValidator"), 2).items(),
        *dict.fromkeys(("Pusher", "ModelExplainer"), 2).items(),
    ]


def test_the_push_does_not_wait_for_the_explanation_which_can_be_switched_off(tmp_path):
    from taxiway.pipeline.dag import create_pipeline

    made = {node.id: node for node in create_pipeline(load_config(), Root.at(tmp_path)).components}
    assert made["Pusher"] in made["ModelExplainer"].upstream_nodes
    assert made["ModelExplainer"] not in made["Pusher"].upstream_nodes
    without = create_pipeline(load_config(overrides=("explanation.enabled=false",)), Root.at(tmp_path))
    assert {node.id for node in without.components} == made.keys() - {"ModelExplainer"}


KUBERNETES = (
    "training.strategy=parameter_server",
    "training.cluster.where=kubernetes",
    "resources.kubeflow.default.volumes=[{claim: taxiway, mount_path: /taxiway}]",
)
FLINK = "resources.beam={{runner: flink, job_endpoint: 'jobs:8099', environment: docker, image: '{}'}}"


def test_pods_and_workers_get_the_image_of_the_stack(tmp_path, monkeypatch):
    from taxiway.pipeline.dag import create_pipeline

    monkeypatch.setattr(stacks, "find_installed_stack", lambda: stacks.CURRENT)
    images = ("resources.kubeflow.image=trainer:1-{stack}", FLINK.format("workers:1-{stack}"))
    made = create_pipeline(load_config(overrides=[*KUBERNETES, *images]), Root.at(tmp_path))
    [trainer] = [node for node in made.components if node.id == "Trainer"]
    pod = json.loads(json.loads(trainer.exec_properties["custom_config"])["cluster_pod"])
    assert pod["spec"]["containers"][0]["image"] == "trainer:1-current"
    assert "--sdk_container_image=workers:1-current" in made.beam_pipeline_args
    assert "--environment_config=workers:1-current" in made.beam_pipeline_args


@pytest.mark.parametrize(
    "settings", [(*KUBERNETES, "resources.kubeflow.image=taxiway:1-tf216"), (FLINK.format("taxiway:1-tf216"),)]
)
def test_an_image_of_another_stack_is_refused_where_it_would_run_a_step(tmp_path, monkeypatch, settings):
    from taxiway.pipeline.dag import create_pipeline

    monkeypatch.setattr(stacks, "find_installed_stack", lambda: stacks.CURRENT)
    with pytest.raises(ConfigError, match="is of the stack tf216"):
        create_pipeline(load_config(overrides=settings), Root.at(tmp_path))
    create_pipeline(load_config(overrides=["resources.kubeflow.image=taxiway:1-tf216"]), Root.at(tmp_path))
