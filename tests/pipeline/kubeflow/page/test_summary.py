"""Markdown of a run, as the page would show it."""

from __future__ import annotations

from taxiway.pipeline.kubeflow.page import summary
from taxiway.pipeline.tracking.run_record import (
    GateRecord,
    MetricValues,
    NodeRecord,
    PushRecord,
    RunRecord,
    VariantRecord,
)
from tests.pipeline.kubeflow.page import frontend_rules

OVERALL = MetricValues(slice="overall", rows=900, candidate={"auc": 0.8}, baseline={"auc": 0.5})


def blocked() -> RunRecord:
    findings = [
        {"column": "fare|<b>", "explanation": "mean moved", "blocking": False},
        {"column": "tip", "explanation": "is missing"},
    ]
    return RunRecord(
        run_id="r",
        state="blocked",
        started=1.0,
        main_metric="auc",
        reason="DataGate: tip: is missing",
        gates=(GateRecord(gate="DataGate", passed=False, reason="tip: is missing", numbers={"findings": findings}),),
        metrics={
            "Evaluator": (MetricValues(slice="overall", rows=900, candidate={"auc": 0.8}, baseline={"auc": 0.5}),)
        },
        variants=(
            VariantRecord(variant="frozen", status="measured", chosen=True, size_bytes=2048.0, p50_ms=0.5),
            VariantRecord(variant="int8", status="failed", reason="quality fell by 0.02"),
        ),
        nodes=(NodeRecord(node="Trainer", state="skipped", reason="behind: DataGate"),),
        push=PushRecord(pushed=False, reason="not blessed"),
    )


def test_gates_metrics_variants_and_nodes_with_reasons():
    text = summary.write_run(blocked())
    frontend_rules.check_markdown(text)
    assert text.startswith("# Blocked\n\nDataGate: tip: is missing\n")
    assert "| DataGate | **blocks** | tip: is missing |" in text
    assert "| overall | 900 | 0.8000 (+0.3000) |" in text
    assert "| **frozen** | 2.0 kB | 0.500 ms |" in text and "| failed | quality fell by 0.02 |" in text
    assert "| Trainer | skipped |  | behind: DataGate |" in text
    assert "Nothing was pushed: not blessed" in text


def test_findings_that_block_come_first_and_names_of_columns_are_text():
    rows = summary.write_findings(blocked().gates[0]).splitlines()
    assert rows[-2] == "| tip | **blocks** | is missing |"
    assert rows[-1] == r"| fare\|\<b\> | note | mean moved |"


def test_a_live_run_names_its_version():
    live = blocked().model_copy(update={"state": "live", "push": PushRecord(pushed=True, version=3), "gates": ()})
    assert "Version 3 is live." in summary.write_run(live)
    again = live.model_copy(update={"push": PushRecord(pushed=False, already_live=True, version=3)})
    assert "Version 3 was live already: the same model." in summary.write_run(again)


def test_what_is_too_long_is_cut_between_lines():
    gates = [GateRecord(gate=f"G{number}", passed=False, reason="x" * 1000) for number in range(1000)]
    text = summary.write_run(blocked().model_copy(update={"gates": tuple(gates)}))
    frontend_rules.check_markdown(text)
    assert text.endswith("|\n\nand more\n")
