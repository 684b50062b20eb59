"""Makes one variant of a report again, once the program of its model has been checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from taxiway.components.contract import serving_model_dir
from taxiway.components.optimizer.report import OptimizerReport, read_report
from taxiway.components.optimizer.reproduction import Reproduction, reproduce
from taxiway.pipeline.optimization.run import check_program


def reproduce_checked(report: str | Path, variant: str, out: str | Path, allowed: Sequence[str] = ()) -> Reproduction:
    """As `reproduce`; the report may name any model, so what it names is checked as a model on the command line is.

    Args:
        report: The report's file or folder.
        variant: A name in it.
        out: A folder that does not exist or is empty.
        allowed: Ops that the model may hold beside our list. What a report says was allowed is not taken from it.

    Raises:
        ServingError: The model holds what may not run.
        OptimizationError: As `reproduce`.
    """
    original = read_report(report)
    servable = Path(serving_model_dir(original.job.model))
    if servable.exists():  # where it is gone, `reproduce` says so
        check_program(servable.resolve(), allowed, _recall_allowed_ops(original))
    return reproduce(report, variant, out)


def _recall_allowed_ops(report: OptimizerReport) -> str:
    ops = report.job.given.allowed_ops if report.job.given else ()
    return f"The report was made with {' '.join(f'--allow-op {op}' for op in ops)}. " if ops else ""
