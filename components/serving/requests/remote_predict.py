"""Scores rows by asking a server of TensorFlow Serving's API over REST. Imports no TensorFlow."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from taxiway.components.contract import PREDICTIONS, PROBABILITIES, SERVING_RAW
from taxiway.components.errors import DataError
from taxiway.components.saved_models import model_versions
from taxiway.components.saved_models.input_names import make_input_name
from taxiway.components.saved_models.signature_inputs import read_signature_inputs
from taxiway.components.serving.requests.answer_values import split_answers
from taxiway.components.serving.requests.clients import RestClient, decode_outputs
from taxiway.components.serving.requests.local_predict import PredictResult, explain_missing_rules, make_row_source
from taxiway.components.tables.prediction.row_source import RowSource
from taxiway.components.tables.prediction.trained_rows import TrainedReader
from taxiway.components.tables.reading_rules import ReadingRules, read_rules

ROWS_A_REQUEST = 512
_DTYPES = {"DT_STRING": "string", "DT_INT64": "int64", "DT_FLOAT": "float32", "DT_BOOL": "bool", "DT_DOUBLE": "float64"}
_FIELDS = {
    "string": "string_val",
    "int64": "int64_val",
    "float32": "float_val",
    "float64": "double_val",
    "bool": "bool_val",
}
_NUMPY = {"int64": "<i8", "float32": "<f4", "float64": "<f8", "bool": "?"}


def predict_remotely(
    url: str,
    model: str,
    rows: Sequence[Mapping[str, Any]] | RowSource,
    *,
    version: int | None = None,
    label: str = "",
    serving_directory: str | Path | None = None,
) -> PredictResult:
    """Scores rows of raw columns with a model on a server, through `serving_raw`.

    Args:
        url: Address of the server's REST API, such as `http://127.0.0.1:8501`.
        model: Name of the model there.
        rows: Values by column, or by the tensor's name, or a file of rows.
        version: Number of the version to ask.
        label: Label of the version to ask. Without number and label: the latest.
        serving_directory: Directory in which the version lies too; the version's folder says how training read rows, a
            server does not.

    Raises:
        ServingError: No server answers, or it answers with an error.
        DataError: The model has no raw signature, or a value is not of its column's kind.
    """
    with contextlib.closing(RestClient(url, model, version=version, label=label)) as client:
        inputs = _read_inputs(client)
        answering_version = version if version is not None else _find_answering_version(client)
        folder = _find_folder(serving_directory, answering_version, inputs)
        tensors = _map_tensors(folder, inputs)
        rules = read_rules(folder) if folder else None
        reader = _TensorNameReader(rules, {column: inputs[tensor][0] for column, tensor in tensors.items()})
        answers, names = _score_rows(client, reader, make_row_source(rows), tensors, inputs)
    elsewhere = f"Version {answering_version} lies in no serving directory here"
    unknown = f"{elsewhere}, so how its training read rows is not known"
    notes = reader.describe_rows(explain_missing_rules(answering_version) if folder else unknown)
    return PredictResult(answers, answering_version, SERVING_RAW, reader.list_ignored(names), tuple(notes))


def _score_rows(
    client: RestClient,
    reader: TrainedReader,
    source: RowSource,
    tensors: Mapping[str, str],
    inputs: Mapping[str, tuple[str, Any]],
) -> tuple[list[dict[str, Any]], set[str]]:
    """The answers to all rows, and the names of the rows' columns."""
    answers, names = list[dict[str, Any]](), set[str]()
    for batch in reader.read_batches(source):
        names.update(batch.rows.schema.names)
        columns = {tensors[name]: array for name, array in reader.convert_columns(batch).items()}
        for part in _split_requests(columns, batch.rows.num_rows):
            answers += _predict_part(client, part, inputs)
    return answers, names


class _TensorNameReader(TrainedReader):
    """Rows may name the tensors too, where only those are known: the exporter writes `Fare (USD)` as `fare_usd`."""

    def __init__(self, rules: ReadingRules | None, dtypes: Mapping[str, str]) -> None:
        super().__init__(rules, dtypes)
        self._by_tensor: Mapping[str, str] = {} if rules else dtypes

    def map_trained_names(self, names: Iterable[str]) -> dict[str, str]:
        names = list(names)
        tensors = {name: _find_tensor_name(name, self._by_tensor) for name in names if name not in self._by_tensor}
        return {**super().map_trained_names(names), **{n: tensor for n, tensor in tensors.items() if tensor != n}}


def _find_folder(serving_directory: str | Path | None, version: int, inputs: Mapping[str, Any]) -> Path | None:
    """The version's folder here, if it is the model that the server has: its inputs are compared."""
    folder = model_versions.list_version_folders(serving_directory).get(version) if serving_directory else None
    return folder if folder and set(read_signature_inputs(folder)) == set(inputs) else None


def _map_tensors(folder: Path | None, inputs: Mapping[str, Any]) -> dict[str, str]:
    """The tensor of each column; where the columns are not known, the tensors stand for them."""
    if folder is None:
        return {name: name for name in inputs}
    return {entry.column: tensor for tensor, entry in read_signature_inputs(folder).items()}


def _read_inputs(client: RestClient) -> dict[str, tuple[str, Any]]:
    """Tensor to dtype and default (None where it is required), as the server's metadata has them."""
    signature = client.get_signatures().get(SERVING_RAW)
    if signature is None:
        raise DataError(f"The model has no signature {SERVING_RAW!r}.", "Send it serialized examples over its API.")
    defaults = signature.get("defaults", {})
    inputs = {}
    for tensor, info in signature["inputs"].items():
        dtype = _DTYPES.get(info["dtype"], info["dtype"])
        inputs[tensor] = (dtype, _read_default(defaults.get(tensor), dtype))
    return inputs


def _read_default(proto: Mapping[str, Any] | None, dtype: str) -> Any:
    """The first value of a `TensorProto` in JSON."""
    if proto is None:
        return None
    content = base64.b64decode(proto.get("tensor_content") or "")
    if content and dtype in _NUMPY:
        return np.frombuffer(content, _NUMPY[dtype])[0].item()
    values = proto.get(_FIELDS.get(dtype, "")) or [""]
    if dtype == "string":
        return base64.b64decode(values[0]).decode("utf-8", "replace")
    return int(values[0] or 0) if dtype == "int64" else float(values[0] or 0)


def _find_tensor_name(column: str, inputs: Mapping[str, Any]) -> str:
    plain = re.sub(r"[^a-z0-9_]+", "_", column.lower()).strip("_")  # as versions of before have it, without a hash
    return next((name for name in (make_input_name(column), plain, f"c_{plain}") if name in inputs), column)


def _split_requests(columns: Mapping[str, pa.Array], rows: int) -> Iterator[dict[str, list[Any]]]:
    for start in range(0, rows, ROWS_A_REQUEST):
        yield {name: array.slice(start, ROWS_A_REQUEST).to_pylist() for name, array in columns.items()}


def _predict_part(
    client: RestClient, columns: Mapping[str, list[Any]], inputs: Mapping[str, tuple[str, Any]]
) -> list[dict[str, Any]]:
    filled = {name: [_fill_cell(value, name, inputs[name][1]) for value in values] for name, values in columns.items()}
    outputs = client.predict(SERVING_RAW, filled)
    return split_answers(decode_outputs(outputs, _find_only_output(client)))


def _find_only_output(client: RestClient) -> str:
    """The output's name where the answer has none."""
    outputs = client.get_signatures()[SERVING_RAW]["outputs"]
    return next((name for name in (PROBABILITIES, PREDICTIONS) if name in outputs), next(iter(outputs), "output"))


def _fill_cell(value: Any, name: str, default: Any) -> Any:
    value = default if value is None else value
    if value is None:
        raise DataError(f"Column {name!r} is missing in a row.", "The model requires it.")
    return value


def _find_answering_version(client: RestClient) -> int:
    """The version that answers: of the label, if the client asks for one, else the latest."""
    available = [int(entry["version"]) for entry in client.get_status() if entry["state"] == "AVAILABLE"]
    return max(available, default=0)
