"""`gc` deletes nothing that is needed, whatever happened before; `doctor` finds and repairs what is wrong."""

import contextlib
import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_metadata.proto import metadata_store_pb2 as pb

from taxiway.components.errors import ServingError, TaxiwayError, UsageError
from taxiway.pipeline.lineage import LineageGraph
from taxiway.pipeline.maintenance import check_store, gc
from taxiway.pipeline.monitoring import retention
from taxiway.pipeline.monitoring.verdicts import write_verdict
from taxiway.pipeline.root import Root as Place
from taxiway.pipeline.runs.on_disk import root_lock
from taxiway.pipeline.tracking import artifact_digests
from tests.pipeline.lineage.stores import FIRST_NODES, Root, memory_folder
from tests.pipeline.monitoring.test_verdicts import make_verdict

STEPS = st.lists(
    st.sampled_from(["new data", "cached", "blocked", "rollback", "promote", "retain", "collect", "killed"]),
    min_size=3,
    max_size=6,
)


@pytest.fixture
def root():
    with memory_folder() as folder:
        made = Root(folder / "root")
        for number in range(4):
            made.run(f"run-{number}", span=number)
        yield made


CACHEABLE = (*FIRST_NODES, "Transform", "Trainer")


def place(root):
    return Place.at(root.path)


def states(root):
    return {artifact.id: artifact.state for artifact in root.mlmd.get_artifacts()}


def check(root):
    """Every version's lineage is whole, and every artifact that ML Metadata calls live is readable."""
    for artifact in root.mlmd.get_artifacts():
        if artifact.state == pb.Artifact.LIVE:
            assert (Path(artifact.uri) / "content").read_text()
        else:
            assert artifact.state == pb.Artifact.DELETED and not Path(artifact.uri).exists()
    for version in root.serving.list_versions():
        graph = LineageGraph.open(root.path, str(version.number))
        assert {node.name for node in graph.where(kind="execution")} >= {*FIRST_NODES, "Trainer", "Pusher"}
        assert {node.state for node in graph.where(kind="artifact")} == {"LIVE"}


def step(root, what, number):
    if what in ("new data", "cached", "blocked"):
        nodes = {"nodes": FIRST_NODES} if what == "blocked" else {}
        cached = _in_the_cache(root) if what == "cached" else ()
        root.run(f"run-{number}", span=number, cached=cached, **nodes)
    elif what == "rollback":
        with contextlib.suppress(ServingError):
            root.serving.rollback()
    elif what == "promote":
        root.serving.promote(root.serving.list_versions()[0].number, "stable")
    elif what == "retain":
        root.serving.retain_newest(1)
    elif what == "killed":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gc, "move_to_trash", _dies_at(number % 3))
            with contextlib.suppress(Killed):
                gc.collect(place(root), keep_runs=1)
        gc.collect(place(root), keep_runs=1)
    else:
        gc.collect(place(root), keep_runs=1)


def _in_the_cache(root):
    """The first nodes whose outputs all still lie where they were written: what TFX's look-up would find."""
    nodes = itertools.takewhile(lambda node: all(root.folder(key).exists() for key in root.keys(node)), CACHEABLE)
    return tuple(nodes)


class Killed(BaseException):
    pass


def _dies_at(count):
    left = [count]

    def throw(folder, trash, real=gc.move_to_trash):
        if left[0] == 0:
            raise Killed
        left[0] -= 1
        real(folder, trash)

    return throw


@settings(max_examples=8, deadline=None, derandomize=True)
@given(steps=STEPS)
def test_after_any_history_every_version_is_whole_and_everything_kept_is_readable(steps):
    with memory_folder() as folder:
        root = Root(folder / "root")
        root.run("run-first")
        for number, what in enumerate(["new data", *steps, "collect"], start=1):
            step(root, what, number)
        check(root)


def test_a_dry_run_changes_nothing_and_names_what_goes(root):
    root.serving.retain_newest(1)
    before = states(root)
    would = gc.collect(place(root), keep_runs=1, dry_run=True)
    assert states(root) == before and would.artifacts
    done = gc.collect(place(root), keep_runs=1)
    assert done.artifacts == would.artifacts and done.total_bytes == would.total_bytes > 0
    assert not any(Path(folder).exists() for folder in done.folders)
    assert gc.collect(place(root), keep_runs=1).artifacts == ()


def test_versions_and_age_protect(root):
    assert gc.collect(place(root), keep_runs=1).artifacts == ()  # every run became a version
    check(root)
    root.serving.retain_newest(1)
    assert gc.collect(place(root), keep_runs=1, older_than_days=1).artifacts == ()
    with pytest.raises(UsageError, match="less than 1"):
        gc.collect(place(root), keep_runs=0)


def test_lineage_still_tells_of_what_was_collected(root):
    model = root.path / "artifacts" / "Trainer" / "model" / "run-0"
    root.serving.retain_newest(1)
    gc.collect(place(root), keep_runs=1)
    assert not model.exists()
    graph = LineageGraph.open(root.path, str(model))
    assert [node.state for node in graph.where(type="Model")] == ["DELETED"]
    assert {node.run for node in graph.where(name="Trainer")} == {"run-0"}


def test_nothing_outside_the_root_and_nothing_shared_goes(root, tmp_path):
    outside = tmp_path / "mine"
    outside.mkdir()
    kept = root.path / "artifacts" / "Trainer" / "model" / "run-3"
    type_id = root.mlmd.get_artifact_type("Model").id
    for uri in (outside, kept, kept / "part"):
        root.mlmd.put_artifacts([pb.Artifact(type_id=type_id, uri=str(uri), state=pb.Artifact.LIVE)])
    root.serving.retain_newest(1)
    gc.collect(place(root), keep_runs=1)
    assert outside.exists() and kept.exists()


def test_a_running_pipeline_is_left_alone(root):
    with root_lock.hold_lock(place(root), wait=False), pytest.raises(TaxiwayError, match="Another run holds"):
        gc.collect(place(root))


def test_old_checkpoints_go(root):
    folder = root.path / "checkpoints" / "key"
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text("{}")
    gc.collect(place(root), keep_runs=1)
    assert folder.exists()  # touched after the newest run began
    for path in (folder / "meta.json", folder):
        gc.os.utime(path, (0, 0))
    gc.collect(place(root), keep_runs=1)
    assert not folder.exists()


def test_old_request_logs_and_verdicts_go(root):
    logs = root.path / "serving" / "other" / "request_log"
    logs.mkdir(parents=True)
    names = [f"2026010{day}T000000.000000Z-host-1.tfrecord" for day in (1, 2)]
    for name in (*names, "of somebody else"):
        (logs / name).write_bytes(b"x" * 100)
    gc.os.utime(logs / names[0], (0, 0))
    written = [write_verdict(place(root), make_verdict(7, 1e9 + hour)) for hour in range(retention.VERDICTS_KEPT + 2)]
    dry = gc.collect(place(root), dry_run=True)
    assert {str(logs / names[0]), *map(str, written[:2])} <= set(dry.folders) and all(map(Path.exists, written))
    gc.collect(place(root))
    assert sorted(path.name for path in logs.iterdir()) == [names[1], "of somebody else"]
    assert [folder.exists() for folder in written[:3]] == [False, False, True]


def test_a_sound_root_has_no_troubles(root):
    assert check_store.examine_store(place(root)) == []


def test_troubles_are_found_and_what_is_safe_is_mended(root):
    made = root.path / "artifacts"
    for execution in [e.id for e in root.mlmd.get_executions()][:1]:
        artifact_digests.record_digests(root.mlmd, execution)
    (made / "ExampleGen/examples/run-0/content").write_text("other bytes")
    (made / "Trainer/model/run-1").rename(root.path / "moved")
    running = pb.Execution(
        type_id=root.mlmd.get_execution_type("tfx.Evaluator").id, last_known_state=pb.Execution.RUNNING
    )
    contexts = [context for kind in ("node", "pipeline_run") for context in root.mlmd.get_contexts_by_type(kind)[:1]]
    root.mlmd.put_execution(running, [], contexts)
    staged = root.serving.base / ".taxiway" / "staging" / "half"
    staged.mkdir(parents=True)
    foreign = root.serving.base / "7"
    foreign.mkdir()
    (foreign / "saved_model.pb").write_text("x")

    found = check_store.examine_store(place(root))
    assert sorted(trouble.kind for trouble in found) == ["artifact", "artifact", "execution", "left-over", "version"]
    left = check_store.fix_store(place(root))
    assert [trouble.kind for trouble in left] == ["version"]
    assert not staged.exists() and foreign.exists()
