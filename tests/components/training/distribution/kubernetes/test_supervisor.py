"""The step before an API server: refusals, pods that do not come, a training that ends, is cut short, goes on."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from taxiway.components.errors import ConfigError, TaxiwayError, TrainingError, TrainingStoppedError
from taxiway.components.training.distribution.kubernetes import manifests, shared_folder, supervisor
from taxiway.components.training.distribution.kubernetes.api import JOB_SET
from taxiway.components.training.distribution.kubernetes.supervisor import KubernetesSupervisor, name_object
from tests.components.training.distribution.kubernetes.fake_cluster import FakeCluster, start_cluster
from tests.components.training.distribution.kubernetes.test_manifests import fetch_schema
from tests.components.training.hosts import find_obstacle
from tests.components.training.paused import checkpoint_steps
from tests.components.training.synthetic import make_job

LIMITS = {
    "workers": 2,
    "where": "kubernetes",
    "threads_per_task": 1,
    "start_timeout_seconds": 240,
    "step_timeout_seconds": 60,
}
SETTINGS: dict[str, Any] = {"strategy": "multi_worker_mirrored", "cluster": LIMITS, "global_batch_size": 60}
LONG = SETTINGS | {"epochs": 60, "evaluate_every_steps": 100, "steps_per_loop": 10, "checkpoint": {"every_steps": 30}}
NEVER = lambda: False  # noqa: E731


@pytest.fixture(autouse=True)
def _find_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "cluster" / "kubeconfig"))
    # Read once, when the client is imported.
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", os.environ["KUBECONFIG"])


def _run(
    cluster: FakeCluster, data: Path, training: dict[str, Any], terminated: Callable[[], bool] = NEVER
) -> dict[str, Any]:
    return KubernetesSupervisor(cluster.make_job(data, training), terminated, poll_seconds=0.2).run_to_end()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"installed": []}, r"knows neither JobSet \(jobset.x-k8s.io/v1alpha2\) nor TFJob"),
        ({"forbidden": ["create jobsets", "get pods/log"]}, r"may not create jobsets.jobset.x-k8s.io, get pods/log in"),
    ],
)
def test_a_cluster_that_cannot_or_may_not_is_refused_before_anything_is_made(
    binary_data: Path, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with start_cluster(tmp_path / "cluster", **settings) as cluster, pytest.raises(ConfigError, match=message):
        _run(cluster, binary_data, SETTINGS)
    assert not (tmp_path / "cluster" / "jobsets.json").exists()


def test_checkpoints_that_pods_do_not_see_are_refused(binary_data: Path, tmp_path: Path) -> None:
    with start_cluster(tmp_path / "cluster") as cluster:
        job = cluster.make_job(binary_data, SETTINGS).model_copy(update={"checkpoint_dir": str(tmp_path / "own")})
    with pytest.raises(ConfigError, match=r"are on no volume that its pods mount"):
        shared_folder.find_shared_folder(job)


def test_pods_that_do_not_come_up_end_the_step_and_are_removed(binary_data: Path, tmp_path: Path) -> None:
    limits = LIMITS | {"start_timeout_seconds": 0.5}
    image = "registry.example/taxiway:1"
    with start_cluster(tmp_path / "cluster", dead_image=image) as cluster:
        with pytest.raises(TrainingError, match=r"did not come up within 0\.5 s: taxiway-.*: ImagePullBackOff"):
            _run(cluster, binary_data, SETTINGS | {"cluster": limits})
        assert not cluster.list_pods("jobsets")
    assert any(r.startswith("DELETE") for r in json.loads((tmp_path / "cluster" / "requests.json").read_text()))


needs_hosts = pytest.mark.skipif(bool(find_obstacle()), reason=find_obstacle() or "hosts can be made")


def _at_checkpoint(cluster: FakeCluster, step: int) -> bool:
    folder = cluster.volume / "checkpoints" / "one"
    return max(checkpoint_steps(folder), default=0) >= step


@pytest.mark.cluster
@pytest.mark.timeout(600)
@needs_hosts
def test_a_jobset_is_cut_short_and_goes_on_to_a_model(one_file_data: Path, tmp_path: Path) -> None:
    schemas = {"jobsets": fetch_schema("jobsets", tmp_path)} if os.environ.get("TAXIWAY_TEST_NETWORK") else {}
    with start_cluster(tmp_path / "cluster", hosts=4, schemas=schemas) as cluster:
        with pytest.raises(TrainingStoppedError, match="saved a checkpoint at step"):
            _run(cluster, one_file_data, LONG, lambda: _at_checkpoint(cluster, 30))
        assert not cluster.list_pods("jobsets"), "they are gone when the step ends"
        saved = max(checkpoint_steps(cluster.volume / "checkpoints" / "one"))
        result = _run(cluster, one_file_data, LONG)
    assert (result["replicas"], result["steps"]) == (2, 660)
    history = json.loads((tmp_path / "cluster" / "own" / "training" / "history.json").read_text())
    assert [(event["kind"], event["step"]) for event in history["events"]] == [("resumed", saved)]
    assert (tmp_path / "cluster" / "own" / "export" / "saved_model.pb").exists()
    logs = sorted(path.name for path in (cluster.volume / "checkpoints" / "one" / "cluster").glob("taxiway-*.log"))
    assert [name.rsplit("-", 3)[1] for name in logs] == ["chief", "worker"]


@pytest.mark.cluster
@pytest.mark.timeout(600)
@needs_hosts
def test_a_tfjob_loses_its_worker_and_ends_with_a_model(one_file_data: Path, tmp_path: Path) -> None:
    with start_cluster(tmp_path / "cluster", hosts=4, installed=["tfjobs"]) as cluster:
        thread = threading.Thread(target=_kill_worker, args=(cluster,), daemon=True)
        thread.start()
        result = _run(cluster, one_file_data, LONG)
    assert not thread.is_alive()
    assert (result["steps"], result["restarts"] >= 1) == (660, True)
    assert (tmp_path / "cluster" / "own" / "export" / "saved_model.pb").exists()


def _kill_worker(cluster: FakeCluster) -> None:
    while not _at_checkpoint(cluster, 30):
        time.sleep(0.05)
    pod = cluster.list_pods("tfjobs")["worker-0"]
    os.kill(int(pod["metadata"]["annotations"]["process"]), signal.SIGKILL)


@pytest.mark.cluster
@pytest.mark.timeout(600)
def test_a_mistake_in_the_job_is_told_and_not_tried_again(binary_data: Path, tmp_path: Path) -> None:
    """One pod alone needs no names. Its log is whole, although the connection breaks again and again."""
    wrong = SETTINGS | {"cluster": LIMITS | {"workers": 1}, "best_metric": "nonsense"}
    with start_cluster(tmp_path / "cluster", lines=5) as cluster, pytest.raises(TaxiwayError, match="nonsense"):
        _run(cluster, binary_data, wrong)
    [log] = (cluster.volume / "checkpoints" / "one" / "cluster").glob("*.log")
    written = (tmp_path / "cluster" / log.name).read_bytes()
    assert log.read_bytes() == written and written.count(b"\n") > 5
    assert not (log.parent / "input").exists()


def _leave_object(cluster: FakeCluster, data: Path, command: list[str]) -> str:
    """What a step that was killed leaves: its object, and a pod that runs. Returns the object's name."""
    job = cluster.make_job(data, SETTINGS)
    folder = shared_folder.find_shared_folder(job)
    name = name_object(job.fingerprint, str(folder))
    pod = json.loads(json.dumps(job.cluster_pod).replace("taxiway:1", "taxiway:0"))
    made = manifests.build_jobset(manifests.ClusterPlan(name, "team", (("chief", 1),), pod, str(folder)))
    container = made["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]["containers"][0]
    container.update(command=command, args=[])
    cluster.ask("/apis/jobset.x-k8s.io/v1alpha2/namespaces/team/jobsets", made)
    return name


@pytest.mark.parametrize("unseen", [False, True])
def test_what_a_killed_step_has_left_is_gone_before_its_folder_is_used(
    binary_data: Path, tmp_path: Path, unseen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the object comes between the look and the making of the new one."""
    remove = KubernetesSupervisor._remove_earlier
    looks = iter([not unseen, True, True])
    monkeypatch.setattr(KubernetesSupervisor, "_remove_earlier", lambda self: remove(self) if next(looks) else None)
    limits = SETTINGS | {"cluster": LIMITS | {"start_timeout_seconds": 0.5}}
    with start_cluster(tmp_path / "cluster", dead_image="registry.example/taxiway:1") as cluster:
        name = _leave_object(cluster, binary_data, ["sh", "-c", "trap '' TERM; sleep 1 & wait; sleep 1"])
        left = next(iter(cluster.list_pods("jobsets").values()))["metadata"]["annotations"]["process"]
        with pytest.raises(TrainingError, match=f"The pods of {name} did not come up"):
            _run(cluster, binary_data, limits)
        assert not Path("/proc", left).exists()
    asked = json.loads((tmp_path / "cluster" / "requests.json").read_text())
    changes = [r.split("/")[0].strip() for r in asked if r.startswith(("POST /apis/jobset", "DELETE"))]
    assert changes == ["POST", *["POST"] * unseen, "DELETE", "POST", "DELETE"]
    assert len(name) <= 40


def test_pods_of_an_earlier_step_that_do_not_go_are_told(
    binary_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "REMOVAL_SECONDS", 0.2)
    limits = SETTINGS | {"cluster": LIMITS | {"grace_seconds": 0.1}}
    with start_cluster(tmp_path / "cluster") as cluster:
        _leave_object(cluster, binary_data, ["sh", "-c", "trap '' TERM; while true; do sleep 0.1; done"])
        kept = cluster.volume / "checkpoints" / "one" / "cluster"
        kept.mkdir(parents=True)
        (kept / "job.json").write_text("theirs")
        with pytest.raises(TrainingError, match=r"there are still pods of it.*\n?.*kubectl get pods -n team -l jobset"):
            _run(cluster, binary_data, limits)
        assert (kept / "job.json").read_text() == "theirs"


class StubApi:
    """Pods that are in these phases, one list a look; the last one stays."""

    namespace = "team"

    def __init__(self, *phases: list[str]) -> None:
        self.phases = list(phases)

    def list_pods(self, *_: Any) -> list[Any]:
        phases = self.phases.pop(0) if len(self.phases) > 1 else self.phases[0]
        return [_make_pod(f"pod-{i}", phase) for i, phase in enumerate(phases)]

    def read_status(self, *_: Any) -> dict[str, Any]:
        return {}

    def follow_log(self, *_: Any) -> Iterator[bytes]:
        return iter(())


def _make_pod(name: str, phase: str) -> Any:
    pod = {
        "metadata": SimpleNamespace(name=name, uid=name),
        "spec": SimpleNamespace(containers=[SimpleNamespace(name="training")]),
        "status": SimpleNamespace(phase=phase, container_statuses=None, conditions=None),
    }
    return SimpleNamespace(**pod)


def _supervise(api: StubApi, data: Path, folder: Path) -> KubernetesSupervisor:
    limits = LIMITS | {"start_timeout_seconds": 0.3}
    job = make_job(data, training=SETTINGS | {"cluster": limits}, checkpoint_dir=str(folder))
    supervised = KubernetesSupervisor(job, NEVER, poll_seconds=0.02)
    supervised.api, supervised.kind, supervised.folder = api, JOB_SET, folder  # type: ignore[assignment]
    supervised.plan = supervised._make_plan()
    return supervised


def test_pods_that_are_made_again_get_no_longer_to_come_up(binary_data: Path, tmp_path: Path) -> None:
    (tmp_path / manifests.UP_FILE).touch()
    api = StubApi(["Running", "Running"], ["Running", "Running"], ["Running", "Pending"])
    with pytest.raises(TrainingError, match=r"did not come up within 0\.3 s: 2 of 2 pods were made"):
        _supervise(api, binary_data, tmp_path)._await_result()


def test_members_that_do_not_find_each_other_end_the_step_with_their_reason(
    binary_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although the cluster would start them again and again."""
    monkeypatch.setattr(supervisor, "LAST_WORDS_SECONDS", 0.2)
    answer = {"error": "", "problem": "no answer from x:2222", "remedy": "", "class": "TrainingStoppedError"}
    (tmp_path / "chief-0.result.json").write_text(json.dumps(answer))
    api, began = StubApi(["Running", "Running"]), time.monotonic()
    with pytest.raises(
        TrainingError, match=r"have not found each other within 0\.3 s: no answer from x:2222"
    ) as raised:
        _supervise(api, binary_data, tmp_path)._await_result()
    assert not isinstance(raised.value, TrainingStoppedError)
    assert 0.5 <= time.monotonic() - began < 10
