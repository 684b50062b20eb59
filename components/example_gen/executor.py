"""The executor of TabularExampleGen: artifacts to paths; the stages of `ingest_data` run on Beam."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import apache_beam as beam
from tensorflow.io import gfile
from tfx import types
from tfx.components.example_gen.utils import FINGERPRINT_PROPERTY_NAME, SPAN_PROPERTY_NAME
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils
from tfx.types.standard_component_specs import EXAMPLES_KEY

from taxiway.components import errors
from taxiway.components.artifacts import ROWS_PREFIX
from taxiway.components.beam.options import runs_on_engine
from taxiway.components.example_gen.config import DataConfig, LabelConfig
from taxiway.components.example_gen.ingest import IngestResult, ingest_data
from taxiway.components.example_gen.stages.jobs import Job, Run, Stage, run_in_threads
from taxiway.components.example_gen.writing import explain_write_errors
from taxiway.components.long_properties import write_text
from taxiway.components.tables.sources.fingerprint import fingerprint_files
from taxiway.components.tables.sources.open_files import is_remote
from taxiway.components.tfx_artifacts import write_class_rows

_LITTLE_BYTES = 1 << 16
CLASSES_PROPERTY = "classes"
"""Text of the examples (`long_properties`): the label's classes in the order of their indices, a JSON list."""
KINDS_PROPERTY = "kinds"
"""Text of the examples: how each column was read, a JSON object."""
NOTES_PROPERTY = "notes"
"""Text of the examples: what a person should know of them, a JSON list of `notes.DataNote`."""


class TabularExampleGenExecutor(base_beam_executor.BaseBeamExecutor):
    """Writes a standard `Examples` artifact."""

    def Do(  # noqa: N802  (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the component; raises ConfigError and DataError."""
        artifact = artifact_utils.get_single_instance(output_dict[EXAMPLES_KEY])
        data = DataConfig.model_validate_json(exec_properties["data"])
        label = LabelConfig.model_validate_json(exec_properties["label"])
        workspace = f"{artifact.uri}/.stages"
        try:
            schema_kinds = json.loads(exec_properties.get("schema") or '{"kinds": {}}')["kinds"]
            result = ingest_data(data, label, artifact.uri, self._choose_runner(workspace), schema_kinds)
        finally:
            for folder in (workspace, f"{artifact.uri}/.writing"):
                if gfile.exists(folder):
                    gfile.rmtree(folder)
        _set_properties(artifact, result, exec_properties, data)

    def _choose_runner(self, workspace: str) -> Run:
        """An engine's workers, or the threads of this process, for which a Beam pipeline a stage is only overhead."""
        if runs_on_engine(self._make_beam_pipeline()):
            return make_stage_runner(self._make_beam_pipeline, workspace)
        return run_in_threads


def _set_properties(
    artifact: types.Artifact, result: IngestResult, properties: dict[str, Any], data: DataConfig
) -> None:
    """What stock components read: splits, formats, span, fingerprint."""
    artifact.split_names = artifact_utils.encode_split_names(list(result.class_rows))
    examples_utils.set_payload_format(artifact, example_gen_pb2.FORMAT_TF_EXAMPLE)
    examples_utils.set_file_format(artifact, "tfrecords_gzip")
    digest = properties.get(FINGERPRINT_PROPERTY_NAME) or fingerprint_files(data).digest
    artifact.set_string_custom_property(FINGERPRINT_PROPERTY_NAME, digest)
    artifact.set_int_custom_property(SPAN_PROPERTY_NAME, result.span)
    write_text(artifact, CLASSES_PROPERTY, json.dumps(result.classes, ensure_ascii=False))
    if result.classes:
        write_class_rows(artifact, result.class_rows)
    write_text(artifact, KINDS_PROPERTY, json.dumps(result.columns, ensure_ascii=False))
    notes = json.dumps([asdict(note) for note in result.notes], ensure_ascii=False)
    write_text(artifact, NOTES_PROPERTY, notes)
    for key, count in result.rows.items():
        artifact.set_int_custom_property(f"{ROWS_PREFIX}{key}", count)


def make_stage_runner(
    make_pipeline: Callable[[], beam.Pipeline], workspace: str
) -> Callable[[Stage, Sequence[Job]], list[dict[str, Any]]]:
    """Runs a stage as a Beam pipeline, one element a file.

    Results come back through files, the only way that every runner has. Our own errors come back as values, because
    a runner wraps what a worker raises in text.
    """

    def run_stage(stage: Stage, jobs: Sequence[Job]) -> list[dict[str, Any]]:
        folder = f"{workspace}/{stage.__name__}-{uuid.uuid4().hex[:8]}"
        with explain_write_errors(workspace):
            gfile.makedirs(folder)
        try:
            with make_pipeline() as pipeline:
                created = pipeline | "Files" >> beam.Create(list(enumerate(jobs)))
                spread = created | "Spread" >> beam.Reshuffle() if len(jobs) > 1 else created
                _ = spread | stage.__name__ >> beam.Map(_run_job, stage, folder)
        except RuntimeError as error:
            _check_disk_space(workspace, error)
            raise
        return [_read_result(f"{folder}/{i}.json") for i in range(len(jobs))]

    return run_stage


def _check_disk_space(workspace: str, error: RuntimeError) -> None:
    """On a full disk not even an error's file can be written, and the runner raises its own."""
    if not is_remote(workspace) and shutil.disk_usage(workspace).free < _LITTLE_BYTES:
        raise errors.TaxiwayError(
            f"The examples cannot be written to {workspace}: no space is left on the disk.",
            "Free some, or choose another --root.",
        ) from error


def _run_job(numbered: tuple[int, Job], stage: Stage, folder: str) -> None:
    """Runs a stage on one file and writes its result, or the error it raised."""
    number, job = numbered
    try:
        answer: dict[str, Any] = {"result": stage(job)}
    except errors.TaxiwayError as error:
        answer = errors.serialize_error(error)
    temporary = f"{folder}/{number}-{uuid.uuid4().hex}.tmp"
    with gfile.GFile(temporary, "w") as out:
        out.write(json.dumps(answer))
    gfile.rename(temporary, f"{folder}/{number}.json", overwrite=True)


def _read_result(path: str) -> dict[str, Any]:
    with gfile.GFile(path, "r") as file:
        answer = json.loads(file.read())
    if error := errors.rebuild_error(answer):
        raise error
    return dict(answer["result"])
