"""Scores rows by asking a server of TensorFlow Serving's API over REST. Imports no TensorFlow."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from components.contract import PREDICTIONS, PROBABILITIES, SERVING_RAW
from components.errors import DataError
from components.input_names import input_name
from components.serving.client import RestClient, as_arrays
from components.serving.predict import Scored
from components.serving.rows import answers_by_row, check_any_known, convert, unknown_columns

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
    url: str, model: str, rows: Sequence[Mapping[str, Any]], *, version: int | None = None, label: str = ""
) -> Scored:
    """Scores rows of raw columns with a model on a server, through `serving_raw`.

    Args:
        url: Of the server's REST API, such as `http://127.0.0.1:8501`.
        model: Its name there.
        rows: JSON values by column, or by the tensor's name.
        version: Ask this version.
        label: Or the one with this label; neither: the latest.

    Raises:
        ServingError: No server answers, or it answers with an error.
        DataError: The model has no raw signature, or a value is not of its column's type.
    """
    client = RestClient(url, model, version=version, label=label)
    try:
        inputs = _inputs(client)
        named = [_by_tensor(row, inputs) for row in rows]
        check_any_known(named, inputs)
        asked = version if version is not None else _latest(client)
        answers = [answer for part in _parts(named) for answer in _ask(client, part, inputs)]
    finally:
        client.close()
    return Scored(answers, asked, SERVING_RAW, unknown_columns(named, inputs))


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


def _by_tensor(row: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The row with the tensors' names: the exporter writes `Fare (USD)` as `fare_usd` and a hash."""
    return {column if column in inputs else _safe(column, inputs): value for column, value in row.items()}


def _safe(column: str, inputs: Mapping[str, Any]) -> str:
    plain = re.sub(r"[^a-z0-9_]+", "_", column.lower()).strip("_")  # as versions of before have it, without a hash
    return next((name for name in (input_name(column), plain, f"c_{plain}") if name in inputs), column)


def _parts(rows: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    for start in range(0, len(rows), ROWS_A_REQUEST):
        yield rows[start : start + ROWS_A_REQUEST]


def _ask(
    client: RestClient, rows: Sequence[Mapping[str, Any]], inputs: Mapping[str, tuple[str, Any]]
) -> list[dict[str, Any]]:
    columns = {name: [_cell(row, name, *entry) for row in rows] for name, entry in inputs.items()}
    outputs = client.predict(SERVING_RAW, columns)
    return answers_by_row(as_arrays(outputs, _only(client)))


def _only(client: RestClient) -> str:
    """The output's name where the answer has none."""
    outputs = client.metadata()[SERVING_RAW]["outputs"]
    return next((name for name in (PROBABILITIES, PREDICTIONS) if name in outputs), next(iter(outputs), "output"))


def _cell(row: Mapping[str, Any], name: str, dtype: str, default: Any) -> Any:
    value = convert(row.get(name), dtype, name)
    if value is None:
        value = default
    if value is None:
        raise DataError(f"Column {name!r} is missing in a row.", "The model requires it.")
    return value


def _latest(client: RestClient) -> int:
    available = [int(entry["version"]) for entry in client.status() if entry["state"] == "AVAILABLE"]
    return max(available, default=0)
