"""The record of a run: its `runs/<run id>/summary.json`. Nothing heavy is imported here."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError, computed_field

from taxiway.components.config_section import Section
from taxiway.components.errors import StoreError
from taxiway.components.files.durable_files import replace_file
from taxiway.components.metrics import FEWEST_CLASS_ROWS, FEWEST_ROWS
from taxiway.pipeline import stacks
from taxiway.pipeline.exit_codes import EXIT_BLOCKED, EXIT_LIVE

SUMMARY_VERSION = 1
OVERALL = "overall"
"""The slice that is the whole split."""
SUMMARY_FILE = "summary.json"
BLOCKS = "blocks: "
"""Begins the reason of a node that is a gate and said no."""
CONFIG_FILE = "config.yaml"
LOG_FILE = "log.txt"
SHOWN_PACKAGES = {"tensorflow": "TensorFlow", "tfx": "TFX"}
"""Those that a line about a run has room for."""
PROGRESS_FILE = "progress.jsonl"

NodeState = Literal["waiting", "running", "done", "cached", "skipped", "failed", "interrupted"]
RunState = Literal["running", "live", "done", "blocked", "failed", "interrupted", "unreadable"]


class SummarySection(Section):
    """A part of a summary. Keys that it does not know are of a later Taxiway, and ignored."""

    model_config = ConfigDict(extra="ignore")


class NodeRecord(SummarySection):
    """How one node of a run ended."""

    node: str
    state: NodeState = "waiting"
    seconds: float | None = None
    """Wall time; None where the node did not run."""
    reason: str = ""
    """Why it was skipped or failed; what a gate said."""
    peak_memory_mb: float | None = None
    """Largest resident memory of the run's process and its children while the node ran."""
    execution_id: int | None = None
    """Id in ML Metadata."""
    started: float | None = None
    """Seconds since 1970."""


class GateRecord(SummarySection):
    """What one gate decided, with its numbers."""

    gate: str
    """The node that decided."""
    passed: bool
    reason: str = ""
    numbers: dict[str, Any] = Field(default_factory=dict)


class MetricValues(SummarySection):
    """One slice of an evaluation: metrics of the candidate and of the baseline by name."""

    slice: str
    """`overall`, or `payment_type=Cash`."""
    rows: int | None = None
    positives: int | None = None
    """Rows of the positive class; None where the label is not binary."""
    judged_rows: int | None = None
    """Rows of the class that has the fewest; of a regression, all rows."""
    candidate: dict[str, float | None] = Field(default_factory=dict)
    baseline: dict[str, float | None] = Field(default_factory=dict)
    classes: dict[str, dict[str, float | None]] = Field(default_factory=dict)
    """The candidate's metrics of single classes, by class and kind: `{"virginica": {"recall": 0.9}}`."""

    @property
    def too_few(self) -> bool:
        """Whether the rows are too few for any interval: the values are chance."""
        if self.positives is not None and self.judged_rows is not None:
            return self.judged_rows < FEWEST_CLASS_ROWS
        return self.rows is not None and self.rows < FEWEST_ROWS


class VariantRecord(SummarySection):
    """One variant that the optimizer tried."""

    variant: str
    status: str
    reason: str = ""
    chosen: bool = False
    size_bytes: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    speedup: float | None = None
    """Median of the reference's latency over this variant's, with its interval."""
    speedup_low: float | None = None
    speedup_high: float | None = None
    batch_size: int | None = None
    """The batch size that the latencies belong to."""
    quality: float | None = None
    output_error: float | None = None


class PushRecord(SummarySection):
    """What the Pusher did to the serving directory."""

    pushed: bool
    version: int | None = None
    path: str = ""
    reason: str = ""
    already_live: bool = False
    candidate: str = ""
    """The policy (`shadow`, `canary`) by which the version is tried beside the live one; empty: it is none."""

    @property
    def is_live(self) -> bool:
        """Whether the model that the run made is the live one."""
        return not self.candidate and (self.pushed or self.already_live)


class RunEnvironment(SummarySection):
    """What a run was made with."""

    python: str
    platform: str
    """`Linux x86_64, glibc 2.36`."""
    packages: dict[str, str] = Field(default_factory=dict)
    """Versions by package, of those that were installed."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def stack(self) -> str:
        """Name of the stack of its packages; empty where they are of none."""
        found = stacks.find_stack(self.packages)
        return found.name if found else ""

    def to_table(self) -> dict[str, str]:
        """Every entry by its name; the stack, Python and the platform first."""
        named = {"stack": self.stack} if self.stack else {}
        return {**named, "python": self.python, "platform": self.platform, **self.packages}

    def to_line(self) -> str:
        """The entries that tell two installations apart, in one line."""
        versions = [f"{name} {self.packages[key]}" for key, name in SHOWN_PACKAGES.items() if key in self.packages]
        named = [f"stack {self.stack}"] if self.stack else []
        return ", ".join([*named, f"Python {self.python}", *versions, self.platform])


class RunRecord(SummarySection):
    """One run. Written when it starts, after every node, and when it ends."""

    version: int = SUMMARY_VERSION
    run_id: str
    state: RunState
    exit_code: int | None = None
    reason: str = ""
    """Why it did not end live: the gate and its reason, or the error in a paragraph."""
    model: str = ""
    """The model's name."""
    main_metric: str = ""
    orchestrator: str = "local"
    started: float
    ended: float | None = None
    inputs: str = ""
    """Digest of data, configuration and code; see `taxiway.pipeline.runs.up_to_date`."""
    process: tuple[int, float] | None = None
    """Process id and its start (seconds since 1970), by which a dead run is known."""
    environment: RunEnvironment | None = None
    """None where nothing recorded it: a run of an older Taxiway, of a cluster, of another tool."""
    command: tuple[str, ...] = ()
    """What was typed after `taxiway`."""
    started_by: str = ""
    """Who or what started it, where `--started-by` told: `taxiway watch` and its reason, for one."""
    resume: str = ""
    """The command that goes on from where this run ended; empty where it ended well."""
    nodes: tuple[NodeRecord, ...] = ()
    gates: tuple[GateRecord, ...] = ()
    metrics: dict[str, tuple[MetricValues, ...]] = Field(default_factory=dict)
    """By evaluator node."""
    variants: tuple[VariantRecord, ...] = ()
    push: PushRecord | None = None
    log: str = ""
    report: str = ""
    """Path of the run's page, or why there is none."""
    unread: str = ""
    """Why results in an object store could not be read; empty where all were. Never in a summary."""

    @property
    def seconds(self) -> float | None:
        """Wall time; None while it runs or where it died."""
        return None if self.ended is None else self.ended - self.started

    def find_blocking_gate(self) -> GateRecord | None:
        """The first gate that said no."""
        return find_blocking_gate(self.gates)

    def find_overall(self, node: str) -> MetricValues | None:
        """What an evaluator measured on the whole split; None where it measured nothing."""
        return next((values for values in self.metrics.get(node, ()) if values.slice == OVERALL), None)

    def main_value(self) -> float | None:
        """The main metric of what would be served: of the optimized model where there is one."""
        overall = self.find_overall("OptimizedEvaluator") or self.find_overall("Evaluator")
        return overall.candidate.get(self.main_metric) if overall else None


def find_blocking_gate(gates: Iterable[GateRecord]) -> GateRecord | None:
    """The first gate that said no."""
    return next((gate for gate in gates if not gate.passed), None)


def decide_ending(gates: Iterable[GateRecord], push: PushRecord | None) -> tuple[RunState, int, str]:
    """State, exit code and reason of a run of which no node failed and none is under way."""
    gate = find_blocking_gate(gates)
    if gate:
        return "blocked", EXIT_BLOCKED, f"{gate.gate}: {gate.reason}"
    if push and push.candidate:
        return "done", EXIT_LIVE, push.reason
    if push and not push.is_live:
        return "blocked", EXIT_BLOCKED, f"Pusher: {push.reason}"
    return "live" if push else "done", EXIT_LIVE, ""


def write_summary(record: RunRecord, folder: Path) -> None:
    """Replaces the summary: a reader sees the old one or the new one, whole."""
    replace_file(folder / SUMMARY_FILE, record.model_dump_json(indent=2) + "\n")


def read_summary(folder: Path) -> RunRecord | None:
    """The summary of one run's folder, or None where there is none (yet).

    Raises:
        StoreError: The file is damaged or of a newer Taxiway.
    """
    path = folder / SUMMARY_FILE
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}.", "Check its rights.") from error
    try:
        content = json.loads(text)
        if isinstance(content, dict) and _is_newer(content.get("version")):
            raise StoreError(f"{path} was written by a newer Taxiway.", "Use that one to read it.")
        return RunRecord.model_validate(content)
    except (ValueError, RecursionError, ValidationError) as error:
        raise StoreError(
            f"{path} is damaged: {error}", "Remove the run's folder; ML Metadata keeps its lineage."
        ) from error


def _is_newer(version: object) -> bool:
    return isinstance(version, int) and version > SUMMARY_VERSION
