"""Where today's pipeline differs from the recorded one, and why. Nothing here is the emulator's: that has to agree."""

from __future__ import annotations

from taxiway.pipeline.nodes import NODES, OPTIONAL_NODES

SINCE = {
    "ExampleGen": {"parameters.schema": "the schema's own words for missing values come with it"},
    "DataGate": {
        "parameters.kept": "renamed",
        "parameters.statistics_directory": "what `kept` was",
    },
    "StatisticsGen": {"parameters.exclude_splits": "only the Evaluators read `test`"},
    "Transform": {
        "parameters.preprocessing_fn": "one import name: taxiway.components",
        "parameters.splits_config": "only the Evaluators read `test`",
    },
    "Baseline": {
        "parameters.allowed_ops": "a live model is checked before it is loaded",
        "parameters.check": "a live model is checked before it is loaded",
    },
    "Trainer": {"parameters.run_fn": "one import name: taxiway.components"},
    "Evaluator": {"parameters.example_splits": "the executor chooses the split that judges"},
    "OptimizedEvaluator": {"parameters.example_splits": "the executor chooses the split that judges"},
    "ModelOptimizer": {
        "inputs.blessing": "only its condition reads the blessing",
        "inputs._Evaluator.blessing": "only its condition reads the blessing",
        "parameters.prediction_output": "a model of somebody else may call its scores otherwise",
    },
    "ServingValidator": {
        "inputs.baseline_model": "it measures the live model's speed too",
        "inputs.statistics": "the version carries its training statistics",
        "parameters.prediction_output": "a model of somebody else may call its scores otherwise",
    },
    "Pusher": {"parameters.code_fingerprint": "another code"},
}
"""By node and field; the same on both releases."""

IN_THE_BRANCH = {
    "ExampleGen": {
        "parameters.taxiway_data_fingerprint": "the branch was given other parameters of the run",
        "parameters.taxiway_data_path": "the branch was given other parameters of the run",
        "parameters.taxiway_span": "the branch was given other parameters of the run",
    },
}
"""What only the recording of the branch without ML Metadata differs in."""

ARGUMENTS_SINCE = {
    "components.gates.executor.SchemaExecutor": "taxiway.components.schema.executor.SchemaExecutor",
    "pipeline.kubeflow.entrypoint": "taxiway.pipeline.kubeflow.entrypoint",
    "tfx.components.evaluator.": "taxiway.components.evaluation.",
    "tfx.components.statistics_gen.": "taxiway.components.statistics.",
    "components.": "taxiway.components.",
}
"""Then, and now: one import name, `taxiway`; the schema has a folder of its own."""

OPTIONS_SINCE = ("--json_serialized_declared_outputs", "--json_serialized_page_facts", "--packed_properties")
"""Options of our entry point that came later: which outputs are the node's own, what Kubeflow's page shows, and long
values, which are no parameters any more."""

FLAGS_SINCE = ("--allow_unsafe_triggers",)
"""Beam's own: without it a later Beam would start another program (`components/beam/options.py`)."""

OUTPUTS_SINCE = ("metrics", "curves", "summary", "record")
"""What Kubeflow's page shows of a node, as artifacts of Kubeflow's own types, came later."""

INPUTS_SINCE = {"ModelOptimizer": {"blessing": "_Evaluator.blessing"}}
"""Inputs by node that have another key now: what only a condition reads has the compiler's."""

RECORDED_NODES = tuple(node for node in NODES if node not in OPTIONAL_NODES)
"""Today's nodes without those that came later, of which nothing was recorded."""

STEPS_SINCE = {"DataDigest": {"digest": "cbac59b74100b181707faf0a6af2862b", "spans": "latest"}}
"""Steps before the recorded ones that came later, with what they write: parameters that ExampleGen had from the run."""
