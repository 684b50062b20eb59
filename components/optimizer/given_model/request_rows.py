"""Rows of recorded requests: TensorFlow Serving's warm-up file or log (`PredictionLog`), or JSON bodies, one a line."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from taxiway.components.errors import DataError
from taxiway.components.files.tfrecord_files import read_records
from taxiway.components.optimizer.given_model.row_limits import measure_bytes, take_parts
from taxiway.components.optimizer.given_model.signatures import SignatureSpec
from taxiway.components.optimizer.given_model.table_rows import LabelledRows, convert_column

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
_FORMATS = (
    "Requests are TFRecords of PredictionLog, as TensorFlow Serving's warm-up file and its log have them, or one body "
    'of REST a line: {"instances": [...]}.'
)
_MOST_REQUESTS = 20_000
_BATCH = 256

Tensors = dict[str, NDArray[Any]]


def read_requests(path: str | Path, signature: SignatureSpec) -> LabelledRows:
    """The rows of all requests of a file that are for a signature.

    Args:
        path: A TFRecord of `PredictionLog`, or JSON lines with REST's `instances` or `inputs`.
        signature: The signature; a request that names none is for it.

    Raises:
        DataError: there is none, or one cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            is_json = file.read(1) in (b"{", b"[")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    requests = _read_json(Path(path), signature) if is_json else _read_logs(str(path), signature)
    parts, told = take_parts(requests, _MOST_REQUESTS, measure_bytes)
    if not parts:
        raise DataError(
            f"{path} holds no request for the signature {signature.name!r}.",
            f"A request has its inputs: {'; '.join(map(str, signature.inputs.values()))}.",
        )
    return LabelledRows(_join_requests(parts, str(path)), None, told)


def has_warmup(servable: str | Path) -> bool:
    """Whether a SavedModel brings warm-up requests."""
    return Path(servable, WARMUP_FILE).is_file()


def _read_logs(path: str, signature: SignatureSpec) -> Iterator[Tensors]:
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis import prediction_log_pb2

    for batch in _read_batches(path):
        for record in batch:
            try:
                tensors = _read_log(prediction_log_pb2.PredictionLog.FromString(record), signature)
            except (DecodeError, ValueError, TypeError) as error:  # of the record, or of a tensor in it
                raise DataError(f"{path} holds a record that is no PredictionLog: {error}", _FORMATS) from error
            if tensors is not None and all(len(values) for values in tensors.values()):
                yield tensors


def _read_batches(path: str) -> Iterator[list[bytes]]:
    try:
        yield from read_records(path, _BATCH)
    except DataError as error:
        raise DataError(error.problem, _FORMATS) from error


def _read_log(log: Any, signature: SignatureSpec) -> Tensors | None:
    kind = log.WhichOneof("log_type")
    request = getattr(log, kind).request if kind in ("predict_log", "classify_log", "regress_log") else None
    if request is None or request.model_spec.signature_name not in ("", signature.name):
        return None
    if kind == "predict_log":
        return _check_inputs({alias: tf.make_ndarray(proto) for alias, proto in request.inputs.items()}, signature)
    examples = [example.SerializeToString() for example in request.input.example_list.examples]
    return {signature.text_inputs[0]: np.array(examples, object)} if signature.text_inputs else None


def _check_inputs(tensors: Tensors, signature: SignatureSpec) -> Tensors | None:
    """The tensors where they are all inputs of the signature; a request for another one has other names."""
    return tensors if tensors.keys() == signature.inputs.keys() else None


def _read_json(path: Path, signature: SignatureSpec) -> Iterator[Tensors]:
    for number, line in enumerate(_iterate_lines(path), start=1):
        if not line.strip():
            continue
        try:
            columns = _read_body(json.loads(line), signature)
            if columns is not None:
                yield {n: convert_column(columns[n], spec) for n, spec in signature.inputs.items()}
        except DataError as error:
            raise DataError(f"{path}, line {number}: {error.problem}", error.remedy) from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number} is not JSON: {error}.") from error


def _iterate_lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8") as lines:
            yield from lines
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8, which JSON is: {error}.") from error


def _read_body(body: Any, signature: SignatureSpec) -> Tensors | None:
    """The columns of a REST body; None where it is for another signature."""
    if not isinstance(body, Mapping) or body.get("signature_name", signature.name) != signature.name:
        return None
    only = next(iter(signature.inputs))
    if "inputs" in body:
        named = body["inputs"] if _is_named(body["inputs"]) else {only: body["inputs"]}
    else:
        rows = body.get("instances", [])
        if not isinstance(rows, list):
            raise DataError(f"The instances of a request are {rows!r:.80}, which is no list of rows.")
        named = _gather_columns([row if _is_named(row) else {only: row} for row in rows])
    return {name: _make_cells(name, cells) for name, cells in named.items()} if _fits(named, signature) else None


def _fits(named: Mapping[str, Any], signature: SignatureSpec) -> bool:
    return named.keys() == signature.inputs.keys()


def _is_named(value: Any) -> bool:
    """Whether a JSON value has inputs by name; one with `b64` alone is a text."""
    return isinstance(value, Mapping) and "b64" not in value


def _gather_columns(rows: list[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = rows[0].keys() if rows else ()
    odd = next((row for row in rows if row.keys() != names), None)
    if odd is not None:
        raise DataError(
            f"The instances of a request have other inputs than its first one: {', '.join(odd)}.",
            f"Each has {', '.join(names)}: a server refuses this request too.",
        )
    return {name: [row[name] for row in rows] for name in names}


def _make_cells(name: str, cells: Any) -> NDArray[Any]:
    """The rows of an input as objects."""
    if not isinstance(cells, list):
        raise DataError(f"The input {name!r} is {cells!r:.80}, which is no list of rows.")
    objects = np.empty(len(cells), object)
    objects[:] = [_decode_texts(cell, name) for cell in cells]
    return objects


def _decode_texts(value: Any, name: str) -> Any:
    """A JSON value whose texts in base64 are bytes."""
    if isinstance(value, list):
        return [_decode_texts(part, name) for part in value]
    if not isinstance(value, Mapping) or value.keys() != {"b64"}:
        return value
    text = str(value["b64"]).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise DataError(f"The input {name!r} holds {text!r:.40}, which is no base64: {error}.") from error


def _join_requests(parts: Iterable[Tensors], path: str) -> Tensors:
    """One tensor an input of all requests' rows.

    Raises:
        DataError: rows of requests have other shapes than those of others.
    """
    parts = list(parts)
    shapes = {tuple((name, values.shape[1:]) for name, values in sorted(part.items())) for part in parts}
    if len(shapes) > 1:
        raise DataError(
            f"The requests of {path} have rows of {len(shapes)} shapes.",
            "Give requests whose rows have one shape: they are batched together.",
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
