"""Applies the transform graph to files of examples: one file in, one file out, thousands of rows a call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import apache_beam as beam
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2

from taxiway.components.beam.shards import SpreadFiles
from taxiway.components.tables.tfx_bsl_private import encode_examples
from taxiway.components.transform.raw_batches import make_row_format, read_raw_batches
from taxiway.components.transform.tft_private import make_output_converter

COMPRESSION_LEVEL = 1
"""Of gzip: the fastest, as ExampleGen's."""


def transform_files(
    pipeline: beam.Pipeline, outputs: dict[str, str], graph: str, schema: schema_pb2.Schema, columns: Sequence[str]
) -> None:
    """Adds to the pipeline: transforms each file into another one, spread over the workers.

    Args:
        pipeline: Beam's pipeline.
        outputs: The file to write by the file to read.
        graph: Folder of the transform graph.
        schema: Schema of the raw rows.
        columns: Raw columns that the graph needs.
    """
    transform = _TransformFile(outputs, graph, schema, columns)
    _ = pipeline | "SpreadFiles" >> SpreadFiles(sorted(outputs)) | "TransformFile" >> beam.ParDo(transform)


class _TransformFile(beam.DoFn):
    def __init__(self, outputs: dict[str, str], graph: str, schema: schema_pb2.Schema, columns: Sequence[str]) -> None:
        self._outputs, self._graph = outputs, graph
        self._schema, self._columns = schema.SerializeToString(), list(columns)

    def setup(self) -> None:
        self._transform = GraphTransform(self._graph, schema_pb2.Schema.FromString(self._schema), self._columns)

    def process(self, path: str) -> Iterator[int]:
        yield write_transformed(self._transform, path, self._outputs[path])


class GraphTransform:
    """The transform graph, from batches of raw columns to serialized `tf.Example`s of transformed features."""

    def __init__(self, graph: str, schema: schema_pb2.Schema, columns: Sequence[str]) -> None:
        """Args:
        graph: Folder of the transform graph.
        schema: Schema of the raw rows.
        columns: Raw columns that the graph needs.
        """
        output = tft.TFTransformOutput(graph)
        row_format = make_row_format(schema).Project(list(columns))
        self.arrow_schema: pa.Schema = row_format.ArrowSchema()
        self._adapter = row_format.TensorAdapter()
        self._call = _make_function(output, self._adapter.TypeSpecs())
        self._converter = make_output_converter(output.transformed_metadata.schema)

    def transform_batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The transformed features of raw rows, in their order, as columns of lists."""
        return self._converter.convert(self._call(self._adapter.ToBatchTensors(batch, produce_eager_tensors=True)))


def _make_function(output: tft.TFTransformOutput, types: dict[str, tf.TypeSpec]) -> Any:
    """The graph as one function, traced once: called bare, TFT's layer makes what a batch lacks anew for each one."""
    layer, names = output.transform_features_layer(), list(output.transformed_feature_spec())

    def transform_tensors(tensors: dict[str, Any]) -> dict[str, tf.Tensor]:
        outputs = layer(tensors)
        return {name: outputs[name] for name in names}

    return tf.function(transform_tensors, input_signature=[types], autograph=False)


def write_transformed(transform: GraphTransform, path: str, output: str) -> int:
    """Transforms one file into another, of the same rows in the same order; compressing runs beside the transforming.

    Returns:
        The number of rows.
    """
    tf.io.gfile.makedirs(output.rpartition("/")[0])
    options = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=COMPRESSION_LEVEL)
    rows, pending = 0, None
    with tf.io.TFRecordWriter(output, options) as writer, ThreadPoolExecutor(1) as beside:
        for batch in read_raw_batches(path, transform.arrow_schema):
            transformed = transform.transform_batch(batch)
            _wait_for(pending)
            pending = beside.submit(_write_batch, writer, transformed)
            rows += batch.num_rows
        _wait_for(pending)
    return rows


def _wait_for(pending: Future[None] | None) -> None:
    if pending is not None:
        pending.result()


def _write_batch(writer: Any, batch: pa.RecordBatch) -> None:
    for record in encode_examples(batch):
        writer.write(record)
