"""`taxiway lineage --import`: a run of a server becomes the records of a root, and lineage answers from them."""

from __future__ import annotations

import fnmatch
import json

import kfp_server_api as api
import pytest
from typer.testing import CliRunner

from taxiway.components.errors import StoreError, UsageError
from taxiway.pipeline import cli
from taxiway.pipeline.kubeflow.importing import api_records, stored_records
from taxiway.pipeline.kubeflow.importing.importer import ImportRequest, import_run
from taxiway.pipeline.lineage import LineageGraph
from taxiway.pipeline.lineage.steps import list_steps
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking import history
from taxiway.pipeline.tracking.store import execution_record
from tests.pipeline.kubeflow.importing import answers
from tests.pipeline.lineage.clusters import Cluster
from tests.pipeline.lineage.stores import DAG, FIRST_NODES


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """The records of the run `r1`, and of `r0` before it, from whose cache the first nodes came."""
    cluster = Cluster(tmp_path_factory.mktemp("there") / "root")
    cluster.run("r0", nodes=FIRST_NODES, emulated=False)
    cluster.run("r1", cached=FIRST_NODES, emulated=False)
    return execution_record.read_execution_records(cluster.root)


def of_run(records, run_id):
    return [record for record in records if record.run_id == run_id]


@pytest.fixture()
def root(tmp_path):
    return Root.at(tmp_path / "here")


class Bucket:
    """The records as steps upload them, beside their outputs."""

    def __init__(self, records):
        self.files = {}
        for record in records:
            uris = [listed[0].uri for listed in record.outputs.values()]
            if uris:
                self.files[f"{uris[0].rpartition('/')[0]}/salt/record"] = record.model_dump_json()

    def glob(self, pattern):
        return [uri for uri in self.files if fnmatch.fnmatch(uri, pattern)]

    def read_text(self, uri):
        return self.files[uri]


def without_mlmd(backend, there):
    """The server tells tasks and artifacts; cached tasks list those of `r0`."""
    cached = [answers.make_task(record, "CACHED") for record in of_run(there, "r0")]
    full = answers.make_run(of_run(there, "r1"))
    backend.states = ["SUCCEEDED"]
    backend.full_view = {**full, "tasks": [*full["tasks"], *cached], "pipeline_spec": answers.make_specification(there)}


def test_a_server_without_ml_metadata_tells_all(backend, there, root):
    without_mlmd(backend, there)
    imported = import_run(root, ImportRequest("r1", backend.url))
    assert set(imported.written) == set(DAG) and imported.known == ()
    found = {(r.run_id, r.node): r for r in execution_record.read_execution_records(root.path)}
    for record in there:
        mine = found[record.run_id, record.node]
        assert (mine.pipeline, mine.executor, mine.state) == ("taxi", record.executor, record.state)
        assert (mine.started, mine.finished) == (record.started, record.finished)
        assert mine.inputs == record.inputs and mine.outputs == record.outputs
        assert mine.parameters == record.parameters


def test_lineage_and_runs_answer_from_an_imported_run(backend, there, root):
    without_mlmd(backend, there)
    import_run(root, ImportRequest("r1", backend.url))
    newest = history.find_run(root, "r1")
    assert newest.model == "taxi" and newest.push and newest.push.version == 7
    assert {node.node for node in newest.nodes if node.state == "cached"} == set(FIRST_NODES)
    graph = LineageGraph.open(root.path, "r1")
    assert {step.node for step in list_steps(graph, root)} == set(DAG)


def test_a_second_import_leaves_what_is_there(backend, there, root):
    without_mlmd(backend, there)
    import_run(root, ImportRequest("r1", backend.url))
    kept = execution_record.find_record_file(root.path, "r1", "Trainer")
    before = kept.read_text() + "\n"
    kept.write_text(before)
    imported = import_run(root, ImportRequest("r1", backend.url))
    assert imported.written == () and set(imported.known) == set(DAG)
    assert kept.read_text() == before


def test_a_failed_task_has_the_servers_reason(backend, tmp_path, root):
    cluster = Cluster(tmp_path / "there")
    cluster.run("r1", nodes=(*FIRST_NODES, "Transform"), failed="Transform", emulated=False)
    records = execution_record.read_execution_records(cluster.root)
    backend.states = ["FAILED"]
    backend.full_view = answers.make_run(records, pipeline_spec=answers.make_specification(records))
    import_run(root, ImportRequest("r1", backend.url))
    run = history.find_run(root, "r1")
    assert (run.state, run.reason) == ("failed", "Transform: ValueError: no rows")


def test_a_server_with_ml_metadata_tells_no_artifacts_and_the_bucket_does(backend, there, root):
    """Release 2.17 answers with Argo's nodes alone; the run's root and the pipeline's version say where to look."""
    backend.states = ["SUCCEEDED"]
    version = {"pipeline_id": "p0", "pipeline_version_id": "v0"}
    backend.full_view = {
        "pipeline_version_reference": version,
        "runtime_config": {"pipeline_root": "minio://bucket/"},
    }
    spec = {"pipeline_spec": answers.make_specification(there), "platform_spec": {}}
    backend.versions = [api.V2beta1PipelineVersion(pipeline_version_id="v0", pipeline_spec=spec)]
    imported = import_run(root, ImportRequest("r1", backend.url), files=Bucket(there))
    assert set(imported.written) == set(DAG) - set(FIRST_NODES)


def test_the_bucket_alone_is_enough(there, root):
    imported = import_run(root, ImportRequest("minio://bucket/taxi/r1"), files=Bucket(there))
    assert set(imported.written) == set(DAG) - set(FIRST_NODES)
    assert execution_record.find_record_file(root.path, "r1", "Pusher").exists()


def test_records_of_cached_nodes_are_found_beside_the_outputs_that_were_read(root, there):
    bucket = Bucket(there)
    bucket.files = {uri.replace("/salt/record", "/record"): text for uri, text in bucket.files.items()}
    first = of_run(there, "r1")[0]
    found = stored_records._list_makers(first, "minio://bucket/taxi/")
    assert all(uri.endswith("/record") for uri in found) and found
    bucket.files["minio://bucket/taxi/r1/Transform/salt/record"] = bucket.files.pop(
        "minio://bucket/taxi/r1/Transform/record"
    )
    records = stored_records.read_run_records("minio://bucket/taxi/r1", bucket)
    assert {record.run_id for record in records} == {"r0", "r1"}


def test_a_run_that_goes_on_is_not_imported(backend, root):
    backend.states = ["RUNNING"]
    with pytest.raises(UsageError, match="is RUNNING") as refused:
        import_run(root, ImportRequest("r1", backend.url))
    assert "taxiway follow r1" in str(refused.value)


def test_where_the_artifacts_are_must_be_known(backend, root):
    backend.states = ["SUCCEEDED"]
    with pytest.raises(UsageError, match="tells no artifacts") as refused:
        import_run(root, ImportRequest("r1", backend.url))
    assert "--pipeline-root" in str(refused.value)


def test_an_empty_place_is_an_error(root):
    with pytest.raises(StoreError, match="There are no records of the run r9"):
        import_run(root, ImportRequest("minio://bucket/taxi/r9"), files=Bucket([]))
    with pytest.raises(UsageError, match="needs --host"):
        import_run(root, ImportRequest("r9"))


def test_options_without_a_use_are_refused(root):
    with pytest.raises(UsageError, match="have no use"):
        import_run(root, ImportRequest("minio://bucket/taxi/r1", host="http://127.0.0.1:1"), files=Bucket([]))
    done = CliRunner().invoke(cli.app, ["lineage", "--host", "http://127.0.0.1:1", "--root", str(root.path)])
    assert isinstance(done.exception, UsageError) and "belong to --import" in str(done.exception)


def test_a_damaged_record_is_an_error(there, root):
    bucket = Bucket(there)
    bucket.files = dict.fromkeys(bucket.files, '{"version": 9}')
    with pytest.raises(StoreError, match="is no execution record"):
        import_run(root, ImportRequest("minio://bucket/taxi/r1"), files=bucket)


def test_an_object_store_is_read_through_fsspec(there, root, tmp_path):
    pytest.importorskip("fsspec")
    for uri, text in Bucket(there).files.items():
        file = tmp_path / uri.replace("minio://", "")
        file.parent.mkdir(parents=True)
        file.write_text(text)
    imported = import_run(root, ImportRequest(f"file://{tmp_path}/bucket/taxi/r1"))
    assert set(imported.written) == set(DAG) - set(FIRST_NODES)


def test_a_store_that_nothing_here_reads_names_the_remedy(root):
    with pytest.raises(StoreError, match="is no URL of an object store") as refused:
        import_run(root, ImportRequest("nosuch://bucket/taxi/r1"))
    assert "s3://" in str(refused.value)


def test_types_of_the_backend_are_no_lineage(there):
    run = answers.make_run(of_run(there, "r1"))
    records = api_records.list_records(run, {})
    keys = {key for record in records for key in record.outputs}
    assert keys and not keys & {"curves", "executor-logs"}


def test_the_command_imports_then_tells(backend, there, tmp_path):
    without_mlmd(backend, there)
    arguments = ["lineage", "--import", "r1", "--host", backend.url, "--root", str(tmp_path / "here"), "--json"]
    done = CliRunner().invoke(cli.app, arguments)
    assert done.exit_code == 0, done.output
    assert f"Imported {len(DAG)} records of the run r1." in done.stderr
    assert {step["node"] for step in json.loads(done.stdout)["steps"]} == set(DAG)
