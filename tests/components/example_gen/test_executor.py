"""Stages run by an engine's workers give what the threads of one process give, errors included."""

import threading

import apache_beam as beam
import pytest

from taxiway.components.beam.options import BEAM_OPTIONS, runs_on_engine
from taxiway.components.errors import DataError
from taxiway.components.example_gen.config import DataConfig, LabelConfig
from taxiway.components.example_gen.executor import make_stage_runner
from taxiway.components.example_gen.ingest import ingest_data
from taxiway.components.example_gen.stages.jobs import run_in_threads
from tests.components.example_gen.rows import TABLE, read_all, write


def make_pipeline():
    return beam.Pipeline(argv=[*BEAM_OPTIONS])


def test_an_engine_gives_the_same(tmp_path):
    for name in "ab":
        write(tmp_path / "data" / f"{name}.csv", {column: values * 20 for column, values in TABLE.items()})
    runners = {"beam": make_stage_runner(make_pipeline, str(tmp_path / "work")), "threads": run_in_threads}
    data, label = DataConfig(path=str(tmp_path / "data")), LabelConfig(column="y")
    results = [ingest_data(data, label, str(tmp_path / name), run) for name, run in runners.items()]
    assert results[0] == results[1]
    assert read_all(tmp_path / "beam") == read_all(tmp_path / "threads")
    assert len(results[0].shards["train"]) == 2


def test_errors_of_a_stage_are_ours(tmp_path):
    (tmp_path / "t.csv").write_text("x,y\n1,2,3\n")
    for run in (make_stage_runner(make_pipeline, str(tmp_path / "work")), run_in_threads):
        with pytest.raises(DataError, match="cannot be read"):
            ingest_data(DataConfig(path=str(tmp_path / "t.csv")), LabelConfig(column="y"), str(tmp_path / "o"), run)


def test_after_an_error_no_job_begins():
    begun, failing = [], threading.Event()

    def stage(job):
        begun.append(job["number"])
        if job["number"] == 0:
            failing.set()
            raise DataError("wrong", "mend it")
        failing.wait(10)
        return job

    with pytest.raises(DataError, match="wrong"):
        run_in_threads(stage, [{"number": number} for number in range(1000)])
    assert len(begun) < 1000
    assert run_in_threads(lambda job: job, [{"number": number} for number in range(20)])[7] == {"number": 7}


def test_the_runner_says_where_a_pipeline_runs():
    assert not runs_on_engine(make_pipeline())
    assert not runs_on_engine(beam.Pipeline(argv=["--runner=DirectRunner"]))
    assert runs_on_engine(beam.Pipeline(argv=["--runner=PortableRunner", "--job_endpoint=localhost:1"]))
