"""The summary at the end of a run, as a reader sees it."""

import io

import pytest
from rich.console import Console

from taxiway.pipeline.console import summary
from taxiway.pipeline.tracking.run_record import (
    GateRecord,
    MetricValues,
    PushRecord,
    RunEnvironment,
    RunRecord,
    VariantRecord,
)


def printed(part) -> str:
    console = Console(file=io.StringIO(), width=140, color_system=None)
    console.print(part)
    return console.file.getvalue()


def run(*variants: VariantRecord) -> RunRecord:
    return RunRecord(run_id="r", state="live", started=0.0, variants=variants)


def test_variants_tell_figures_reasons_and_the_choice():
    text = printed(
        summary.make_variants_table(
            run(
                VariantRecord(
                    variant="reference", status="measured", size_bytes=2000, p50_ms=0.5, batch_size=32, quality=0.95
                ),
                VariantRecord(variant="frozen", status="measured", chosen=True, size_bytes=1000, speedup=1.2),
                VariantRecord(variant="onnx", status="failed", reason="the converter [aborted]"),
                VariantRecord(variant="float16", status="refused", reason="nothing to do"),
            )
        )
    )
    title, _, reference, frozen, onnx, float16 = [line for line in text.splitlines() if line.strip()]
    assert title.strip() == "Variants"
    assert "p50 batch 32" in text
    assert all(word in reference for word in ("2.0 kB", "0.500 ms", "0.9500", "measured"))
    assert frozen.startswith("→")
    assert "chosen" in frozen
    assert "failed: the converter [aborted]" in onnx
    assert "refused: nothing to do" in float16
    assert "not tried" not in text


def test_variants_that_were_not_tried_are_named_in_a_line():
    text = printed(
        summary.make_variants_table(
            run(
                VariantRecord(variant="reference", status="measured"),
                VariantRecord(variant="float16", status="not_tried", reason="the budget of 90 s was spent"),
                VariantRecord(variant="int8", status="not_tried", reason="the budget of 90 s was spent"),
            )
        )
    )
    assert text.strip().endswith("not tried, for reasons in the report: float16, int8")


def test_a_run_without_variants_has_no_table():
    assert summary.make_variants_table(run()) is None


def test_what_a_gate_found_and_let_pass_is_said():
    findings = [
        {"rule": "equal_rows", "explanation": "12 of 100 rows repeat [one]", "blocking": False},
        {"rule": "SCHEMA_NEW_COLUMN", "column": "extra", "explanation": "is new", "blocking": False},
        {"rule": "min_rows", "explanation": "too few"},
    ]
    gate = GateRecord(gate="DataGate", passed=False, numbers={"findings": findings})
    text = printed(summary.make_notes_text(run().model_copy(update={"gates": (gate,)})))
    assert text.splitlines() == ["DataGate: 12 of 100 rows repeat [one]", "DataGate: extra: is new"]
    many = GateRecord(gate="DataGate", passed=True, numbers={"findings": findings[:1] * 20})
    assert "and 12 more notes" in printed(summary.make_notes_text(run().model_copy(update={"gates": (many,)})))
    assert summary.make_notes_text(run()) is None


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
    text = printed(summary.make_metrics_tables(record)[0])
    overall, day = [line.split() for line in text.splitlines() if line.strip()][-2:]
    assert "positives" in text
    assert overall == ["overall", "900", "90", "0.9000", "(+0.4000)"]
    assert day == ["day=1", "300", "1", "0.0670", "(too", "few)"]


@pytest.mark.parametrize(
    ("metric", "candidate", "style"),
    [
        ("auc", 0.9, "green"),
        ("auc", 0.4, "red"),
        ("log_loss", 0.9, "red"),
        ("log_loss", 0.4, "green"),
        ("calibration", 0.9, "dim"),
        ("auc", 0.50004, "dim"),
    ],
)
def test_better_is_green_worse_is_red_and_the_rest_is_dim(metric, candidate, style):
    values = (MetricValues(slice="overall", rows=900, candidate={metric: candidate}, baseline={metric: 0.5}),)
    record = RunRecord(run_id="r", state="live", started=0.0, main_metric=metric, metrics={"Evaluator": values})
    console = Console(file=io.StringIO(), width=140, force_terminal=True, color_system="standard")
    console.print(summary.make_metrics_tables(record)[0])
    code = {"green": "32", "red": "31", "dim": "2"}[style]
    assert f"\x1b[{code}m({candidate - 0.5:+.4f})\x1b[0m" in console.file.getvalue()


@pytest.mark.parametrize(
    ("state", "push", "words", "code"),
    [
        ("live", PushRecord(pushed=True, version=7, path="/serving/7"), "Live: taxi version 7", "1;32"),
        (
            "live",
            PushRecord(pushed=False, already_live=True, reason="equal bytes"),
            "Live already: equal bytes",
            "1;32",
        ),
        ("blocked", None, "Blocked: the live model stays as it is", "1;33"),
        ("failed", None, "Failed", "1;31"),
        ("interrupted", None, "Interrupted", "1;31"),
    ],
)
def test_the_headline_says_how_it_ended_in_its_colour(state, push, words, code):
    record = RunRecord(run_id="r", state=state, started=0.0, ended=3.0, model="taxi", push=push, reason="why", log="l")
    console = Console(file=io.StringIO(), width=140, force_terminal=True, color_system="standard")
    console.print(summary.make_outcome_text(record))
    first, second, *_ = console.file.getvalue().splitlines()
    assert first == f"\x1b[{code}m{words}\x1b[0m  in 3.0 s"
    assert second == "why"


def test_slices_beyond_the_first_are_counted():
    values = tuple(MetricValues(slice=f"day={day}", rows=50, candidate={"auc": 0.9}) for day in range(20))
    record = RunRecord(run_id="r", state="live", started=0.0, main_metric="auc", metrics={"Evaluator": values})
    text = printed(summary.make_metrics_tables(record)[0])
    assert " ".join(text.split()).endswith("and 7 more slices: report, taxiway show --json")


def test_rows_of_each_class_are_whole_numbers():
    classes = {"a": {"rows": 80.0, "recall": 0.5}, "b": {"rows": 12.0, "recall": 0.25}}
    values = MetricValues(slice="overall", rows=92, judged_rows=12, candidate={"accuracy": 0.9}, classes=classes)
    record = RunRecord(run_id="r", state="live", started=0.0, main_metric="accuracy", metrics={"Evaluator": (values,)})
    whole, each = (printed(table) for table in summary.make_metrics_tables(record))
    assert "rarest class" in whole and "12" in whole
    assert ["b", "12", "0.2500"] in [line.split() for line in each.splitlines()]


def test_the_last_line_of_a_shown_run_says_what_it_was_made_with():
    made_with = RunEnvironment(python="3.11.7", platform="Linux x86_64", packages={"tfx": "1.16.0"})
    record = RunRecord(run_id="r", state="done", started=0.0, environment=made_with)
    assert (
        printed(summary.render_run(record, {})).splitlines()[-1]
        == "stack tf216, Python 3.11.7, TFX 1.16.0, Linux x86_64"
    )
    assert "Python" not in printed(summary.render_run(record.model_copy(update={"environment": None}), {}))
    assert "Python" not in printed(summary.render_end(record, {})), "a run does not tell its own versions"


@pytest.mark.parametrize(
    ("main", "shown", "left"),
    [("auc", ["0.9000"], "and brier, f1: report"), ("f1", ["0.5000", "0.9000"], "and brier: report")],
)
def test_details_of_an_evaluation_are_named_and_left_to_the_report(main, shown, left):
    values = MetricValues(slice="overall", rows=100, candidate={"auc": 0.9, "brier": 0.1, "f1": 0.5})
    record = RunRecord(run_id="r", state="live", started=0.0, main_metric=main, metrics={"Evaluator": (values,)})
    text = printed(summary.make_metrics_tables(record)[0])
    assert [word for word in text.split() if word.startswith("0.")] == sorted(shown)
    assert " ".join(text.split()).endswith(f"{left}, taxiway show --json")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"value": [0.88, 0.92]}, "Evaluator: auc 0.9000, 95 % interval 0.8800 to 0.9200"),
        ({"few": "3 rows of class 1"}, "Evaluator: auc 0.9000, too few rows for an interval: 3 rows of class 1"),
        ({}, "The 95 % interval of auc is not computed (yet): taxiway report r"),
    ],
)
def test_the_main_metric_does_not_stand_without_its_interval(entry, words):
    values = MetricValues(slice="overall", rows=100, candidate={"auc": 0.9})
    record = RunRecord(run_id="r", state="live", started=0.0, main_metric="auc", metrics={"Evaluator": (values,)})
    for rendered in (summary.render_run, summary.render_end):
        assert words in printed(rendered(record, {"Evaluator": entry})).splitlines()
    assert summary.make_intervals_text(record.model_copy(update={"metrics": {}}), {}) is None
