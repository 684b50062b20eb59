"""ExampleGen's cache depends on what the data holds when the run starts, not on what it held when it was compiled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from taxiway.components.files.object_stores import ObjectFolder
from taxiway.components.files.patterns import quote_name
from taxiway.pipeline.config import load_config
from taxiway.pipeline.emulator.run import EmulationSettings, RunResult, emulate_run
from taxiway.pipeline.kubeflow.compiler import compile_for_target
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking import history
from taxiway.pipeline.tracking.store import execution_record
from tests.pipeline.kubeflow.conftest import KUBEFLOW

ROWS = "".join(f"{n},{n % 7},{n % 2}\n" for n in range(60))
FIRST_TASKS = ("DataDigest", "ExampleGen")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("digest")
    (made / "days").mkdir()
    (made / "days" / "20260101.csv").write_text(f"a,b,label\n{ROWS}")
    (made / "c.yaml").write_text("name: days\ndata: {path: 'days/{SPAN}.csv'}\nlabel: {column: label}\n")
    return made


@pytest.fixture(scope="module")
def package(folder) -> str:
    return compile_first_tasks(folder, KUBEFLOW)


def compile_first_tasks(folder: Path, kubeflow: dict[str, Any]) -> str:
    """A compiled file, its tasks after ExampleGen taken out."""
    compiled = compile_for_target(load_config(folder / "c.yaml", [f"resources.kubeflow={json.dumps(kubeflow)}"]))
    dag = compiled.spec["root"]["dag"]
    dag["tasks"] = {name: dag["tasks"][name] for name in FIRST_TASKS}
    compiled.spec["components"] = {name: compiled.spec["components"][name] for name in FIRST_TASKS}
    return compiled.text


@pytest.fixture(scope="module")
def first(package, folder) -> RunResult:
    return emulate(package, folder)


def emulate(package: str, folder: Path, **parameters: str) -> RunResult:
    here = {"root": str(folder / "root"), "data_path": f"{quote_name(folder)}/days/{{SPAN}}.csv"}
    return emulate_run(package, EmulationSettings(folder / "kfp", {**here, **parameters}))


def read_records(folder: Path, run: RunResult) -> dict[str, execution_record.ExecutionRecord]:
    records = execution_record.read_execution_records(folder / "root")
    return {record.node: record for record in records if record.run_id == run.run_id}


def states(run: RunResult) -> list[str]:
    return [run.tasks[name].state for name in FIRST_TASKS]


def test_the_step_tells_the_digest_and_the_span(first, folder):
    assert states(first) == ["succeeded", "succeeded"], [task.reason for task in first.tasks.values()]
    records = read_records(folder, first)
    assert records["DataDigest"].properties["spans"] == "20260101"
    [[examples]] = records["ExampleGen"].outputs.values()
    assert records["DataDigest"].properties["digest"] in examples.properties.values()
    assert records["ExampleGen"].parameters["span"] == "20260101"


def test_two_runs_of_one_file_read_changed_data_anew_and_unchanged_data_from_the_cache(first, package, folder):
    assert states(emulate(package, folder)) == ["succeeded", "cached"]
    (folder / "days" / "20260101.csv").write_text(f"a,b,label\n{ROWS}61,5,1\n")
    changed = emulate(package, folder)
    assert states(changed) == ["succeeded", "succeeded"]
    assert changed.outputs["ExampleGen"]["examples"]["uri"] != first.outputs["ExampleGen"]["examples"]["uri"]
    (folder / "days" / "20260101.csv").write_text(f"a,b,label\n{ROWS}")
    assert emulate(package, folder).outputs["ExampleGen"] == first.outputs["ExampleGen"]


def test_a_later_day_is_not_read_by_the_run_of_an_earlier_one(first, package, folder):
    """A run that starts late, or again, reads what it would have read at its scheduled time."""
    (folder / "days" / "20260201.csv").write_text("not,yet,written\n")
    late = emulate(package, folder, scheduled_time="20260131060000")
    assert states(late) == ["succeeded", "cached"]
    assert late.outputs["ExampleGen"] == first.outputs["ExampleGen"]


def test_a_macro_that_nobody_filled_in_fails_with_its_reason(first, package, folder):
    failed = emulate(package, folder, scheduled_time="[[ScheduledTime]]")
    assert states(failed) == ["failed", "omitted"]
    assert "recurring runs only" in read_records(folder, failed)["DataDigest"].error
    run = history.find_run(Root.at(folder / "root"), failed.run_id)
    assert run.state == "failed" and run.reason.startswith("DataDigest: DataError: scheduled_time is")
    log = failed.tasks["DataDigest"].log.read_text()
    assert "Traceback" not in log and "[[ScheduledTime]]" in log


def test_the_step_is_never_cached_and_reads_with_the_readers_volumes(folder):
    own = {"components": {"ExampleGen": {"volumes": [{"claim": "rows", "mount_path": "/rows"}], "cache": True}}}
    config = load_config(folder / "c.yaml", [f"resources.kubeflow={json.dumps({**KUBEFLOW, **own})}"])
    compiled = compile_for_target(config)
    assert not compiled.spec["root"]["dag"]["tasks"]["DataDigest"].get("cachingOptions", {}).get("enableCache", False)
    executors = compiled.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert executors["DataDigest_executor"] == executors["ExampleGen_executor"]


def test_data_in_an_object_store_is_read_with_a_secrets_keys(s3, folder, tmp_path):
    """The pods have no credentials but those of the secret; the endpoint is a plain variable."""
    bucket = ObjectFolder(f"minio://{s3.bucket}/{tmp_path.name}")
    for day in (20260101, 20260102):
        bucket.put_object(f"{day}.csv", f"a,b,label\n{ROWS}{day},1,1\n".encode())
    secret = {"name": "keys", "variables": {"access": "AWS_ACCESS_KEY_ID", "secret": "AWS_SECRET_ACCESS_KEY"}}
    reached = {"environment": {"AWS_ENDPOINT_URL_S3": s3.url}, "secret_variables": [secret]}
    package = compile_first_tasks(
        folder, {**KUBEFLOW, "components": {"ExampleGen": {**KUBEFLOW["default"], **reached}}}
    )
    run = emulate(package, folder, data_path=f"{bucket.url}/{{SPAN}}.csv", scheduled_time="20260101060000")
    assert states(run) == ["succeeded", "succeeded"], [task.reason for task in run.tasks.values()]
    [[examples]] = read_records(folder, run)["ExampleGen"].outputs.values()
    assert examples.properties["rows_read"] == 61
    assert 20260101 in examples.properties.values(), "the span"
