"""What runs in the container of `DataDigest`: reads the data, writes two parameters, leaves a record."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from taxiway.components.errors import TaxiwayError
from taxiway.components.example_gen.config import DataConfig
from taxiway.components.tables.sources.fingerprint import fingerprint_files
from taxiway.components.tables.sources.scheduled_spans import resolve_spans
from taxiway.environment import set_environment
from taxiway.pipeline.exit_codes import EXIT_FAILED
from taxiway.pipeline.kubeflow import packed_properties, parameters, pod_folders
from taxiway.pipeline.kubeflow.data_digest.task import DIGEST, INPUT_OPTION, NODE, SPANS
from taxiway.pipeline.tracking.store import execution_record

EXECUTOR = "taxiway.pipeline.kubeflow.data_digest.program"


def digest_data(values: Mapping[str, Any]) -> dict[str, str]:
    """Digest and spans of the data as it is now.

    Args:
        values: Parameters of the task: the section `data`, and the run's own.

    Raises:
        DataError: The data is not there, or cannot be read.
    """
    data = DataConfig.model_validate_json(parameters.apply_parameters(values)["data"])
    spans = resolve_spans(data, str(values.get(parameters.SCHEDULED_TIME.input, "")))
    content = fingerprint_files(data.model_copy(update={"spans": spans}))
    print(f"{content.files} files, {content.size_bytes} bytes, spans {spans}: digest {content.digest}")
    return {DIGEST: content.digest, SPANS: spans}


def run_step(executor_input: Mapping[str, Any]) -> None:
    """Writes the parameters where the launcher reads them, and an execution record under the root.

    Args:
        executor_input: `ExecutorInput` of the backend, as JSON values.

    Raises:
        TaxiwayError: The data cannot be read; the record says why.
    """
    values = executor_input["inputs"]["parameterValues"]
    pod_folders.prepare_pod(values.get(parameters.ROOT.input))
    started, written, error = time.time(), {}, ""
    try:
        written = digest_data(values)
        for name, place in executor_input["outputs"]["parameters"].items():
            Path(place["outputFile"]).parent.mkdir(parents=True, exist_ok=True)
            Path(place["outputFile"]).write_text(written[name], encoding="utf-8")
    except BaseException as problem:
        error = f"{type(problem).__name__}: {problem}"
        raise
    finally:
        _leave_record(values, started, written, error)


def _leave_record(values: Mapping[str, Any], started: float, written: dict[str, str], error: str) -> None:
    root = values.get(parameters.ROOT.input)
    if not root:
        return
    record = execution_record.ExecutionRecord(
        run_id=values["run_id"],
        pipeline=values["pipeline"],
        node=NODE,
        executor=EXECUTOR,
        state="failed" if error else "complete",
        started=started,
        finished=time.time(),
        error=error,
        properties=written,
        parameters=parameters.select_run_parameters(values),
    )
    execution_record.write_record(root, record)


def _unpack_values(executor_input: dict[str, Any], pieces: Sequence[str]) -> dict[str, Any]:
    """The executor input with the parameters that were too long for it."""
    inputs = executor_input["inputs"]
    values = packed_properties.restore_values(inputs["parameterValues"], packed_properties.read_arguments(pieces))
    return {**executor_input, "inputs": {**inputs, "parameterValues": values}}


def main(argv: Sequence[str]) -> int:
    """The container's command."""
    set_environment()
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument(INPUT_OPTION, required=True)
    parser.add_argument(packed_properties.PACKED, action="append", default=[])
    options, _ = parser.parse_known_args(argv)  # the compiler's own arguments are for components
    try:
        run_step(_unpack_values(json.loads(options.executor_input), options.packed_properties))
    except TaxiwayError as error:
        print(error, file=sys.stderr)
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
