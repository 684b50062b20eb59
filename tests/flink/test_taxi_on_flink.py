"""The taxi pipeline on a real Flink cluster with two TaskManagers, beside the same run on this machine alone."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import statistics_pb2

from taxiway.components.beam.shards import ReadRecords, SpreadFiles
from taxiway.components.tables.tfx_bsl_private import make_example_decoder
from taxiway.pipeline.resources import BeamConfig
from taxiway.pipeline.resources.beam_args import make_beam_args
from tests.e2e.conftest import Run, run, taxi_config
from tests.flink.cluster import FlinkCluster
from tests.flink.sample import write_place

pytestmark = [pytest.mark.flink, pytest.mark.timeout(1200)]

QUICK = ("--set", "optimization.variants=[frozen]", "--set", "training.epochs=3")  # after one, calibration blocked
SHARDS = 8
MOST_OF_THE_FILES = 0.6
BESIDE_EDGES = 0.99
"""Least share of a feature's values that are equal."""
SEEDS_APART = 0.01
"""Difference of two areas under the curve after so short a training."""


@pytest.fixture(scope="module")
def both(cluster: FlinkCluster, engine: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """The same configuration on the cluster and here; one after the other, they share two cores."""
    folder = tmp_path_factory.mktemp("both")
    there = run(taxi_config(folder / "there"), folder / "flink", *QUICK, "--set", engine)
    here = run(taxi_config(folder / "here"), folder / "local", *QUICK)
    assert there.code == 0, there.printed
    assert here.code == 0, here.printed
    return there, here


def _make_options(cluster: FlinkCluster) -> list[str]:
    addresses = {"job_endpoint": cluster.job_endpoint, "worker_pool": cluster.worker_pool}
    return make_beam_args(BeamConfig(runner="flink", parallelism=2, **addresses))


def test_each_side_reads_its_share_of_the_files(cluster: FlinkCluster, tmp_path: Path) -> None:
    """Workers of the two TaskManagers are two processes; each file is read in one of them."""
    (tmp_path / "places").mkdir()
    for shard in range(SHARDS):
        with tf.io.TFRecordWriter(f"{tmp_path}/rows-{shard:05d}.gz", "GZIP") as out:
            out.write(f"row of {shard}".encode())
    with beam.Pipeline(argv=_make_options(cluster)) as pipeline:
        files = pipeline | SpreadFiles([f"{tmp_path}/rows-*"])
        _ = files | beam.Map(write_place, str(tmp_path / "places"))
        rows = pipeline | ReadRecords([f"{tmp_path}/rows-*"])
        _ = rows | beam.Map(bytes.decode) | beam.io.WriteToText(f"{tmp_path}/read")
    processes = [Path(file).read_text() for file in (tmp_path / "places").iterdir()]
    read = [line for file in tmp_path.glob("read-*") for line in file.read_text().splitlines()]
    assert len(processes) == SHARDS and max(Counter(processes).values()) <= MOST_OF_THE_FILES * SHARDS
    assert sorted(read) == [f"row of {shard}" for shard in range(SHARDS)]


def test_the_pipeline_ran_on_the_cluster_to_a_live_version(both: tuple[Run, Run], cluster: FlinkCluster) -> None:
    there, _ = both
    assert there.live.is_dir()
    jobs = cluster.ask("/jobs/overview")["jobs"]
    assert len(jobs) >= 4 and {job["state"] for job in jobs} == {"FINISHED"}
    assert "Attempting to infer TFX Python dependency" not in there.printed


def test_examples_and_statistics_are_equal(both: tuple[Run, Run]) -> None:
    """Sums of doubles are added in another order; a histogram's edges are estimates that depend on it."""
    for split in ("train", "eval"):
        there, here = (_count_examples(each, split) for each in both)
        assert sum(there.values()) and there == here
        there, here = (_read_statistics(each, split) for each in both)
        assert there.keys() == here.keys()
        for column, numbers in there.items():
            assert numbers == pytest.approx(here[column], rel=1e-6), column  # some are float32


def test_vocabulary_and_transformed_rows_are_equal(both: tuple[Run, Run]) -> None:
    """Each feature's values, in order; a row beside an estimated edge of a bucket may be in the next one."""
    there, here = (_read_assets(each) for each in both)
    assert there and there == here
    there, here = (_read_features(each, "eval") for each in both)
    assert there.keys() == here.keys()
    for name, values in there.items():
        assert len(values) == len(here[name])
        same = np.isclose(values, here[name], rtol=1e-4, atol=1e-6)
        assert same.mean() > BESIDE_EDGES, name


def test_the_same_gates_pass_with_the_same_quality(both: tuple[Run, Run]) -> None:
    """Both models are trained on the same rows, which Transform leaves in another order each time."""
    there, here = ({gate["gate"]: gate for gate in each.summary["gates"]} for each in both)
    assert there.keys() == here.keys() and all(gate["passed"] for gate in there.values())
    there, here = (_read_auc(each) for each in both)
    assert there == pytest.approx(here, abs=SEEDS_APART)


def _read_files(artifact: Path, split: str) -> list[bytes]:
    files = sorted(str(file) for file in (artifact / f"Split-{split}").iterdir() if file.suffix == ".gz")
    return list(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator())


def _count_examples(each: Run, split: str) -> Counter:
    """Rows by content: a serialized map has its entries in any order."""
    rows = (tf.train.Example.FromString(row) for row in _read_files(each.artifact("ExampleGen", "examples"), split))
    return Counter(row.SerializeToString(deterministic=True) for row in rows)


def _read_statistics(each: Run, split: str) -> dict[str, dict[str, float]]:
    """By column: counts, moments and extremes."""
    folder = each.artifact("StatisticsGen", "statistics") / f"Split-{split}"
    read = statistics_pb2.DatasetFeatureStatisticsList.FromString(next(folder.iterdir()).read_bytes())
    return {str(feature.path): _list_numbers(feature) for feature in read.datasets[0].features}


def _list_numbers(feature: statistics_pb2.FeatureNameStatistics) -> dict[str, float]:
    kind = feature.WhichOneof("stats")
    own, common = getattr(feature, kind), getattr(feature, kind).common_stats
    names = ("mean", "std_dev", "min", "max", "num_zeros") if kind == "num_stats" else ("unique", "avg_length")
    numbers = {name: float(getattr(own, name)) for name in names}
    return numbers | {"present": common.num_non_missing, "missing": common.num_missing}


def _read_features(each: Run, split: str) -> dict[str, np.ndarray]:
    """By transformed feature: the values of all rows, sorted."""
    batch = make_example_decoder()(_read_files(each.artifact("Transform", "transformed_examples"), split))
    columns = zip(batch.schema.names, batch.columns, strict=True)
    return {name: np.sort(np.asarray(column.flatten().to_pylist(), np.float64)) for name, column in columns}


def _read_auc(each: Run) -> float:
    [gate] = [gate for gate in each.summary["gates"] if gate["gate"] == "Evaluator"]
    return float(gate["numbers"]["auc"].split()[0])


def _read_assets(each: Run) -> dict[str, list[str]]:
    folder = each.artifact("Transform", "transform_graph") / "transform_fn" / "assets"
    return {file.name: sorted(file.read_text().splitlines()) for file in folder.iterdir()}


def test_a_lost_task_manager_ends_the_run_with_an_error_and_nothing_half_written(
    cluster: FlinkCluster, engine: str, tmp_path: Path
) -> None:
    """In the step whose job ran on it, or in the next one, which waits in vain for a second slot."""
    config, root = taxi_config(tmp_path / "config"), tmp_path / "root"
    command = [sys.executable, "-m", "taxiway", "run", str(config), "--root", str(root), "--set", engine, *QUICK]
    before = len(cluster.ask("/jobs/overview")["jobs"])
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path)
    try:
        _wait_for_job(cluster, before + 2)  # the first is the preflight
        cluster.kill("taskmanager-0")
        assert running.wait(400) == 1, (tmp_path / "log").read_text()
    finally:
        running.kill()
        cluster.start_task_manager(0)
    summary = json.loads(next(root.glob("runs/*/summary.json")).read_text())
    failed = [node for node in summary["nodes"] if node["state"] == "failed"]
    assert len(failed) == 1 and failed[0]["reason"]
    written = [path for path in root.glob(f"artifacts/{failed[0]['node']}/**/*") if path.is_file()]
    assert not written and not list(root.glob("serving/taxi/*"))


def _wait_for_job(cluster: FlinkCluster, count: int) -> None:
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline:
        try:
            jobs = cluster.ask("/jobs/overview")["jobs"]
        except OSError:  # busy, or not there
            jobs = []
        if len(jobs) >= count and any(job["state"] == "RUNNING" for job in jobs):
            return
        time.sleep(0.2)
    raise AssertionError("no job of the run has begun")
