"""What TFX's components read through `tfxio` is what it was, file by file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import pytest
import tensorflow as tf
from apache_beam.testing.util import assert_that
from tfx_bsl.public import tfxio

from taxiway.components.beam import stock_reading
from taxiway.components.beam.options import BEAM_OPTIONS
from taxiway.components.beam.shards import ReadRecords
from taxiway.components.errors import TaxiwayError


@pytest.fixture
def spread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The change, undone afterwards."""
    module = stock_reading._find_module()
    monkeypatch.setattr(module, stock_reading._NAME, module.ReadTfRecord)
    stock_reading.spread_stock_reads()
    stock_reading.spread_stock_reads()
    yield


def _write_examples(file: Path, values: range) -> None:
    with tf.io.TFRecordWriter(str(file), "GZIP") as out:
        for value in values:
            number = tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
            out.write(tf.train.Example(features=tf.train.Features(feature={"x": number})).SerializeToString())


def test_tfxio_reads_every_row_of_every_file(spread: None, tmp_path: Path) -> None:
    _write_examples(tmp_path / "a.gz", range(5))
    _write_examples(tmp_path / "b.gz", range(5, 12))
    source = tfxio.TFExampleRecord([f"{tmp_path}/a*", f"{tmp_path}/b*"], telemetry_descriptors=["test"])
    used: list[str] = []

    class Visitor(beam.pipeline.PipelineVisitor):
        def enter_composite_transform(self, node: beam.pipeline.AppliedPTransform) -> None:
            used.append(type(node.transform).__name__)

    def check(batches: list) -> None:
        assert sorted(row[0] for batch in batches for row in batch.to_pydict()["x"]) == list(range(12))

    with beam.Pipeline(argv=[*BEAM_OPTIONS]) as pipeline:
        assert_that(pipeline | source.BeamSource(batch_size=4), check)
        pipeline.visit(Visitor())
    assert ReadRecords.__name__ in used


def test_another_release_says_what_to_adapt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock_reading, "_NAME", "NotThere")
    with pytest.raises(TaxiwayError, match="NotThere"):
        stock_reading.spread_stock_reads()
