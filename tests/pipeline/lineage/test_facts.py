"""What the lineage says of a node, from its files or from its properties."""

import json
from types import SimpleNamespace

import pytest

from taxiway.pipeline.lineage import facts, why
from taxiway.pipeline.lineage.graph import NodeGraph
from taxiway.pipeline.lineage.nodes import Edge, Node


@pytest.mark.parametrize(("version", "chosen"), [(1, "frozen"), (2, "reference")])
def test_an_optimization_report_of_another_format_version_is_not_read(tmp_path, version, chosen):
    decision = {"chosen": "frozen", "reasons": ["frozen: the smallest"]}
    (tmp_path / "report.json").write_text(json.dumps({"version": version, "decision": decision}))
    node = SimpleNamespace(uri=str(tmp_path), properties={"chosen": "reference"})
    assert facts._describe_optimization(node, node)["chosen"] == chosen


def test_a_configured_value_is_no_fact_of_a_training_that_took_a_tuners():
    given = {"training": {"epochs": 6, "optimizer": {"name": "adam", "learning_rate": 0.002}}}
    training = Node("execution:1", "execution", "Trainer", properties={"custom_config": json.dumps(given)})
    model = Node("artifact:2", "artifact", "Model", "Model")
    found = {"settings": "model.hidden_units [6, 5], training.optimizer.learning_rate 0.016"}
    best = Node("artifact:3", "artifact", "HyperParameters", "HyperParameters", properties=found)
    graph = NodeGraph([training, model, best], [Edge(best.key, training.key)])
    told = facts.collect_facts(graph, training, [model], None)
    assert told == {"hyper-parameters": {"epochs": 6, "optimizer.name": "adam"}, "tuned": found["settings"]}
    alone = facts.collect_facts(NodeGraph([training, model], []), training, [model], None)
    assert alone["hyper-parameters"]["optimizer.learning_rate"] == 0.002 and "tuned" not in alone


def test_settings_that_a_search_found_are_told():
    found = {"settings": "model.dropout 0.2", "metric": "loss", "value": 0.3391, "trials": 30, "best_trial": 7}
    node = SimpleNamespace(properties=found)
    assert facts.FACTS["HyperParameters"](node, node) == found
    steps = {"Tuner": SimpleNamespace(facts=found)}
    told = why._explain_settings(steps)
    assert told == "Its settings were the best of 30 trials by loss on the eval split (0.3391): model.dropout 0.2."
    assert why._explain_settings({}) == ""
