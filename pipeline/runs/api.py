"""Runs from Python: `run` executes the pipeline, `Run` reads what a run left under its root."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from taxiway.components.errors import TaxiwayError, UsageError, suggest_matches
from taxiway.environment import set_environment
from taxiway.pipeline.config import PipelineConfig
from taxiway.pipeline.lineage.api import LineageGraph
from taxiway.pipeline.root import DEFAULT_ROOT, Root
from taxiway.pipeline.runs.request import Orchestrator, RunRequest
from taxiway.pipeline.tracking import history
from taxiway.pipeline.tracking.run_record import (
    OVERALL,
    GateRecord,
    MetricValues,
    NodeRecord,
    RunRecord,
    VariantRecord,
)

EVALUATORS = ("OptimizedEvaluator", "Evaluator")
"""Nodes that evaluate, the one that judges what would be served first."""


class RunFailedError(TaxiwayError):
    """A node of a run failed.

    Attributes:
        run: The run as far as it came.
    """

    def __init__(self, run: Run) -> None:
        super().__init__(f"Run {run.id} failed: {run.reason}", f"The log: {run.log}")
        self.run = run
        self.exit_code = run.record.exit_code or 1


@dataclass(frozen=True)
class RunArtifact:
    """An artifact that a node of a run wrote, or took from the cache.

    Attributes:
        node: Id of the node, such as `Trainer`.
        output: Key of the output, such as `model`.
        type: Type in ML Metadata, such as `Model`.
        id: Id in ML Metadata.
        uri: Folder of the files.
        state: State in ML Metadata, such as `LIVE`.
    """

    node: str
    output: str
    type: str
    id: int
    uri: str
    state: str

    @property
    def path(self) -> Path:
        """The folder as a path; for artifacts on this machine."""
        return Path(self.uri)


@dataclass(frozen=True)
class Run:
    """A run, read from its root.

    Attributes:
        record: The run's record, as `summary.json` has it.
        root: The folder that the run wrote into.
    """

    record: RunRecord = field(repr=False)
    root: Root

    @classmethod
    def open(cls, root: str | Path = DEFAULT_ROOT, run_id: str | None = None) -> Run:
        """Reads one run.

        Args:
            root: Folder that holds everything a run writes.
            run_id: Id of the run or the start of it; the newest run where None.

        Raises:
            UsageError: There is no such run.
            StoreError: The run's summary or `metadata.db` is damaged.
        """
        opened = Root.at(root)
        return cls(history.find_run(opened, run_id), opened)

    @classmethod
    def list_all(cls, root: str | Path = DEFAULT_ROOT) -> list[Run]:
        """Reads all runs of a root, newest first.

        Raises:
            UsageError: There is no root.
            StoreError: `metadata.db` is damaged.
        """
        opened = Root.at(root)
        return [cls(record, opened) for record in history.list_runs(opened)]

    @property
    def id(self) -> str:
        return self.record.run_id

    @property
    def state(self) -> str:
        """`live`, `done` (a part was run), `blocked`, `failed`, `interrupted`, `running` or `unreadable`."""
        return self.record.state

    @property
    def reason(self) -> str:
        """Why it did not end live: the gate with its numbers, or the error."""
        return self.record.reason

    @property
    def nodes(self) -> dict[str, NodeRecord]:
        """How each node ended, by node id, in data order."""
        return {node.node: node for node in self.record.nodes}

    @property
    def gates(self) -> dict[str, GateRecord]:
        """What each gate decided, with its numbers, by node id."""
        return {gate.gate: gate for gate in self.record.gates}

    @property
    def metrics(self) -> dict[str, dict[str, MetricValues]]:
        """Metrics by evaluator node and slice; the whole split is the slice `overall`."""
        return {node: {values.slice: values for values in slices} for node, slices in self.record.metrics.items()}

    def find_metrics(self, slice: str = OVERALL) -> MetricValues:
        """The metrics of the model that would be served: of the optimized one where there is one.

        Args:
            slice: Name of the slice, such as `payment_type=Cash`.

        Raises:
            UsageError: The run evaluated no model, or there is no such slice.
        """
        slices = next((self.metrics[node] for node in EVALUATORS if node in self.metrics), {})
        if slice not in slices:
            raise UsageError(f"Run {self.id} has no metrics of the slice {slice!r}.", suggest_matches(slice, slices))
        return slices[slice]

    @property
    def variants(self) -> dict[str, VariantRecord]:
        """What the optimizer made and measured, by variant."""
        return {variant.variant: variant for variant in self.record.variants}

    @property
    def chosen_variant(self) -> VariantRecord | None:
        """The variant that the optimizer handed on."""
        return next((variant for variant in self.record.variants if variant.chosen), None)

    @property
    def artifacts(self) -> tuple[RunArtifact, ...]:
        """All artifacts of the run's nodes, read from ML Metadata.

        Raises:
            StoreError: `metadata.db` is damaged.
        """
        return tuple(RunArtifact(**artifact) for artifact in history.list_artifacts(self.root, self.record))

    def find_artifact(self, node: str, output: str) -> RunArtifact:
        """One artifact by the node and the output that it came from.

        Raises:
            UsageError: The run has no such artifact.
        """
        outputs = {f"{artifact.node}.{artifact.output}": artifact for artifact in self.artifacts}
        wanted = f"{node}.{output}"
        if wanted not in outputs:
            raise UsageError(f"Run {self.id} has no artifact {wanted}.", suggest_matches(wanted, outputs))
        return outputs[wanted]

    @property
    def version(self) -> int | None:
        """The version that the run pushed, or found live already; None where nothing was pushed."""
        return self.record.push.version if self.record.push else None

    @property
    def version_path(self) -> Path | None:
        """The version's folder; None where nothing was pushed."""
        return Path(self.record.push.path) if self.record.push and self.record.push.path else None

    @property
    def report(self) -> Path | None:
        """The report's page; None where it was not written (`record.report` says why)."""
        path = Path(self.record.report)
        return path if self.record.report and path.is_file() else None

    @property
    def log(self) -> Path:
        return Path(self.record.log)

    def open_lineage(self, *, downstream: bool = False) -> LineageGraph:
        """The lineage of everything that the run wrote.

        Args:
            downstream: Whether to follow what the run led to, instead of what it came from.
        """
        return LineageGraph.open(self.root.path, self.id, downstream=downstream)


def run(
    config: str | Path | PipelineConfig | None = None,
    root: str | Path = DEFAULT_ROOT,
    *,
    overrides: Iterable[str] = (),
    from_node: str | None = None,
    to_node: str | None = None,
    cache: bool = True,
    force: bool = False,
    wait: bool = True,
    orchestrator: Orchestrator = "local",
    quiet: bool = False,
) -> Run:
    """Runs the pipeline as `taxiway run` does, and returns the run.

    While nodes work, what they print goes into the run's log, and progress to standard output. A gate that blocks is
    no error: `state` is then `blocked`, and `reason` and `gates` say why.

    Args:
        config: Path of the configuration file, or a configuration made in Python; the taxi example's where None.
        root: Folder for everything that a run writes.
        overrides: Settings as `--set` takes them, such as `training.epochs=3`; of a file only.
        from_node: Id of the first node to run; what it reads comes from an earlier run.
        to_node: Id of the last node to run.
        cache: Whether nodes whose inputs have not changed reuse what they wrote before.
        force: Whether to run and push even if nothing changed; as `--force` on the command line.
        wait: Whether to wait while another run holds the root; it is refused otherwise.
        orchestrator: `local`, one node after the other, or `beam`, TFX's BeamDagRunner.
        quiet: Whether nothing is printed.

    Returns:
        The run. Where nothing has changed since the live version was pushed, the run that pushed it.

    Raises:
        UsageError: The configuration, the root or the chosen part is wrong; nothing was begun.
        RunFailedError: A node failed. Its `run` has the record.
        KeyboardInterrupt: The run was interrupted; running it again goes on.
    """
    set_environment()
    from taxiway.pipeline.runs import execute, interruption

    request = RunRequest(
        **_name_config(config, tuple(overrides)),
        root=Path(root),
        from_node=from_node,
        to_node=to_node,
        cache=cache,
        force=force,
        wait=wait,
        orchestrator=orchestrator,
        quiet=quiet,
    )
    others = [child.pid for child in psutil.Process().children(recursive=True)]
    record = execute.execute_run(
        request, lambda ended: interruption.kill_children(others) if ended.state == "interrupted" else None
    )
    return _check_ended(Run(record, Root.at(root)))


def _name_config(config: str | Path | PipelineConfig | None, overrides: tuple[str, ...]) -> dict[str, Any]:
    """The configuration's fields of a `RunRequest`."""
    if not isinstance(config, PipelineConfig):
        return {"config": Path(config) if config else None, "overrides": overrides}
    if overrides:
        raise UsageError(
            f"The overrides {', '.join(overrides)} were given beside a configuration made in Python.",
            "Give the path of a file, or load it with them: taxiway.load(path, overrides).",
        )
    return {"settings": config}


def _check_ended(ended: Run) -> Run:
    if ended.state == "interrupted":
        raise KeyboardInterrupt(f"{ended.reason}; run it again to go on")
    if ended.state == "failed":
        raise RunFailedError(ended)
    return ended
