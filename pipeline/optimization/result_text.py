"""What `taxiway optimize` prints: a table of the variants, what they were judged by, and where the result is."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from taxiway.components.optimizer.decision import explain_few_rows
from taxiway.components.optimizer.report import OptimizerReport
from taxiway.pipeline.console import printing, summary
from taxiway.pipeline.optimization.run import OptimizeResult
from taxiway.pipeline.tracking.artifact_results import make_variant_records

_NO_ROWS = (
    "No rows were given, so quality was compared with the original's outputs on random rows only: give --data, "
    "--examples or --requests to see it on rows that are served."
)


def print_result(result: OptimizeResult) -> None:
    """Prints a result for people."""
    console = printing.make_console()
    report = result.report
    console.print(summary.format_variants(make_variant_records(report), report.metric))
    table = make_agreement_table(report)
    if table is not None:
        console.print(table)
    for line in list_result_lines(result):
        console.print(line, soft_wrap=True, markup=False)


def make_agreement_table(report: OptimizerReport) -> Table | None:
    """The agreement of each variant's outputs with the original's; None where nothing was measured."""
    rows = [
        (
            variant.name,
            each.output,
            printing.format_number(each.max_error),
            printing.format_number(each.mean_error),
            printing.format_number(each.divergence),
            "–" if each.same_decisions is None else f"{each.same_decisions:.2%}",
            f"{each.disagreement.value:.4f} [{each.disagreement.low:.4f}, {each.disagreement.high:.4f}]",
        )
        for variant in report.variants
        for each in variant.agreement
        if variant.agreement and variant is not report.reference
    ]
    columns = ("variant", "output", "largest error", "mean error", "KL", "same decisions", "disagreement")
    escaped = [tuple(printing.escape_markup(cell) for cell in row) for row in rows]
    return printing.make_table("Agreement with the original", columns, escaped, right=columns[2:]) if rows else None


def list_result_lines(result: OptimizeResult) -> list[str]:
    """Sentences below the tables."""
    report = result.report
    few = explain_few_rows(report.variants, report.job.config)
    lines = [report.decision.reasons[0], f"Judged by {report.rows}.", *([few] if few else [])]
    if report.job.given and report.job.given.source == "random":
        lines.append(_NO_ROWS)
    lines.append(f"model: {result.model}" if result.model else "No model was chosen: nothing is to be served.")
    lines.append(f"report: {result.page}")
    if result.push:
        lines.append(f"pushed: {result.push.path}" if result.push.pushed else f"not pushed: {result.push.reason}")
    return lines


def build_json(result: OptimizeResult) -> dict[str, Any]:
    """The same for programs."""
    push = result.push
    return {
        "chosen": result.report.decision.chosen if result.model else None,
        "model": str(result.model) if result.model else None,
        "page": str(result.page),
        "pushed": {"version": push.version, "path": str(push.path), "pushed": push.pushed, "reason": push.reason}
        if push
        else None,
        "too_few_rows": explain_few_rows(result.report.variants, result.report.job.config) or None,
        "rows": result.report.rows,
        "random_rows": bool(result.report.job.given and result.report.job.given.source == "random"),
        "report": result.report.model_dump(mode="json"),
    }
