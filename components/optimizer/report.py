"""The optimizer's report: what was tried, how it was measured, what was chosen and why. Written as JSON.

The models are the file's format: a reader checks `version`. Durations are milliseconds, sizes bytes, unless a name says
otherwise. NaN never reaches the file: what is not defined is null.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from components.errors import OptimizationError
from components.optimizer.config import REFERENCE, OptimizationConfig
from components.optimizer.job import OptimizerJob

REPORT_FILE = "report.json"
VERSION = 1

Status = Literal["measured", "exported", "failed", "not_tried"]
"""`exported`: made and verified, but not to be run on this machine."""


class Part(BaseModel):
    """One part of the report."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null", use_attribute_docstrings=True)


class Estimate(Part):
    """A value with its 95 % interval."""

    value: float | None
    low: float | None
    high: float | None


class Check(Part):
    """Something verified about a variant by looking at what was made, never at what was asked for."""

    name: str
    passed: bool
    detail: str
    figures: dict[str, Any] = Field(default_factory=dict)


class Size(Part):
    """Bytes of the servable, all files."""

    bytes: int
    compressed_bytes: int
    """As a gzip-compressed tar: what a transfer or an image layer costs."""
    ratio: float | None = None
    """Reference's bytes divided by this variant's: above 1 is smaller."""
    compressed_ratio: float | None = None


class Latency(Part):
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


class SliceQuality(Part):
    """Quality within one slice."""

    column: str
    """A column, or several joined by ` x `."""
    value: str
    rows: int
    metric: Estimate
    drop: Estimate


class MetricQuality(Part):
    """A further metric that must be kept, on the same rows as the main one."""

    metric: str
    value: Estimate
    reference: float | None
    drop: Estimate


class Quality(Part):
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


class OutputError(Part):
    """Absolute difference of the scores from the reference's on the same rows."""

    max: float
    mean: float
    p99: float
    decisions_flipped: int | None
    """Rows that are decided for another class; null for a regression."""
    rows: int
    same: bool = False
    """Whether the differences are no larger than what the order of float32 sums makes: the same answers."""


class Start(Part):
    """What it costs to start answering."""

    load_ms: float | None = None
    """In the pinned, otherwise idle process that measures latency, after another model was loaded there."""
    first_ms: float | None = None
    """The first request, which optimizes the graph; in the same process."""
    memory_mb: float
    """Resident memory that loading and answering took, in a fresh process."""


class Variant(Part):
    """One variant: what became of it."""

    name: str
    techniques: list[str]
    """All that were applied, in order; some bring others along that change no answer."""
    status: Status
    reason: str = ""
    """Why it failed or was not tried: the exact error."""
    runtime: str = "tf_serving"
    hardware: str = "cpu"
    seconds: float = 0.0
    """Wall time of making it, the techniques before it included; several variants are made at a time."""
    checks: list[Check] = Field(default_factory=list)
    size: Size | None = None
    start: Start | None = None
    latencies: list[Latency] = Field(default_factory=list)
    quality: Quality | None = None
    output_error: OutputError | None = None
    rejected: list[str] = Field(default_factory=list)
    """Constraints that it does not keep, with the numbers, and why it cannot be pushed."""

    def latency(self, batch_size: int, path: str = "whole") -> Latency | None:
        """The measurement of one path at one batch size, where there is one."""
        return next((x for x in self.latencies if x.batch_size == batch_size and x.path == path), None)


class Environment(Part):
    """On what and how everything was measured."""

    cpu: str
    cores: int
    threads: int
    platform: str
    python: str
    tensorflow: str
    gpu: str
    method: str


class Decision(Part):
    """What was chosen, and the argument."""

    chosen: str
    objective: str
    batch_size: int
    reasons: list[str]
    findings: list[str] = Field(default_factory=list)
    """Where the time of a call goes, and what was done about it."""
    pareto: list[str] = Field(default_factory=list)
    """Of the variants that may be pushed, those that no other beats in quality, latency and size at once."""


class Report(Part):
    """The whole report."""

    version: int = VERSION
    task: str
    label: str
    metric: str
    decision: Decision
    variants: list[Variant]
    exports: dict[str, str] = Field(default_factory=dict)
    """Folder of each exported variant in the exports' artifact."""
    environment: Environment
    job: OptimizerJob
    """What was asked, with the folders of the inputs: enough to make a variant again."""
    seconds: float

    @property
    def config(self) -> OptimizationConfig:
        return self.job.config

    def variant(self, name: str) -> Variant:
        """The entry of one variant.

        Raises:
            OptimizationError: the report has none of that name.
        """
        for entry in self.variants:
            if entry.name == name:
                return entry
        known = ", ".join(entry.name for entry in self.variants)
        raise OptimizationError(f"The report has no variant {name!r}.", f"It has: {known}.")

    @property
    def reference(self) -> Variant:
        return self.variant(REFERENCE)


def write(report: Report, folder: str | Path) -> Path:
    """Writes `report.json` into a folder and returns its path."""
    path = Path(folder, REPORT_FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report.model_dump_json(indent=2))
    return path


def read(path: str | Path) -> Report:
    """Reads a report from its file or its folder.

    Raises:
        OptimizationError: it is not there, or was written in another format.
    """
    file = Path(path)
    file = file / REPORT_FILE if file.is_dir() else file
    try:
        text = file.read_text()
    except OSError as error:
        raise OptimizationError(f"There is no optimization report at {file}: {error}") from error
    try:
        return Report.model_validate_json(text)
    except ValueError as error:
        raise OptimizationError(
            f"{file} is not an optimization report of version {VERSION}.",
            f"Run the optimizer again to write a new one. What does not fit: {error}",
        ) from error
