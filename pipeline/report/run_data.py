"""What a run left: its artifacts, found through ML Metadata, and their files.

Anything may be missing: a run that failed early shows what it has.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import text_format

from taxiway.components.errors import TaxiwayError
from taxiway.components.files.versioned_report import ReportFormat
from taxiway.pipeline.report import statistics
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking import artifact_files, history, reconstruction, run_record
from taxiway.pipeline.tracking.store.execution_store import KEPT
from taxiway.pipeline.tracking.store.metadata_store import RunStore, StoredArtifact, StoredExecution, has_runs

EARLIER = 25
"""Earlier runs that are searched for other data."""


@dataclass
class RunData:
    """One run, and the artifacts that it wrote or took from the cache.

    Attributes:
        root: Root of the run.
        run: Record of the run.
        executions: ML Metadata's executions by node.
        outputs: Artifacts by node and output.
        without_scores: Why the page is made without scores that it would have to wait for; empty where it waits.
    """

    root: Root
    run: run_record.RunRecord
    executions: Mapping[str, StoredExecution] = field(default_factory=dict)
    outputs: Mapping[tuple[str, str], StoredArtifact] = field(default_factory=dict)
    without_scores: str = ""

    @classmethod
    def open_run(cls, root: Root, run_id: str | None) -> RunData:
        """Opens the run of an id, or of the start of one; the newest run where None.

        Raises:
            UsageError: There is no such run.
            StoreError: `metadata.db` or the run's record is damaged.
        """
        run = history.find_run(root, run_id)
        if not has_runs(root):
            return cls(root, run)
        store = RunStore.open_root(root)
        executions = {execution.node: execution for execution in store.list_run_executions(run.run_id)}
        outputs = {
            (node, artifact.key): artifact
            for node, execution in executions.items()
            for artifact in store.list_outputs(execution.id)
        }
        return cls(root, run, executions, outputs)

    def find_artifact_folder(self, node: str, output: str, names: Iterable[str] = ("*",)) -> Path | None:
        """Folder of an output; None where the run has no such output or its files are gone.

        Args:
            node: Id of the node.
            output: Name of its output.
            names: Patterns of the files that are wanted; others in an object store are not downloaded.

        Raises:
            StoreError: They are in an object store that cannot be read.
        """
        artifact = self.outputs.get((node, output))
        folder = artifact_files.find_folder(artifact.uri, names) if artifact else None
        return folder if folder and folder.is_dir() else None

    def find_folder(self, node: str, output: str, names: Iterable[str] = ("*",)) -> Path | None:
        """Folder of an output, or of what its node kept of it; None where the run has neither.

        What was kept comes before what would have to be downloaded; `names` as for `find_artifact_folder`.
        """
        artifact, kept = self.outputs.get((node, output)), self.find_kept_folder(node, output)
        is_here = artifact is not None and Path(artifact.uri).is_dir()
        if kept and not is_here and any(True for name in names for _ in (kept / output).glob(name)):
            return kept / output
        return self.find_artifact_folder(node, output, names)

    def find_kept_folder(self, node: str, output: str) -> Path | None:
        """Where the node that wrote an output kept its small results; None where it kept none."""
        artifact = self.outputs.get((node, output))
        kept = artifact.properties.get(KEPT) if artifact else None
        return Path(kept) if kept else None

    def read_json(self, report: ReportFormat, node: str, output: str, name: str) -> dict[str, Any]:
        """A JSON object among an output's files; empty where there is none or it is damaged.

        Raises:
            TaxiwayError: It has another format version.
        """
        folder = self.find_folder(node, output, (name,))
        with contextlib.suppress(OSError, ValueError):
            content = report.read_report(folder / name) if folder else {}
            return content if isinstance(content, dict) else {}
        return {}

    @cached_property
    def statistics(self) -> dict[str, statistics.SplitStatistics]:
        folder = self.find_folder("StatisticsGen", "statistics")
        return statistics.read_splits(folder) if folder else {}

    @cached_property
    def schema(self) -> dict[str, str]:
        """Each column's definition in one line."""
        folder = self.find_folder("SchemaGen", "schema")
        return read_schema_lines(folder / "schema.pbtxt") if folder else {}

    @cached_property
    def config(self) -> dict[str, Any]:
        """The run's configuration; where it left no file, the sections that its executions were given."""
        with contextlib.suppress(OSError, yaml.YAMLError):
            content = yaml.safe_load(
                (self.root.run_folder(self.run.run_id) / run_record.CONFIG_FILE).read_text(encoding="utf-8")
            )
            return content if isinstance(content, dict) else {}
        return reconstruction.reconstruct_config(self.executions.values())

    @cached_property
    def code(self) -> dict[str, str]:
        """Fingerprint of each node's code, where it was recorded."""
        fingerprints = {node: execution.properties.get("taxiway_code") for node, execution in self.executions.items()}
        return {node: str(value) for node, value in fingerprints.items() if value}

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the label's classes in the order of the scores; empty where it has none."""
        examples = self.outputs.get(("ExampleGen", "examples"))
        with contextlib.suppress(OSError, ValueError, TypeError):
            return tuple(str(name) for name in json.loads(self._read_classes_text())) if examples else ()
        return ()

    def _read_classes_text(self) -> str:
        """Long texts are files of the artifact (`taxiway.components.long_properties`)."""
        properties, folder = (
            self.outputs["ExampleGen", "examples"].properties,
            self.find_folder("ExampleGen", "examples"),
        )
        if "classes" in properties or folder is None:
            return str(properties.get("classes") or "[]")
        return (folder / "classes.json").read_text(encoding="utf-8")

    def find_previous(self) -> RunData | None:
        """The newest earlier run that read other data, else the newest earlier one with statistics."""
        if not has_runs(self.root):
            return None
        mine = self._find_examples_id()
        older: RunData | None = None
        ids = history.list_run_ids(self.root)
        for run_id in ids[ids.index(self.run.run_id) + 1 :][:EARLIER] if self.run.run_id in ids else ():
            with contextlib.suppress(TaxiwayError):
                earlier = RunData.open_run(self.root, run_id)
                if earlier.statistics and earlier._find_examples_id() != mine:
                    return earlier
                older = older or (earlier if earlier.statistics else None)
        return older

    def has_same_data(self, other: RunData) -> bool:
        """Whether both runs read the same examples artifact."""
        return self._find_examples_id() is not None and self._find_examples_id() == other._find_examples_id()

    def list_drift(self, before: RunData) -> list[tuple[str, str, float, str]]:
        """Columns of both runs that moved since `before`, the farthest first.

        Returns:
            Split, column, how far it moved, by which measure; see `statistics.measure_drift`.
        """
        drift = []
        for split in sorted(before.statistics.keys() & self.statistics.keys()):
            old_columns, new_columns = before.statistics[split].columns, self.statistics[split].columns
            for name in sorted(old_columns.keys() & new_columns.keys()):
                moved, measure = statistics.measure_drift(old_columns[name], new_columns[name])
                if moved > 0:
                    drift.append((split, name, moved, measure))
        return sorted(drift, key=lambda each: -each[2])

    def _find_examples_id(self) -> int | None:
        artifact = self.outputs.get(("ExampleGen", "examples"))
        return artifact.id if artifact else None


def read_schema_lines(path: Path) -> dict[str, str]:
    """A schema's columns in one line each; empty where it cannot be read."""
    from tensorflow_metadata.proto.v0 import schema_pb2

    try:
        schema = text_format.Parse(path.read_text(encoding="utf-8"), schema_pb2.Schema())
    except (OSError, text_format.ParseError):
        return {}
    domains = {each.name: each for each in schema.string_domain}
    return {feature.name: _describe_feature(feature, domains) for feature in schema.feature}


def _describe_feature(feature: Any, domains: Mapping[str, Any]) -> str:
    plain = type(feature)()
    plain.CopyFrom(feature)
    plain.ClearField("name")
    words = " ".join(text_format.MessageToString(plain, as_one_line=True).split())
    domain = domains.get(feature.domain)
    return f"{words}; values: {', '.join(sorted(domain.value))}" if domain else words
