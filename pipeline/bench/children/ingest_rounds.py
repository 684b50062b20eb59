"""Both example generators on the same csv, in turns, in this process; then their examples are compared.

A child process: `python -m taxiway.pipeline.bench.children.ingest_rounds`.
"""

from __future__ import annotations

import hashlib
import shutil
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

from taxiway.components.beam.options import BEAM_OPTIONS
from taxiway.components.example_gen.config import DataConfig, LabelConfig
from taxiway.components.processes import subprocesses
from taxiway.components.tables.sources.find_paths import resolve_pattern

BEAM_ARGS = ("--runner=DirectRunner", *BEAM_OPTIONS)
LABEL = LabelConfig(column="hour", task="multiclass", classes=tuple(map(str, range(24))))
"""The class indices of this label are its values, so that both write the same."""


def run_rounds(job: dict[str, Any]) -> dict[str, Any]:
    """Runs the rounds.

    Args:
        job: `data` (a path, `package://` allowed), `rows` (0: all), `rounds`, `folder` (scratch), `warm_up_rows`.

    Returns:
        `rows`, `seconds` by side, one number a round, and `same`: whether the examples are equal.
    """
    folder = Path(job["folder"])
    rows = _write_csv(resolve_pattern(job["data"]), folder / "csv", job["rows"])
    sides = {"ours": _run_ours, "csv_example_gen": _run_tfx}
    if job["warm_up_rows"]:  # what is imported and built on first use is no side's fault
        _write_csv(resolve_pattern(job["data"]), folder / "warm", job["warm_up_rows"])
        for name, side in sides.items():
            side(folder / "warm", folder / f"warm-{name}")
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(job["rounds"]):
        for name, side in sides.items() if number % 2 == 0 else reversed(sides.items()):
            target = folder / name
            shutil.rmtree(target, ignore_errors=True)
            started = time.perf_counter()
            side(folder / "csv", target)
            seconds[name].append(time.perf_counter() - started)
    return {
        "rows": rows,
        "seconds": seconds,
        "same": _count_examples(folder / "ours") == _count_examples(folder / "csv_example_gen"),
    }


def _write_csv(source: str, folder: Path, rows: int) -> int:
    """The data as one plain csv file with empty cells for missing values, which is all that CsvExampleGen reads."""
    folder.mkdir()
    with zipfile.ZipFile(source) as archive, archive.open(archive.namelist()[0]) as lines:
        taken = [line for i, line in enumerate(lines) if not rows or i <= rows]
    text = b"".join(taken)
    for _ in range(2):  # twice: two missing cells in a row share a comma
        text = text.replace(b",NA,", b",,")
    (folder / "data.csv").write_bytes(text)
    return len(taken) - 1


def _run_ours(csv: Path, target: Path) -> None:
    from taxiway.components.example_gen.executor import TabularExampleGenExecutor

    data = DataConfig(path=str(csv / "data.csv"))
    properties = {"data": data.model_dump_json(), "label": LABEL.model_dump_json()}
    _run_executor(TabularExampleGenExecutor, target, properties)


def _run_tfx(csv: Path, target: Path) -> None:
    from tfx.components.example_gen.csv_example_gen.executor import Executor
    from tfx.proto import example_gen_pb2
    from tfx.utils import proto_utils

    split = example_gen_pb2.SplitConfig.Split
    output = example_gen_pb2.Output()
    output.split_config.splits.extend([split(name="train", hash_buckets=4), split(name="eval", hash_buckets=1)])
    single = example_gen_pb2.Input(splits=[example_gen_pb2.Input.Split(name="all", pattern="*.csv")])
    properties = {
        "input_base": str(csv),
        "input_config": proto_utils.proto_to_json(single),
        "output_config": proto_utils.proto_to_json(output),
        "output_data_format": example_gen_pb2.FORMAT_TF_EXAMPLE,
        "output_file_format": example_gen_pb2.FORMAT_TFRECORDS_GZIP,
    }
    _run_executor(Executor, target, properties)


def _run_executor(executor: Any, target: Path, properties: dict[str, Any]) -> None:
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
    from tfx.types import standard_artifacts

    artifact = standard_artifacts.Examples()
    artifact.uri = str(target)
    context = BaseBeamExecutor.Context(beam_pipeline_args=list(BEAM_ARGS), tmp_dir=str(target), unique_id="0")
    executor(context).Do({}, {"examples": [artifact]}, properties)


def _count_examples(folder: Path) -> Counter[bytes]:
    """How often each example occurs, over all splits; features in one order, independent of the serializer."""
    import tensorflow as tf

    counts: Counter[bytes] = Counter()
    files = sorted(str(path) for path in folder.glob("Split-*/*.gz"))
    for record in tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator():
        text = tf.train.Example.FromString(record).SerializeToString(deterministic=True)
        counts[hashlib.blake2b(text, digest_size=12).digest()] += 1
    return counts


if __name__ == "__main__":
    subprocesses.run_child_main(run_rounds)
