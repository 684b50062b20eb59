"""TFMA's analysis of two models, fed with thousands of rows at a time.

TFMA decodes every column of every row, takes batches apart into rows, and carries each row through Beam once a slice.
Here a file is read in batches, TFMA's own extractor calls the models on whole batches of serialized rows, and a batch
is split by slice: what TFMA carries is the rows of one batch in one slice, labels and scores alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow_model_analysis as tfma
from numpy.typing import NDArray
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.extractors import extractor, predictions_extractor, slice_key_extractor
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.slicer import slicer_lib

from taxiway.components.beam.shards import SpreadFiles
from taxiway.components.errors import DataError
from taxiway.components.evaluation.row_batches import name_outputs, unwrap_key
from taxiway.components.metrics.curve_areas import Floats
from taxiway.components.tables.examples.judged_rows import read_judged_rows
from taxiway.components.tables.examples.shards import find_shard


def analyze_models(
    pipeline: beam.Pipeline,
    files: Sequence[str],
    models: Sequence[Any],
    eval_config: config_pb2.EvalConfig,
    output: str,
) -> None:
    """Adds to the pipeline: reads the files, calls the models, writes TFMA's files.

    Args:
        pipeline: Beam's pipeline.
        files: TFRecord files of serialized `tf.Example`s, or patterns of them.
        models: TFMA's shared models, one for each of `eval_config.model_specs`, of the type `tf_generic`.
        eval_config: TFMA's configuration, its defaults filled in. Slices are over raw columns.
        output: Folder for TFMA's files.
    """
    specs = [slicer_lib.SingleSliceSpec(spec=spec) for spec in eval_config.slicing_specs]
    label = eval_config.model_specs[0].label_key
    columns = sorted({label, *(name for spec in eval_config.slicing_specs for name in list_slice_columns(spec))})
    extractors = [
        predictions_extractor.PredictionsExtractor(eval_config=eval_config, eval_shared_model=list(models)),
        extractor.Extractor(
            stage_name=slice_key_extractor.SLICE_KEY_EXTRACTOR_STAGE_NAME,  # after which TFMA's evaluators run
            ptransform=beam.ParDo(_SplitBySlice(specs, label, name_outputs(eval_config))),
        ),
    ]
    batches = pipeline | "SpreadFiles" >> SpreadFiles(files) | "ReadBatches" >> beam.FlatMap(_read_batches, columns)
    _ = batches | "ExtractEvaluateAndWriteResults" >> tfma.ExtractEvaluateAndWriteResults(
        eval_shared_model=list(models), eval_config=eval_config, extractors=extractors, output_path=output
    )


def list_slice_columns(spec: config_pb2.SlicingSpec) -> list[str]:
    """The columns that a slice is over."""
    return [*spec.feature_keys, *spec.feature_values]


def _read_batches(path: str, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    for records, table in read_judged_rows(find_shard(path), columns):
        # Not under TFMA's key for features: a column named like a signature's input would be handed to the model.
        yield {constants.INPUT_KEY: np.array(records, dtype=object), constants.ARROW_RECORD_BATCH_KEY: table}


class _SplitBySlice(beam.DoFn):
    """From a batch with predictions to extracts of one slice each."""

    def __init__(self, specs: Sequence[slicer_lib.SingleSliceSpec], label: str, outputs: dict[str, str]) -> None:
        self._specs, self._label, self._outputs = list(specs), label, outputs

    def process(self, extracts: dict[str, Any]) -> Iterator[dict[str, Any]]:
        table, predictions = extracts[constants.ARROW_RECORD_BATCH_KEY], extracts[constants.PREDICTIONS_KEY]
        labels = read_labels(table, self._label)
        scores = {
            model: np.asarray(unwrap_key(unwrap_key(predictions, model), output))
            for model, output in self._outputs.items()
        }
        for key, rows in find_slices(table, self._specs).items():
            chosen = {model: values[rows] for model, values in scores.items()}
            yield {
                constants.LABELS_KEY: labels[rows],
                constants.PREDICTIONS_KEY: chosen if len(chosen) > 1 else next(iter(chosen.values())),
                constants.SLICE_KEY_TYPES_KEY: slicer_lib.slice_keys_to_numpy_array([key]),
            }


def read_labels(table: pa.Table, label: str) -> Floats:
    """The first value of the label of each row, float64 `[rows]`.

    Raises:
        DataError: a row has none.
    """
    column = _find_column(table, label)
    lengths = _count_values(column) if column is not None else np.zeros(len(table), np.int64)
    if missing := int((lengths == 0).sum()):
        raise DataError(
            f"{missing} of {len(table)} evaluation rows have no label {label!r}.",
            "Labels are made with the examples; check label.column and the schema.",
        )
    starts = np.cumsum(lengths) - lengths
    return np.asarray(_list_values(column).to_numpy(zero_copy_only=False)[starts], np.float64)


def find_slices(
    table: pa.Table, specs: Sequence[slicer_lib.SingleSliceSpec]
) -> dict[slicer_lib.SliceKeyType, NDArray[np.int64]]:
    """The rows of each slice of a batch, ascending. TFMA names the slices, once for each combination of values.

    Args:
        table: Columns of lists. A row without a value of a column is in no slice of it, one with several is in several.
        specs: What to slice by.
    """
    found: dict[slicer_lib.SliceKeyType, list[NDArray[np.int64]]] = {}
    for spec in specs:
        for rows in _group_rows(table, sorted(list_slice_columns(spec.to_proto()))):
            features = {name: _read_cell(table[name], int(rows[0])) for name in table.column_names}
            for key in slicer_lib.get_slices_for_features_dicts([], features, [spec]):
                found.setdefault(key, []).append(rows)
    return {key: np.unique(np.concatenate(parts)) if len(parts) > 1 else parts[0] for key, parts in found.items()}


def _group_rows(table: pa.Table, columns: Sequence[str]) -> list[NDArray[np.int64]]:
    """The rows of each combination of values that occurs."""
    groups = np.zeros(len(table), np.int64)
    for name in columns:
        column = _find_column(table, name)
        if column is None:
            return []
        codes = _encode_cells(column)
        groups = np.unique(groups * (codes.max(initial=0) + 1) + codes, return_inverse=True)[1]
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1) if len(table) else []


def _find_column(table: pa.Table, name: str) -> pa.Array | None:
    """A column of lists; None where no row has a value: then it is not there, or has no type."""
    if name not in table.column_names or pa.types.is_null(table[name].type):
        return None
    return table[name].combine_chunks()


def _encode_cells(column: pa.Array) -> NDArray[np.int64]:
    """A number for each row, equal where the cells are."""
    lengths, values = _count_values(column), _list_values(column)
    if lengths.max(initial=0) > 1:
        seen: dict[Any, int] = {}
        return np.array([seen.setdefault(repr(cell), len(seen)) for cell in column.to_pylist()], np.int64)
    codes = np.zeros(len(column), np.int64)
    codes[lengths == 1] = values.dictionary_encode().indices.to_numpy(zero_copy_only=False) + 1
    return codes


def _count_values(column: pa.Array) -> NDArray[np.int64]:
    return np.asarray(column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False), np.int64)


def _list_values(column: pa.Array) -> pa.Array:
    return column.flatten()


def _read_cell(column: pa.ChunkedArray, row: int) -> NDArray[Any]:
    return np.array(column[row].as_py() or [])
