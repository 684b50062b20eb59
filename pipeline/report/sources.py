"""What a run left, found through ML Metadata and read from the artifacts' own files. Everything may be missing: a run
that failed early has little to show, and what it has is shown."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from components.errors import TaxiwayError
from pipeline import history, record, retold
from pipeline.layout import Root
from pipeline.report import statistics
from pipeline.store import ArtifactRecord, ExecutionRecord, Store, knows_runs


@dataclass
class RunSources:
    """One run and the files of what it wrote or took from the cache.

    Attributes:
        root: Where it ran.
        run: Its record.
        executions: ML Metadata's, by node.
        outputs: Artifacts, by node and output.
    """

    root: Root
    run: record.RunRecord
    executions: Mapping[str, ExecutionRecord] = field(default_factory=dict)
    outputs: Mapping[tuple[str, str], ArtifactRecord] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Root, run_id: str | None) -> RunSources:
        """The run of that id (or the start of one); the newest where None.

        Raises:
            UsageError: There is no such run.
            StoreError: `metadata.db` or the run's record is damaged.
        """
        run = history.find(root, run_id)
        if not knows_runs(root):
            return cls(root, run)
        store = Store.of(root)
        executions = {execution.node: execution for execution in store.executions(run.run_id)}
        outputs = {
            (node, artifact.key): artifact
            for node, execution in executions.items()
            for artifact in store.outputs(execution.id)
        }
        return cls(root, run, executions, outputs)

    def folder(self, node: str, output: str) -> Path | None:
        """Where an output lies; None where the run has none or its files are gone."""
        artifact = self.outputs.get((node, output))
        return Path(artifact.uri) if artifact and Path(artifact.uri).is_dir() else None

    def json(self, node: str, output: str, name: str) -> dict[str, Any]:
        """A JSON object among an output's files; empty where there is none or it is damaged."""
        folder = self.folder(node, output)
        with contextlib.suppress(OSError, ValueError):
            content = json.loads((folder / name).read_text(encoding="utf-8")) if folder else {}
            return content if isinstance(content, dict) else {}
        return {}

    @cached_property
    def statistics(self) -> dict[str, statistics.Split]:
        folder = self.folder("StatisticsGen", "statistics")
        return statistics.read(folder) if folder else {}

    @cached_property
    def schema(self) -> dict[str, str]:
        """Column to its definition in one line; what is said of no column stands under the empty name."""
        folder = self.folder("SchemaGen", "schema")
        return read_schema(folder / "schema.pbtxt") if folder else {}

    @cached_property
    def config(self) -> dict[str, Any]:
        """The run's whole configuration; what its executions were told where it left no file."""
        with contextlib.suppress(OSError, yaml.YAMLError):
            content = yaml.safe_load((self.root.run(self.run.run_id) / record.CONFIG_FILE).read_text(encoding="utf-8"))
            return content if isinstance(content, dict) else {}
        return retold.config(self.executions.values())

    @cached_property
    def code(self) -> dict[str, str]:
        """Fingerprint of each node's code, where it was recorded."""
        known = {node: execution.properties.get("taxiway_code") for node, execution in self.executions.items()}
        return {node: str(value) for node, value in known.items() if value}

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the label's classes in the order of the scores; empty where it has none."""
        examples = self.outputs.get(("ExampleGen", "examples"))
        with contextlib.suppress(ValueError, TypeError, KeyError):
            return tuple(str(name) for name in json.loads(examples.properties["classes"])) if examples else ()
        return ()

    def previous(self) -> RunSources | None:
        """The newest earlier run that read other data, else the newest earlier one with statistics."""
        if not knows_runs(self.root):
            return None
        mine = self._examples()
        older: RunSources | None = None
        ids = history.run_ids(self.root)
        for run_id in ids[ids.index(self.run.run_id) + 1 :][:EARLIER] if self.run.run_id in ids else ():
            with contextlib.suppress(TaxiwayError):
                found = RunSources.of(self.root, run_id)
                if found.statistics and found._examples() != mine:
                    return found
                older = older or (found if found.statistics else None)
        return older

    def same_data(self, other: RunSources) -> bool:
        """Whether both runs read the very same examples."""
        return self._examples() is not None and self._examples() == other._examples()

    def _examples(self) -> int | None:
        artifact = self.outputs.get(("ExampleGen", "examples"))
        return artifact.id if artifact else None


EARLIER = 25
"""Runs looked back for other data."""


def read_schema(path: Path) -> dict[str, str]:
    """A schema's columns in one line each; empty where it cannot be read."""
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    try:
        schema = text_format.Parse(path.read_text(encoding="utf-8"), schema_pb2.Schema())
    except (OSError, text_format.ParseError):
        return {}
    domains = {each.name: each for each in schema.string_domain}
    return {feature.name: _definition(feature, domains) for feature in schema.feature}


def _definition(feature: Any, domains: Mapping[str, Any]) -> str:
    from google.protobuf import text_format

    plain = type(feature)()
    plain.CopyFrom(feature)
    plain.ClearField("name")
    words = " ".join(text_format.MessageToString(plain, as_one_line=True).split())
    domain = domains.get(feature.domain)
    return f"{words}; values: {', '.join(sorted(domain.value))}" if domain else words


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested sections as `{"a.b": value}`."""
    if isinstance(value, dict) and value:
        return {k: v for name, inner in value.items() for k, v in flat(inner, f"{prefix}.{name}".lstrip(".")).items()}
    return {prefix: value}


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """`(name, before, after)` of everything that differs; None where one side has nothing."""
    names = sorted({*before, *after})
    return [(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)]
