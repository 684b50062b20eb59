"""Executors of the gates: artifacts to protos, verdicts to artifacts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils

from components import progress, schemas
from components.errors import TaxiwayError
from components.gates import data_gate, drift, driver, kept, schema
from components.gates.config import GatesConfig
from components.gates.verdict import Finding


class DataGateExecutor(base_executor.BaseExecutor):
    """Reads anomalies and statistics, compares with earlier data, writes the verdict."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        anomalies = artifact_utils.get_single_instance(input_dict["anomalies"])
        statistics = _read_statistics(input_dict)
        curated = schemas.read(artifact_utils.get_single_uri(input_dict["schema"]))
        data = driver.data_id(artifact_utils.get_single_instance(input_dict["examples"]))
        record = data_gate.judge(
            statistics,
            {split: _read_anomalies(anomalies.uri, split) for split in statistics},
            exec_properties["label"],
            exec_properties["task"],
            GatesConfig.model_validate_json(exec_properties["config"]),
            data_gate.ClassOrder(
                data=_classes(input_dict),
                schema=schemas.class_labels(curated, exec_properties["label"]),
            ),
            _compared(statistics, curated, exec_properties, data),
            _notes(input_dict),
        )
        verdict = artifact_utils.get_single_instance(output_dict["verdict"])
        Path(verdict.uri).mkdir(parents=True, exist_ok=True)
        record.write(verdict.uri)
        verdict.set_int_custom_property("passed", int(record.passed))
        verdict.set_string_custom_property("reason", record.reason)
        if record.passed:
            _keep(Path(exec_properties["kept"]), data, statistics["train"], exec_properties)


class SchemaExecutor(base_executor.BaseExecutor):
    """Hands on the curated schema; where there is none, infers it and leaves it beside the configuration."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        path = Path(exec_properties["path"]) if exec_properties["path"] else None
        text = exec_properties["edited"] or (path.read_text(encoding="utf-8") if path and path.exists() else "")
        if text:
            schema.from_text(text, str(path or "the curated schema"))
        else:
            label, examples = exec_properties["label"], artifact_utils.get_single_instance(input_dict["examples"])
            kinds = json.loads(examples.get_string_custom_property("kinds") or "{}")
            inferred = schema.infer(_read_statistics(input_dict), label, _classes(input_dict), kinds)
            fingerprint = examples.get_string_custom_property("input_fingerprint")
            text = schema.to_text(inferred, exec_properties["configuration"], fingerprint, label)
            _leave_beside_configuration(path, text)
        uri = artifact_utils.get_single_uri(output_dict["schema"])
        Path(uri).mkdir(parents=True, exist_ok=True)
        Path(uri, schemas.SCHEMA_FILE).write_text(text, encoding="utf-8")


def _compared(
    statistics: Mapping[str, Any], curated: Any, properties: dict[str, Any], data: kept.DataId
) -> list[drift.Compared]:
    """Drift and skew, as configured."""
    config = GatesConfig.model_validate_json(properties["config"])
    left_out = frozenset(json.loads(properties["left_out"]))
    train, made = statistics["train"], []
    for kind, reference in driver.references(properties, data).items():
        if reference.file is None:
            made.append(drift.without_reference(kind, reference))
        elif kind == "drift":
            made.append(
                drift.compare("drift", train, reference.statistics(), curated, config, reference.what, left_out)
            )
        else:
            made.append(drift.compare("skew", reference.statistics(), train, curated, config, reference.what, left_out))
    if config.skew.against == "eval":
        made.append(drift.compare("skew", train, statistics["eval"], curated, config, "the split 'eval'", left_out))
    return made


def _keep(folder: Path, data: kept.DataId, train: Any, properties: dict[str, Any]) -> None:
    """Keeps the training statistics for later runs. Where nothing is compared they are not worth failing for."""
    try:
        kept.keep(folder, data, train)
    except OSError as error:
        if GatesConfig.model_validate_json(properties["config"]).looks_back:
            raise TaxiwayError(
                f"The training statistics cannot be kept in {folder}: {error.strerror or error}.",
                "Make the folder writable, or set gates.drift.against and gates.skew.against to none.",
            ) from error
        progress.report("DataGate", f"statistics not kept in {folder}: {error.strerror or error}")


def _classes(input_dict: dict[str, list[Artifact]]) -> tuple[str, ...]:
    """The classes in the order in which ExampleGen numbered them; none for a regression."""
    examples = artifact_utils.get_single_instance(input_dict["examples"])
    return tuple(json.loads(examples.get_string_custom_property("classes") or "[]"))


def _notes(input_dict: dict[str, list[Artifact]]) -> list[Finding]:
    """What ExampleGen noted of the rows and their split."""
    examples = artifact_utils.get_single_instance(input_dict["examples"])
    notes = json.loads(examples.get_string_custom_property("notes") or "[]")
    return [Finding(**note, blocking=False) for note in notes]


def _leave_beside_configuration(path: Path | None, text: str) -> None:
    try:
        if path and schema.write_if_absent(path, text):
            progress.report("SchemaGen", f"inferred {path}: curate it and commit it")
    except OSError as error:  # a read-only configuration folder costs the file, not the run
        progress.report("SchemaGen", f"inferred, but {path} cannot be written ({error.strerror}); the artifact has it")


def _read_statistics(input_dict: dict[str, list[Artifact]]) -> dict[str, Any]:
    statistics = artifact_utils.get_single_instance(input_dict["statistics"])
    splits = artifact_utils.decode_split_names(statistics.split_names)
    return {split: stats_artifact_utils.load_statistics(statistics, split).proto() for split in splits}


def _read_anomalies(uri: str, split: str) -> anomalies_pb2.Anomalies:
    path = Path(uri, f"Split-{split}", "SchemaDiff.pb")
    return anomalies_pb2.Anomalies.FromString(path.read_bytes())
