"""The rounds of `taxiway bench input`, in a process of their own: readers of one gzip file of transformed rows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tfx.components.util import tfxio_utils
from tfx.types import standard_artifacts
from tfx_bsl.public import tfxio

from taxiway.components import schema_file
from taxiway.components.processes import subprocesses
from taxiway.components.training import TrainingJob
from taxiway.components.training.data.features import read_transformed_features
from taxiway.components.training.data.input_pipeline import build_parse_spec, open_source
from taxiway.components.training.data.sources import BatchLayout, BatchSource
from taxiway.pipeline.bench.children.train_data import SCHEMA, make_example
from taxiway.pipeline.bench.children.train_rounds import FEATURES

BATCH = 1024


def write_examples(folder: Path, rows: int) -> None:
    """A standard `Examples` artifact's split, and the schemas."""
    metadata = folder / "transform_graph" / "transformed_metadata"
    metadata.mkdir(parents=True)
    (metadata / "schema.pbtxt").write_text(SCHEMA % FEATURES)
    (folder / "examples" / "Split-train").mkdir(parents=True)
    x = np.random.default_rng(7).normal(size=(rows, FEATURES)).astype(np.float32)
    with tf.io.TFRecordWriter(str(folder / "examples" / "Split-train" / "rows.gz"), "GZIP") as out:
        for values in x:
            out.write(make_example(values, int(values[0] > 0)).SerializeToString())


class InputReaders:
    """The readers that are compared, over the same file."""

    def __init__(self, folder: Path) -> None:
        self.file = str(folder / "examples" / "Split-train" / "rows.gz")
        self.graph = str(folder / "transform_graph")
        self.spec = build_parse_spec(read_transformed_features(self.graph))
        self.job = TrainingJob(
            transform_graph=self.graph, train_files=(self.file,), eval_files=(self.file,), label="label", task="binary"
        )
        self.examples = standard_artifacts.Examples()
        self.examples.uri = str(folder / "examples")
        self.examples.split_names = '["train"]'
        self.examples.set_string_custom_property("file_format", "tfrecords_gzip")
        self.examples.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")
        self.epochs: Iterator[Any] = iter(())
        self.steps = 0
        self.shuffled: Any = None

    def ours_first(self) -> int:
        """The first epoch: files to memory to shuffled batches."""
        source = open_source(self.job, "train")
        self.steps, self.shuffled = source.steps_per_epoch(BATCH), self.in_memory(source)
        self.epochs = iter(source.make_batches(BatchLayout(BATCH), seed=1))
        return self.ours_later()

    def ours_later(self) -> int:
        """A later epoch, as training sees it: the same endless batches go on."""
        return sum(len(next(self.epochs)[1]) for _ in range(self.steps))

    def in_memory(self, source: BatchSource) -> Any:
        """The same tensors, shuffled and cut into batches by tf.data itself; made once, iterated in every round."""
        features, labels, _ = source.load_tensors()  # type: ignore[attr-defined]
        order = tf.data.Dataset.from_tensors(tf.range(source.rows)).map(tf.random.shuffle)
        cut = order.flat_map(lambda rows: tf.data.Dataset.from_tensor_slices(rows).batch(BATCH))
        return cut.map(lambda i: (tf.gather(features["numeric"], i), tf.gather(labels, i))).prefetch(16)

    def tfx(self) -> int:
        """What TFX gives to a `run_fn`: `DataAccessor.tf_dataset_factory`."""
        factory = tfxio_utils.get_tf_dataset_factory_from_artifact([self.examples], [])
        options = tfxio.TensorFlowDatasetOptions(batch_size=BATCH, label_key="label", num_epochs=1)
        schema = schema_file.read_schema(Path(self.graph, "transformed_metadata"))
        return count_rows(factory([self.file], options, schema), label=1)

    def per_record(self) -> int:
        """`map(parse_single_example)`."""
        parsed = self.open_records().map(lambda r: tf.io.parse_single_example(r, self.spec))
        return sum(len(batch["label"]) for batch in parsed.batch(BATCH))

    def raw(self) -> int:
        """The records alone, nothing parsed."""
        return sum(len(batch) for batch in self.open_records().batch(BATCH))

    def open_records(self) -> Any:
        return tf.data.TFRecordDataset(self.file, "GZIP")

    def memory(self) -> int:
        """Tensors in memory."""
        return count_rows(self.shuffled, label=1)


def count_rows(batches: Iterator[Any], label: int) -> int:
    """Rows of a dataset of `(features, labels, ...)`."""
    return sum(len(batch[label]) for batch in batches)


SIDES = ("ours_first", "tfx", "per_record", "raw", "ours_later", "memory")


def run_rounds(content: dict[str, Any]) -> dict[str, Any]:
    """Rows a second of each reader, round by round."""
    folder, rows = Path(content["folder"]), content["rows"]
    write_examples(folder, rows)
    readers = InputReaders(folder)
    speed: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(content["rounds"] + 1):
        for side in SIDES:
            started = time.perf_counter()
            read = getattr(readers, side)()
            if read < rows:
                raise RuntimeError(f"{side} read {read} of {rows} rows")
            if number:  # the first round warms up
                speed[side].append(rows / (time.perf_counter() - started))
        readers.epochs = iter(())  # its end is waited for here, not within the next first epoch
    return {"rows_per_second": speed, "rows": rows}


if __name__ == "__main__":
    subprocesses.run_child_main(run_rounds)
