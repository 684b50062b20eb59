"""Scores rows by asking a server of TensorFlow Serving's API over REST. Imports no TensorFlow."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from components import servables
from components.contract import PREDICTIONS, PROBABILITIES, SERVING_RAW, SIGNATURE_INPUTS_FILE
from components.errors import DataError
from components.input_names import input_name
from components.serving.client import RestClient, as_arrays
from components.serving.predict import Scored, as_source, without_rules
from components.serving.rows import answers_by_row
from components.tables.row_source import RowSource
from components.tables.rules import ReadingRules, read_rules
from components.tables.trained_rows import TrainedReader

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


def predict(
    url: str,
    model: str,
    rows: Sequence[Mapping[str, Any]] | RowSource,
    *,
    version: int | None = None,
    label: str = "",
    serving_directory: str | Path | None = None,
) -> Scored:
    """Scores rows of raw columns with a model on a server, through `serving_raw`.

    Args:
        url: Of the server's REST API, such as `http://127.0.0.1:8501`.
        model: Its name there.
        rows: Values by column, or by the tensor's name, or a file of rows.
        version: Ask this version.
        label: Or the one with this label; neither: the latest.
        serving_directory: Where the version lies too: a server does not tell how training read rows, the version's
            folder does.

    Raises:
        ServingError: No server answers, or it answers with an error.
        DataError: The model has no raw signature, or a value is not of its column's kind.
    """
    client = RestClient(url, model, version=version, label=label)
    try:
        inputs = _inputs(client)
        asked = version if version is not None else _answering(client)
        folder = _folder(serving_directory, asked, inputs)
        tensors = _tensors(folder, inputs)
        rules = read_rules(folder) if folder else None
        reader = _Reader(rules, {column: inputs[tensor][0] for column, tensor in tensors.items()})
        answers: list[dict[str, Any]] = []
        names: set[str] = set()
        for batch in reader.batches(as_source(rows)):
            names.update(batch.rows.schema.names)
            columns = {tensors[name]: array for name, array in reader.columns(batch).items()}
            answers += [a for part in _parts(columns, batch.rows.num_rows) for a in _ask(client, part, inputs)]
    finally:
        client.close()
    elsewhere = f"Version {asked} lies in no serving directory here, so how its training read rows is not known"
    notes = reader.sentences(without_rules(asked) if folder else elsewhere)
    return Scored(answers, asked, SERVING_RAW, reader.ignored(names), tuple(notes))


class _Reader(TrainedReader):
    """Rows may name the tensors too, where only those are known: the exporter writes `Fare (USD)` as `fare_usd`."""

    def __init__(self, rules: ReadingRules | None, dtypes: Mapping[str, str]) -> None:
        super().__init__(rules, dtypes)
        self._by_tensor: Mapping[str, str] = {} if rules else dtypes

    def trained_names(self, names: Iterable[str]) -> dict[str, str]:
        names = list(names)
        tensors = {name: _safe(name, self._by_tensor) for name in names if name not in self._by_tensor}
        return {**super().trained_names(names), **{n: tensor for n, tensor in tensors.items() if tensor != n}}


def _folder(serving_directory: str | Path | None, version: int, inputs: Mapping[str, Any]) -> Path | None:
    """The version's folder here, if it is the model that the server has: its inputs are compared."""
    found = servables.version_folders(serving_directory).get(version) if serving_directory else None
    return found if found and set(_columns(found)) == set(inputs) else None


def _columns(folder: Path) -> dict[str, str]:
    """The raw column of each tensor."""
    file = folder / SIGNATURE_INPUTS_FILE
    if not file.is_file():
        return {}
    inputs = json.loads(file.read_text(encoding="utf-8"))["inputs"]
    return {tensor: entry["column"] for tensor, entry in inputs.items()}


def _tensors(folder: Path | None, inputs: Mapping[str, Any]) -> dict[str, str]:
    """The tensor of each column; where the columns are not known, the tensors stand for them."""
    return (
        {column: tensor for tensor, column in _columns(folder).items()} if folder else {name: name for name in inputs}
    )


def _inputs(client: RestClient) -> dict[str, tuple[str, Any]]:
    """Tensor to dtype and default (None where it is required), as the server's metadata has them."""
    signature = client.metadata().get(SERVING_RAW)
    if signature is None:
        raise DataError(f"The model has no signature {SERVING_RAW!r}.", "Send it serialized examples over its API.")
    defaults = signature.get("defaults", {})
    found = {}
    for tensor, info in signature["inputs"].items():
        dtype = _DTYPES.get(info["dtype"], info["dtype"])
        found[tensor] = (dtype, _default(defaults.get(tensor), dtype))
    return found


def _default(proto: Mapping[str, Any] | None, dtype: str) -> Any:
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


def _safe(column: str, inputs: Mapping[str, Any]) -> str:
    plain = re.sub(r"[^a-z0-9_]+", "_", column.lower()).strip("_")  # as versions of before have it, without a hash
    return next((name for name in (input_name(column), plain, f"c_{plain}") if name in inputs), column)


def _parts(columns: Mapping[str, pa.Array], rows: int) -> Iterator[dict[str, list[Any]]]:
    for start in range(0, rows, ROWS_A_REQUEST):
        yield {name: array.slice(start, ROWS_A_REQUEST).to_pylist() for name, array in columns.items()}


def _ask(
    client: RestClient, columns: Mapping[str, list[Any]], inputs: Mapping[str, tuple[str, Any]]
) -> list[dict[str, Any]]:
    filled = {name: [_cell(value, name, inputs[name][1]) for value in values] for name, values in columns.items()}
    outputs = client.predict(SERVING_RAW, filled)
    return answers_by_row(as_arrays(outputs, _only(client)))


def _only(client: RestClient) -> str:
    """The output's name where the answer has none."""
    outputs = client.metadata()[SERVING_RAW]["outputs"]
    return next((name for name in (PROBABILITIES, PREDICTIONS) if name in outputs), next(iter(outputs), "output"))


def _cell(value: Any, name: str, default: Any) -> Any:
    value = default if value is None else value
    if value is None:
        raise DataError(f"Column {name!r} is missing in a row.", "The model requires it.")
    return value


def _answering(client: RestClient) -> int:
    """The version that answers: of the label, if the client asks for one, else the latest."""
    available = [int(entry["version"]) for entry in client.status() if entry["state"] == "AVAILABLE"]
    return max(available, default=0)
