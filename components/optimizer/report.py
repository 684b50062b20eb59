"""The optimizer's report: what was tried, how it was measured, what was chosen and why. Written as JSON.

The models are the file's format; `read_report` refuses a file of another `version`. Durations are milliseconds, sizes
bytes, unless a name says otherwise. NaN never reaches the file: what is not defined is null.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from taxiway.components.errors import OptimizationError
from taxiway.components.files.versioned_report import OPTIMIZATION_REPORT
from taxiway.components.optimizer.config import OptimizationConfig
from taxiway.components.optimizer.job import OptimizerJob
from taxiway.components.optimizer.techniques import REFERENCE

REPORT_FILE = "report.json"
VERSION: Literal[1] = 1

Status = Literal["measured", "exported", "refused", "failed", "not_tried"]
"""`exported`: made and verified, but not to be run on this machine. `refused`: a technique's own check says that it
cannot be applied to this model, or has nothing to do. `failed`: it was tried, and something went wrong."""
UNMADE: frozenset[Status] = frozenset({"refused", "failed", "not_tried"})


class ReportPart(BaseModel):
    """One part of the report."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null", use_attribute_docstrings=True)


class Estimate(ReportPart):
    """A value with its 95 % interval."""

    value: float | None
    low: float | None
    high: float | None


class Check(ReportPart):
    """Something verified about a variant by looking at what was made, never at what was asked for."""

    name: str
    passed: bool
    detail: str
    figures: dict[str, Any] = Field(default_factory=dict)


class ServableSize(ReportPart):
    """Bytes of the servable, all files."""

    bytes: int
    compressed_bytes: int
    """As a gzip-compressed tar: what a transfer or an image layer costs."""
    ratio: float | None = None
    """Reference's bytes divided by this variant's: above 1 is smaller."""
    compressed_ratio: float | None = None


class Latency(ReportPart):
    """Latency of one path at one batch size."""

    path: Literal["whole", "core"]
    """`whole`: `serving_default`, from serialized examples to scores; `core`: from transformed features to scores."""
    batch_size: int
    samples: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    rows_per_second: float
    speedup: Estimate
    """Reference's time divided by this variant's, round by round: above 1 is faster."""
    round_ms: list[float] = Field(default_factory=list)
    """Median of each round, from which ratios are taken; a variant whose place was settled early has fewer."""


class SliceQuality(ReportPart):
    """Quality within one slice."""

    column: str
    """A column, or several joined by ` x `."""
    value: str
    rows: int
    metric: Estimate
    drop: Estimate


class MetricQuality(ReportPart):
    """A further metric that must be kept, on the same rows as the main one."""

    metric: str
    value: Estimate
    reference: float | None
    drop: Estimate


class Quality(ReportPart):
    """Quality on the labelled evaluation split, against the reference on the same rows."""

    metric: str
    rows: int
    value: Estimate
    reference: float | None
    drop: Estimate
    """How much worse than the reference; of the paired difference."""
    few: str = ""
    """Why there are no intervals, such as `3 rows of class 1`; empty where there are."""
    also: list[MetricQuality] = Field(default_factory=list)
    """The log loss or RMSE, where it is not the main metric."""
    slices: list[SliceQuality] = Field(default_factory=list)


class OutputError(ReportPart):
    """Absolute difference of the scores from the reference's on the same rows."""

    max: float
    mean: float
    p99: float
    decisions_flipped: int | None
    """Rows that are decided for another class; null for a regression."""
    rows: int
    same: bool = False
    """Whether the differences are no larger than what the order of float32 sums makes: the same answers."""


class OutputAgreement(ReportPart):
    """How far one output of a given model is from the original's on the same rows."""

    output: str
    kind: Literal["probabilities", "values", "labels"]
    """`probabilities`: rows that sum to 1, or numbers from 0 to 1; `values`: other numbers; `labels`: whole numbers,
    texts and truth values."""
    max_error: float | None = None
    """Largest absolute difference; null of labels, as the next three."""
    mean_error: float | None = None
    scale: float | None = None
    """By what differences are divided: 1 of probabilities, of values the original's standard deviation."""
    divergence: float | None = None
    """Mean Kullback-Leibler divergence from the original's probabilities, in nats."""
    same_decisions: float | None = None
    """Share of rows with the same largest output or, of labels, the same values; null of single numbers."""
    disagreement: Estimate
    """The larger of mean difference by scale and share of other decisions, with its 95 % interval."""


class StartCost(ReportPart):
    """What it costs to start answering."""

    load_ms: float | None = None
    """In the pinned, otherwise idle process that measures latency, after another model was loaded there."""
    first_ms: float | None = None
    """The first request, which optimizes the graph; in the same process."""
    memory_mb: float
    """Resident memory that loading and answering took, in a fresh process."""


class Variant(ReportPart):
    """One variant: what became of it."""

    name: str
    techniques: list[str]
    """All that were applied, in order; some bring others along that change no answer."""
    status: Status
    reason: str = ""
    """Why it failed, was refused or not tried: the exact error."""
    runtime: str = "tf_serving"
    hardware: str = "cpu"
    seconds: float = 0.0
    """Wall time of making it, the techniques before it included; several variants are made at a time."""
    checks: list[Check] = Field(default_factory=list)
    size: ServableSize | None = None
    start: StartCost | None = None
    latencies: list[Latency] = Field(default_factory=list)
    quality: Quality | None = None
    output_error: OutputError | None = None
    agreement: list[OutputAgreement] = Field(default_factory=list)
    """With the original, output by output; of given models."""
    rejected: list[str] = Field(default_factory=list)
    """Constraints that it does not keep, with the numbers, and why it cannot be pushed."""

    def find_latency(self, batch_size: int, path: str = "whole") -> Latency | None:
        """The measurement of one path at one batch size, where there is one."""
        return next((x for x in self.latencies if x.batch_size == batch_size and x.path == path), None)

    def find_deciding_latency(self, batch_size: int) -> Latency | None:
        """The measurement that decides: of the whole path where there is one, else of the core."""
        return self.find_latency(batch_size) or self.find_latency(batch_size, "core")

    @property
    def size_bytes(self) -> int:
        """Bytes of its servable; 0 where none was measured."""
        return self.size.bytes if self.size else 0


class MeasurementEnvironment(ReportPart):
    """On what and how everything was measured."""

    cpu: str
    cores: int
    threads: int
    platform: str
    python: str
    tensorflow: str
    gpu: str
    method: str


class OptimizerDecision(ReportPart):
    """What was chosen, and the argument."""

    chosen: str
    objective: str
    batch_size: int
    reasons: list[str]
    findings: list[str] = Field(default_factory=list)
    """Where the time of a call goes, and what was done about it."""
    pareto: list[str] = Field(default_factory=list)
    """Of the variants that may be pushed, those that no other beats in quality, latency and size at once."""


class OptimizerReport(ReportPart):
    """The whole report."""

    version: Literal[1] = VERSION
    task: str
    label: str
    metric: str
    decision: OptimizerDecision
    variants: list[Variant]
    exports: dict[str, str] = Field(default_factory=dict)
    """Folder of each exported variant in the exports' artifact."""
    environment: MeasurementEnvironment
    job: OptimizerJob
    """What was asked, with the folders of the inputs: enough to make a variant again."""
    rows: str = ""
    """What the rows of a given model are; empty where they are the evaluation split."""
    seconds: float

    @property
    def config(self) -> OptimizationConfig:
        return self.job.config

    def find_variant(self, name: str) -> Variant:
        """The entry of one variant.

        Raises:
            OptimizationError: the report has none of that name.
        """
        for entry in self.variants:
            if entry.name == name:
                return entry
        names = ", ".join(entry.name for entry in self.variants)
        raise OptimizationError(f"The report has no variant {name!r}.", f"It has: {names}.")

    @property
    def reference(self) -> Variant:
        return self.find_variant(REFERENCE)


def write_optimizer_report(report: OptimizerReport, folder: str | Path) -> Path:
    """Writes `report.json` into a folder and returns its path."""
    path = Path(folder, REPORT_FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report.model_dump_json(indent=2))
    return path


def read_report(path: str | Path) -> OptimizerReport:
    """Reads a report from its file or its folder.

    Raises:
        OptimizationError: it is not there, is no report, or has another format version.
    """
    file = Path(path)
    file = file / REPORT_FILE if file.is_dir() else file
    try:
        text = file.read_text()
    except OSError as error:
        raise OptimizationError(f"There is no optimization report at {file}: {error}") from error
    try:
        content = json.loads(text)
        OPTIMIZATION_REPORT.check_version(content, file)
        return OptimizerReport.model_validate(content)
    except ValueError as error:
        raise OptimizationError(
            f"{file} is not an optimization report.",
            f"Run the optimizer again to write a new one. What does not fit: {error}",
        ) from error
