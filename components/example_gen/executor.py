"""Artifacts to paths, and the stages of `ingest` onto Beam."""

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

from components import errors
from components.artifacts import ROWS_PREFIX
from components.example_gen.config import DataConfig, LabelConfig
from components.example_gen.ingest import Ingested, Job, Stage, ingest
from components.example_gen.split import SPLITS
from components.example_gen.writing import writable
from components.tables.files import fingerprint, is_remote

_LITTLE_BYTES = 1 << 16
CLASSES_PROPERTY = "classes"
"""Custom property of the examples: the label's classes in the order of their indices, a JSON list."""
KINDS_PROPERTY = "kinds"
"""Custom property of the examples: how each column was read, a JSON object."""
NOTES_PROPERTY = "notes"
"""Custom property of the examples: what a person should know of them, a JSON list of `notes.Note`."""


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
            known = json.loads(exec_properties.get("schema") or '{"kinds": {}}')["kinds"]
            done = ingest(data, label, artifact.uri, on_beam(self._make_beam_pipeline, workspace), known)
        finally:
            for folder in (workspace, f"{artifact.uri}/.writing"):
                if gfile.exists(folder):
                    gfile.rmtree(folder)
        _describe(artifact, done, exec_properties, data)


def _describe(artifact: types.Artifact, done: Ingested, properties: dict[str, Any], data: DataConfig) -> None:
    """What stock components read: splits, formats, span, fingerprint."""
    artifact.split_names = artifact_utils.encode_split_names(list(SPLITS))
    examples_utils.set_payload_format(artifact, example_gen_pb2.FORMAT_TF_EXAMPLE)
    examples_utils.set_file_format(artifact, "tfrecords_gzip")
    digest = properties.get(FINGERPRINT_PROPERTY_NAME) or fingerprint(data).digest
    artifact.set_string_custom_property(FINGERPRINT_PROPERTY_NAME, digest)
    artifact.set_int_custom_property(SPAN_PROPERTY_NAME, done.span)
    artifact.set_string_custom_property(CLASSES_PROPERTY, json.dumps(done.classes, ensure_ascii=False))
    artifact.set_string_custom_property(KINDS_PROPERTY, json.dumps(done.columns, ensure_ascii=False))
    notes = json.dumps([asdict(note) for note in done.notes], ensure_ascii=False)
    artifact.set_string_custom_property(NOTES_PROPERTY, notes)
    for key, count in done.rows.items():
        artifact.set_int_custom_property(f"{ROWS_PREFIX}{key}", count)


def on_beam(
    make_pipeline: Callable[[], beam.Pipeline], workspace: str
) -> Callable[[Stage, Sequence[Job]], list[dict[str, Any]]]:
    """Runs a stage as a Beam pipeline, one element a file.

    Results come back through files, the only way that every runner has. Our own errors come back as values, because
    a runner wraps what a worker raises in text.
    """

    def run(stage: Stage, jobs: Sequence[Job]) -> list[dict[str, Any]]:
        folder = f"{workspace}/{stage.__name__}-{uuid.uuid4().hex[:8]}"
        with writable(workspace):
            gfile.makedirs(folder)
        try:
            with make_pipeline() as pipeline:
                created = pipeline | "Files" >> beam.Create(list(enumerate(jobs)))
                spread = created | "Spread" >> beam.Reshuffle() if len(jobs) > 1 else created
                _ = spread | stage.__name__ >> beam.Map(_attempt, stage, folder)
        except RuntimeError as error:
            _check_full(workspace, error)
            raise
        return [_result(f"{folder}/{i}.json") for i in range(len(jobs))]

    return run


def _check_full(workspace: str, error: RuntimeError) -> None:
    """On a full disk not even an error's file can be written, and the runner raises its own."""
    if not is_remote(workspace) and shutil.disk_usage(workspace).free < _LITTLE_BYTES:
        raise errors.TaxiwayError(
            f"The examples cannot be written to {workspace}: no space is left on the disk.",
            "Free some, or choose another --root.",
        ) from error


def _attempt(numbered: tuple[int, Job], stage: Stage, folder: str) -> None:
    """Runs a stage on one file and writes its result, or the error it raised."""
    number, job = numbered
    try:
        answer: dict[str, Any] = {"result": stage(job)}
    except errors.TaxiwayError as error:
        answer = {"class": _public_class(error), "problem": error.problem, "remedy": error.remedy}
    temporary = f"{folder}/{number}-{uuid.uuid4().hex}.tmp"
    with gfile.GFile(temporary, "w") as out:
        out.write(json.dumps(answer))
    gfile.rename(temporary, f"{folder}/{number}.json", overwrite=True)


def _public_class(error: errors.TaxiwayError) -> str:
    """The nearest class that `components.errors` names."""
    return next(each.__name__ for each in type(error).__mro__ if hasattr(errors, each.__name__))


def _result(path: str) -> dict[str, Any]:
    with gfile.GFile(path, "r") as file:
        answer = json.loads(file.read())
    if "class" in answer:
        raise getattr(errors, answer["class"])(answer["problem"], answer["remedy"])
    return dict(answer["result"])
