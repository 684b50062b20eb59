"""Conditions: every node of the recorded run was triggered; a gate that says no keeps those behind it from running."""

from __future__ import annotations

import pytest

from taxiway.pipeline.emulator.errors import TaskFailedError
from tests.kubeflow.explained import RECORDED_NODES

BEHIND_THE_DATA = RECORDED_NODES[RECORDED_NODES.index("Transform") :]
BEHIND_THE_EVALUATOR = ("OptimizedEvaluator", "ServingValidator", "Pusher")


def list_conditions(driven) -> dict[str, str]:
    found = {node: driven.job.package.find_task(node).trigger_policy.condition for node in RECORDED_NODES}
    return {node: condition for node, condition in found.items() if condition}


def test_every_recorded_node_is_triggered(driven):
    assert all(decision.triggered for decision in driven.decisions.values())
    assert set(list_conditions(driven)) == set(BEHIND_THE_DATA)


def test_conditions_name_what_the_driver_hands_over(driven):
    """The artifact and the property are those of the recorded executor inputs."""
    for node, condition in list_conditions(driven).items():
        reads = driven.answers["nodes"][node]["reads"]
        assert "inputs.artifacts['_DataGate.verdict'].artifacts[0].metadata['passed'] == 1.0" in condition
        assert driven.answers["artifacts"][reads["_DataGate.verdict"]]["metadata"]["passed"] == 1
        if node in BEHIND_THE_EVALUATOR:
            assert driven.answers["artifacts"][reads["_Evaluator.blessing"]]["metadata"]["blessed"] == 1


@pytest.mark.parametrize("release", ["2.17", "without-mlmd"])
def test_a_blocked_gate_skips_the_nodes_behind_it(drive, release):
    """As the recorded driver did: the executor input has its inputs, no outputs, and no pod is made."""

    def block(answers):
        answers["artifacts"]["DataGate.verdict"]["metadata"] |= {"passed": 0, "reason": "drift"}
        for node in (*BEHIND_THE_DATA[1:],):  # what only reads Transform's outputs is never driven
            answers["nodes"].pop(node, None)

    driven = drive(release, block)
    skipped = driven.decisions["Transform"]
    assert not skipped.triggered and "outputs" not in skipped.executor_input and "Transform" not in driven.patches
    given = skipped.executor_input["inputs"]["artifacts"]["_DataGate.verdict"]["artifacts"][0]["metadata"]
    assert (given["passed"], given["reason"]) == (0, "drift")


def test_a_verdict_without_its_property_fails_the_driver(drive):
    with pytest.raises(TaskFailedError, match="no such key: passed"):
        drive("2.17", lambda answers: answers["artifacts"]["DataGate.verdict"]["metadata"].pop("passed"))
