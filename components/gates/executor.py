"""The data gate's executor: artifacts to protos, the verdict to its artifact."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils

from taxiway.components import artifacts, schema_file, tfx_artifacts
from taxiway.components.contract import TEST_SPLIT
from taxiway.components.errors import TaxiwayError
from taxiway.components.gates import data_gate, drift, driver, reference_statistics
from taxiway.components.gates.config import GatesConfig
from taxiway.components.gates.verdict import GateFinding
from taxiway.components.long_properties import read_text
from taxiway.components.processes import progress


class DataGateExecutor(base_executor.BaseExecutor):
    """Reads anomalies and statistics, compares with earlier data, writes the verdict."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        anomalies = artifact_utils.get_single_instance(input_dict["anomalies"])
        statistics = tfx_artifacts.read_statistics(input_dict)
        curated = schema_file.read_schema(artifact_utils.get_single_uri(input_dict["schema"]))
        data = driver.identify_data(artifact_utils.get_single_instance(input_dict["examples"]))
        record = data_gate.judge_data(
            statistics,
            {split: _read_anomalies(anomalies.uri, split) for split in statistics},
            exec_properties["label"],
            exec_properties["task"],
            GatesConfig.model_validate_json(exec_properties["config"]),
            data_gate.ClassOrder(
                data=tfx_artifacts.read_classes(input_dict),
                schema=schema_file.read_class_labels(curated, exec_properties["label"]),
            ),
            _compare_statistics(statistics, curated, exec_properties, data),
            _read_notes(input_dict),
            artifacts.read_row_counts(input_dict["examples"], [TEST_SPLIT]),
        )
        verdict = artifact_utils.get_single_instance(output_dict["verdict"])
        Path(verdict.uri).mkdir(parents=True, exist_ok=True)
        record.write_verdict(verdict.uri)
        verdict.set_int_custom_property("passed", int(record.passed))
        verdict.set_string_custom_property("reason", record.reason)
        if record.passed:
            _keep_statistics(Path(exec_properties["statistics_directory"]), data, statistics["train"], exec_properties)


def _compare_statistics(
    statistics: Mapping[str, Any], curated: Any, properties: dict[str, Any], data: reference_statistics.DataId
) -> list[drift.Comparison]:
    """Drift and skew, as configured."""
    config = GatesConfig.model_validate_json(properties["config"])
    left_out = frozenset(json.loads(properties["left_out"]))
    train, comparisons = statistics["train"], []
    for kind, reference in driver.find_references(properties, data).items():
        if reference.file is None:
            comparisons.append(drift.skip_comparison(kind, reference))
        elif kind == "drift":
            comparisons.append(
                drift.compare_distributions(
                    "drift", train, reference.read_statistics(), curated, config, reference.what, left_out
                )
            )
        else:
            comparisons.append(
                drift.compare_distributions(
                    "skew", reference.read_statistics(), train, curated, config, reference.what, left_out
                )
            )
    if config.skew.against == "eval":
        comparisons.append(
            drift.compare_distributions(
                "skew", train, statistics["eval"], curated, config, "the split 'eval'", left_out
            )
        )
    return comparisons


def _keep_statistics(folder: Path, data: reference_statistics.DataId, train: Any, properties: dict[str, Any]) -> None:
    """Keeps the training statistics for later runs. Where nothing is compared they are not worth failing for."""
    try:
        reference_statistics.keep_statistics(folder, data, train)
    except OSError as error:
        if GatesConfig.model_validate_json(properties["config"]).looks_back:
            raise TaxiwayError(
                f"The training statistics cannot be kept in {folder}: {error.strerror or error}.",
                "Make the folder writable, or set gates.drift.against and gates.skew.against to none.",
            ) from error
        progress.report_progress("DataGate", f"statistics not kept in {folder}: {error.strerror or error}")


def _read_notes(input_dict: dict[str, list[Artifact]]) -> list[GateFinding]:
    """What ExampleGen noted of the rows and their split."""
    examples = artifact_utils.get_single_instance(input_dict["examples"])
    notes = json.loads(read_text(examples, "notes") or "[]")
    return [GateFinding(**note, blocking=False) for note in notes]


def _read_anomalies(uri: str, split: str) -> anomalies_pb2.Anomalies:
    path = Path(uri, f"Split-{split}", "SchemaDiff.pb")
    return anomalies_pb2.Anomalies.FromString(path.read_bytes())
