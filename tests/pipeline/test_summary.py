"""The summary at the end of a run, as a reader sees it."""

import io

from rich.console import Console

from pipeline import summary
from pipeline.record import GateRecord, MetricValues, RunRecord, VariantRecord


def printed(part) -> str:
    console = Console(file=io.StringIO(), width=140, color_system=None)
    console.print(part)
    return console.file.getvalue()


def run(*variants: VariantRecord) -> RunRecord:
    return RunRecord(run_id="r", state="live", started=0.0, variants=variants)


def test_variants_tell_figures_reasons_and_the_choice():
    text = printed(
        summary.variants(
            run(
                VariantRecord(
                    variant="reference", status="measured", size_bytes=2000, p50_ms=0.5, batch_size=32, quality=0.95
                ),
                VariantRecord(variant="frozen", status="measured", chosen=True, size_bytes=1000, speedup=1.2),
                VariantRecord(variant="onnx", status="failed", reason="the converter [aborted]"),
            )
        )
    )
    reference, frozen, onnx = [line for line in text.splitlines() if line.strip()][2:]
    assert "p50 batch 32" in text
    assert all(word in reference for word in ("2.0 kB", "0.500 ms", "0.9500", "measured"))
    assert frozen.startswith("→")
    assert "chosen" in frozen
    assert "the converter [aborted]" in onnx
    assert "not tried" not in text


def test_variants_that_were_not_tried_are_named_in_a_line():
    text = printed(
        summary.variants(
            run(
                VariantRecord(variant="reference", status="measured"),
                VariantRecord(variant="float16", status="not_tried", reason="the budget of 90 s was spent"),
                VariantRecord(variant="int8", status="not_tried", reason="the budget of 90 s was spent"),
            )
        )
    )
    assert text.strip().endswith("not tried, for reasons in the report: float16, int8")


def test_a_run_without_variants_has_no_table():
    assert summary.variants(run()) is None


def test_what_a_gate_found_and_let_pass_is_said():
    findings = [
        {"rule": "equal_rows", "explanation": "12 of 100 rows repeat [one]", "blocking": False},
        {"rule": "SCHEMA_NEW_COLUMN", "column": "extra", "explanation": "is new", "blocking": False},
        {"rule": "min_rows", "explanation": "too few"},
    ]
    gate = GateRecord(gate="DataGate", passed=False, numbers={"findings": findings})
    text = printed(summary.notes(run().model_copy(update={"gates": (gate,)})))
    assert text.splitlines() == ["DataGate: 12 of 100 rows repeat [one]", "DataGate: extra: is new"]
    many = GateRecord(gate="DataGate", passed=True, numbers={"findings": findings[:1] * 20})
    assert "and 12 more notes" in printed(summary.notes(run().model_copy(update={"gates": (many,)})))
    assert summary.notes(run()) is None


def test_slices_show_rows_and_positives_and_too_few_is_said():
    values = (
        MetricValues(
            slice="overall", rows=900, positives=90, judged_rows=90, candidate={"auc": 0.9}, baseline={"auc": 0.5}
        ),
        MetricValues(
            slice="day=1", rows=300, positives=1, judged_rows=1, candidate={"auc": 0.067}, baseline={"auc": 0.5}
        ),
    )
    record = RunRecord(run_id="r", state="live", started=0.0, main_metric="auc", metrics={"Evaluator": values})
    text = printed(summary.metrics(record)[0])
    overall, day = [line.split() for line in text.splitlines() if line.strip()][-2:]
    assert "positives" in text
    assert overall == ["overall", "900", "90", "0.9000", "(+0.4000)"]
    assert day == ["day=1", "300", "1", "0.0670", "(too", "few)"]


def test_rows_of_each_class_are_whole_numbers():
    classes = {"a": {"rows": 80.0, "recall": 0.5}, "b": {"rows": 12.0, "recall": 0.25}}
    values = MetricValues(slice="overall", rows=92, judged_rows=12, candidate={"accuracy": 0.9}, classes=classes)
    record = RunRecord(run_id="r", state="live", started=0.0, main_metric="accuracy", metrics={"Evaluator": (values,)})
    whole, each = (printed(table) for table in summary.metrics(record))
    assert "rarest class" in whole and "12" in whole
    assert ["b", "12", "0.2500"] in [line.split() for line in each.splitlines()]
