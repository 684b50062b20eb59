"""TFT's analysis of the training rows, fed with batches of thousands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import apache_beam as beam
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata.dataset_metadata import DatasetMetadata

from taxiway.components.beam.shards import SpreadFiles
from taxiway.components.transform.raw_batches import make_row_format, read_raw_batches


def analyze_rows(
    pipeline: beam.Pipeline,
    files: Sequence[str],
    preprocessing_fn: Callable[..., Any],
    schema: schema_pb2.Schema,
    columns: Sequence[str],
    output: str,
    temporary: str,
) -> None:
    """Adds to the pipeline: reads columns, analyzes them, writes the transform graph.

    Args:
        pipeline: Beam's pipeline.
        files: TFRecord files of the rows to analyze, or patterns of them.
        preprocessing_fn: TFT's preprocessing function, of the raw columns alone.
        schema: Schema of the raw rows.
        columns: Raw columns that the function uses.
        output: Folder of the transform graph, as `tft.TFTransformOutput` reads it.
        temporary: Folder for what TFT writes in between.
    """
    projected = make_row_format(schema).Project(list(columns))
    with tft_beam.Context(temp_dir=temporary, use_deep_copy_optimization=True):
        rows = (
            pipeline
            | "SpreadFiles" >> SpreadFiles(files)
            | "ReadBatches" >> beam.FlatMap(read_raw_batches, projected.ArrowSchema())
        )
        transform_fn = (rows, projected.TensorAdapterConfig()) | "Analyze" >> tft_beam.AnalyzeDataset(preprocessing_fn)
        _ = transform_fn | "WriteTransformFn" >> tft_beam.WriteTransformFn(output)
        _ = DatasetMetadata(schema) | "WriteMetadata" >> tft_beam.WriteMetadata(
            f"{output}/{tft.TFTransformOutput.RAW_METADATA_DIR}", pipeline
        )


def list_used_columns(preprocessing_fn: Callable[..., Any], schema: schema_pb2.Schema) -> list[str]:
    """The raw columns that a preprocessing function analyzes or transforms, found by tracing it twice."""
    type_specs = make_row_format(schema).TensorAdapter().OriginalTypeSpecs()
    analyzed = tft.get_analyze_input_columns(preprocessing_fn, type_specs)
    return sorted({*analyzed, *tft.get_transform_input_columns(preprocessing_fn, type_specs)})
