"""A small real TFX pipeline: rows, a gate, two nodes behind its verdict. Trivial work, real orchestration."""

import os
import time
from pathlib import Path

from tfx import v1 as tfx
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from taxiway.components import artifacts
from taxiway.components.beam.options import BEAM_OPTIONS
from taxiway.components.errors import DataError
from taxiway.components.gates.verdict import GateFinding, VerdictRecord
from taxiway.components.processes import progress

NODES = ["Rows", "Gate", "Work", "Last"]


@component
def Rows(  # noqa: N802
    out: OutputArtifact[standard_artifacts.String], count: Parameter[int] = 3, fail: Parameter[str] = ""
) -> None:
    Path(out.uri).parent.mkdir(parents=True, exist_ok=True)
    print("noise on standard output")
    os.write(2, b"noise on standard error\n")
    progress.report_progress("Rows", "half way", 0.5)
    if fail == "usage":
        raise DataError("rows.csv has no column 'x'.", "It has: y.")
    if fail == "bug":
        raise ZeroDivisionError("the divisor was zero")
    if fail == "interrupted in Beam":
        _interrupted_in_beam()
    if fail == "slow":
        time.sleep(60)
    out.value = "row " * count


def _interrupted_in_beam() -> None:
    """SIGINT while this thread is inside of Beam, whose worker makes a RuntimeError of what the handler raises."""
    import signal

    import apache_beam as beam

    options = beam.options.pipeline_options.PipelineOptions([*BEAM_OPTIONS])
    with beam.Pipeline(options=options) as pipeline:
        pipeline | beam.Create([1]) | beam.Map(lambda _: os.kill(os.getpid(), signal.SIGINT) or time.sleep(30))


@component
def Gate(  # noqa: N802
    rows: InputArtifact[standard_artifacts.String],
    verdict: OutputArtifact[artifacts.Verdict],
    passed: Parameter[int] = 1,
) -> None:
    findings = () if passed else (GateFinding(rule="min_rows", explanation="the split 'eval' holds 3 rows"),)
    record = VerdictRecord(gate="Gate", findings=findings, numbers={"rows": {"eval": 3}})
    Path(verdict.uri).mkdir(parents=True, exist_ok=True)
    record.write_verdict(verdict.uri)
    verdict.set_int_custom_property("passed", int(record.passed))


@component
def Work(  # noqa: N802
    rows: InputArtifact[standard_artifacts.String], out: OutputArtifact[standard_artifacts.String]
) -> None:
    out.value = rows.value.upper()


@component
def Last(  # noqa: N802
    worked: InputArtifact[standard_artifacts.String], out: OutputArtifact[standard_artifacts.String]
) -> None:
    out.value = worked.value * 2


def create(root: Path, *, passed: int = 1, fail: str = "", cache: bool = True) -> tfx.dsl.Pipeline:
    rows = Rows(count=3, fail=fail)
    gate = Gate(rows=rows.outputs["out"], passed=passed)
    with tfx.dsl.Cond(gate.outputs["verdict"].future()[0].custom_property("passed") == 1):
        work = Work(rows=rows.outputs["out"])
        last = Last(worked=work.outputs["out"])
    return tfx.dsl.Pipeline(
        pipeline_name="sample",
        pipeline_root=str(root / "artifacts"),
        components=[rows, gate, work, last],
        enable_cache=cache,
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(root / "metadata.db")
        ),
    )
