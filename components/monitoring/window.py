"""The rows of one window of requests as columns: from the tensors of `serving_raw` and the examples of
`serving_default`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from taxiway.components.contract import EXAMPLES_INPUT
from taxiway.components.saved_models.signature_inputs import SignatureInput
from taxiway.components.tables.examples.column_files import wrap_in_lists
from taxiway.components.tables.tfx_bsl_private import make_example_decoder

MOST_ROWS = 100_000
GROUP = 1000
"""Requests whose tensors become columns together, at most."""
MIXED = "its values are logged as different types in this window"
NO_INPUTS = ""
"""Stands for the inputs of a request whose columns are all left out of the log: its answer has rows all the same."""

Tensors = dict[str, np.ndarray]
_Batch = tuple[dict[str, pa.Array], int]
"""Columns, and their number of rows."""


class _NoExampleError(Exception):
    """Texts that are to be examples cannot be decoded together."""


class LoggedExchange(Protocol):
    """The tensors of one request and its answer, by alias."""

    @property
    def inputs(self) -> Mapping[str, np.ndarray]: ...
    @property
    def outputs(self) -> Mapping[str, np.ndarray]: ...


@dataclass(frozen=True)
class RequestWindow:
    """The rows of a window.

    Attributes:
        columns: Lists of int64, float32 or bytes by column, `[rows]`; a missing value is an empty list or null.
        scores: float64 `[rows, outputs]`, NaN where the answer did not hold them; None where none did.
        rows: Number of rows.
        requests: Number of requests.
        unreadable: Reason by column that cannot be read.
        every: 1, or the number of requests of which one was taken, where there were more rows than `MOST_ROWS`.
        damaged: Requests that were left out, because a text that they sent is no `tf.Example`.
    """

    columns: dict[str, pa.Array]
    scores: np.ndarray | None
    rows: int
    requests: int
    unreadable: dict[str, str] = field(default_factory=dict)
    every: int = 1
    damaged: int = 0

    def read_numbers(self, column: str) -> np.ndarray:
        """float64: the finite values of a column of numbers, in order, missing ones left out."""
        values = self.columns[column].flatten()
        numbers = values.to_numpy(zero_copy_only=False).astype(np.float64)
        return numbers[np.isfinite(numbers)]

    def is_text(self, column: str) -> bool:
        """Whether its values are bytes."""
        kind = self.columns[column].type.value_type
        return bool(pa.types.is_large_binary(kind) or pa.types.is_binary(kind))

    def list_first_values(self, column: str) -> list[Any]:
        """The first value of each row, None where it is missing: `[rows]`."""
        return [row[0] if row else None for row in self.columns[column].to_pylist()]


def collect_window(
    requests: Iterable[LoggedExchange], inputs: Mapping[str, SignatureInput], score_output: str
) -> RequestWindow:
    """The rows of requests, in order.

    Args:
        requests: Requests of one version.
        inputs: The version's tensors of `serving_raw`.
        score_output: The output that holds the scores.
    """
    kept, every = _thin_out(map(_keep_rows, requests))
    parts = [part for group in _group_alike(kept) for part in _read_group(group, inputs)]
    batches, read = [batch for batch, _ in parts], [request for _, group in parts for request in group]
    unreadable = _find_mixed(batches)
    names = sorted({name for columns, _ in batches for name in columns} - unreadable.keys() - {NO_INPUTS})
    joined = {name: _concat_column(name, batches) for name in names}
    rows = [_count_rows(request.inputs) for request in read]
    answers = [_read_scores(r.outputs.get(score_output), count) for r, count in zip(read, rows, strict=True)]
    scores, damaged = _concat_scores(answers, rows), len(kept) - len(read)
    return RequestWindow(joined, scores, sum(rows), len(read), unreadable, every, damaged)


@dataclass(frozen=True)
class _AnsweredRows:
    """A request without inputs, as one with a column of nothing."""

    inputs: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]


def _keep_rows(request: LoggedExchange) -> LoggedExchange:
    if request.inputs or not request.outputs:
        return request
    return _AnsweredRows({NO_INPUTS: np.zeros(_count_rows(request.outputs), np.int64)}, request.outputs)


def _thin_out(requests: Iterable[LoggedExchange]) -> tuple[list[LoggedExchange], int]:
    """Every request that has rows; every second, fourth, ... where the rows would be too many."""
    kept: list[LoggedExchange] = []
    every, held = 1, 0
    for number, request in enumerate(each for each in requests if _count_rows(each.inputs)):
        if number % every:
            continue
        kept.append(request)
        held += _count_rows(request.inputs)
        while held > MOST_ROWS and len(kept) > 1:
            kept, every = kept[::2], every * 2
            held = sum(_count_rows(each.inputs) for each in kept)
    return kept, every


def _count_rows(sent: Mapping[str, np.ndarray]) -> int:
    return max((len(values) for values in sent.values() if np.ndim(values)), default=1)


def _group_alike(requests: Iterable[LoggedExchange]) -> Iterator[list[LoggedExchange]]:
    """Neighbouring requests with the same tensors: most are one row, and an array costs more than its values."""
    for _, alike in itertools.groupby(requests, lambda request: _describe_tensors(request.inputs)):
        group = list(alike)
        for start in range(0, len(group), GROUP):
            yield group[start : start + GROUP]


def _describe_tensors(sent: Mapping[str, np.ndarray]) -> tuple[Any, ...]:
    return tuple(sorted((alias, str(np.asarray(v).dtype), np.shape(v)[1:]) for alias, v in sent.items()))


def _spread_values(sent: Mapping[str, np.ndarray]) -> Tensors:
    """Tensors of one value for every row as long as the others."""
    rows = _count_rows(sent)
    return {
        alias: np.broadcast_to(np.ravel(values), (rows,)) if np.ndim(values) == 0 or len(values) != rows else values
        for alias, values in sent.items()
    }


def _read_group(
    group: list[LoggedExchange], inputs: Mapping[str, SignatureInput]
) -> Iterator[tuple[_Batch, list[LoggedExchange]]]:
    """Batches and their requests, which have the same tensors: together, or one by one where examples differ.

    A request of which a text is no example has none.
    """
    tensors = [_spread_values(request.inputs) for request in group]
    merged = {alias: np.concatenate([each[alias] for each in tensors]) for alias in tensors[0]}
    try:
        batch = _read_columns(merged, inputs, sum(map(_count_rows, tensors)))
    except _NoExampleError:
        if len(group) > 1:
            for request in group:
                yield from _read_group([request], inputs)
        return
    yield batch, group


def _read_columns(sent: Mapping[str, np.ndarray], inputs: Mapping[str, SignatureInput], rows: int) -> _Batch:
    """The columns of tensors, and their number of rows.

    Raises:
        _NoExampleError: A text is none, or texts contradict one another.
    """
    if EXAMPLES_INPUT in sent and EXAMPLES_INPUT not in inputs:
        batch = _decode_examples(np.asarray(sent[EXAMPLES_INPUT], object).ravel())
        columns = zip(batch.schema.names, batch.columns, strict=True)
        found = {name: _unify_lists(column) for name, column in columns if not pa.types.is_null(column.type)}
        return found, batch.num_rows
    return {
        inputs[alias].column if alias in inputs else alias: _wrap_tensor(values, inputs.get(alias))
        for alias, values in sent.items()
    }, rows


def _decode_examples(texts: np.ndarray) -> pa.RecordBatch:
    try:
        return make_example_decoder()([bytes(text) for text in texts])
    except Exception as error:  # tfx_bsl's own type differs by its version
        raise _NoExampleError from error


def _unify_lists(column: pa.Array) -> pa.Array:
    """As `large_list` of int64, float32 or large_binary, whatever lists the decoder makes."""
    kind = column.type.value_type
    return column.cast(pa.large_list(pa.large_binary() if pa.types.is_binary(kind) else kind))


def _wrap_tensor(values: np.ndarray, entry: SignatureInput | None) -> pa.Array:
    """A tensor `[rows]` or `[rows, values]` as lists; the signature's default stands for a missing value."""
    values = _unify_type(values)
    kind = pa.large_binary() if values.dtype == object else pa.from_numpy_dtype(values.dtype)
    if np.ndim(values) > 1:
        return pa.array(values.reshape(len(values), -1).tolist(), pa.large_list(kind))
    column = pa.array(values, kind, mask=_mask_missing(values, entry))
    return wrap_in_lists(pa.RecordBatch.from_arrays([column], names=["values"])).column(0)


def _unify_type(values: np.ndarray) -> np.ndarray:
    """bytes, int64 or float32, as an example holds them, whatever the signature takes."""
    if values.dtype.kind in "OSU":
        texts = [value.encode() if isinstance(value, str) else bytes(value) for value in values.ravel()]
        return np.array(texts, object).reshape(values.shape)
    return values.astype(np.int64 if values.dtype.kind in "biu" else np.float32)


def _mask_missing(values: np.ndarray, entry: SignatureInput | None) -> np.ndarray:
    missing = np.zeros(len(values), bool)
    if values.dtype.kind == "f":
        missing |= ~np.isfinite(values)
    if entry is not None and entry.default is not None:
        if values.dtype == object:
            missing |= values == str(entry.default).encode()
        elif not isinstance(entry.default, str):
            missing |= values == np.asarray(entry.default, values.dtype)
    return missing


def _read_scores(answer: np.ndarray | None, rows: int) -> np.ndarray | None:
    if answer is None or not np.issubdtype(np.asarray(answer).dtype, np.number) or np.size(answer) % max(rows, 1):
        return None
    return np.asarray(answer, np.float64).reshape(rows, -1)


def _concat_scores(scores: list[np.ndarray | None], rows: list[int]) -> np.ndarray | None:
    width = next((each.shape[1] for each in scores if each is not None), 0)
    if not width:
        return None
    whole = [
        each if each is not None and each.shape[1] == width else np.full((count, width), np.nan)
        for each, count in zip(scores, rows, strict=True)
    ]
    return np.concatenate(whole)


def _find_mixed(batches: list[_Batch]) -> dict[str, str]:
    kinds: dict[str, set[str]] = {}
    for columns, _ in batches:
        for name, column in columns.items():
            kinds.setdefault(name, set()).add(str(column.type))
    return {name: MIXED for name, found in kinds.items() if len(found) > 1}


def _concat_column(name: str, batches: list[_Batch]) -> pa.Array:
    kind = next(columns[name].type for columns, _ in batches if name in columns)
    return pa.concat_arrays([columns.get(name, pa.nulls(rows, kind)) for columns, rows in batches])
