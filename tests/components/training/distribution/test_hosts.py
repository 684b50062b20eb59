"""Hosts with addresses and disks of their own, made of network namespaces: a kill, and an orderly end."""

from __future__ import annotations

from pathlib import Path

import pytest

from taxiway.components.training.main import MODULE
from tests.components.training.distribution.host_kills import (
    KillRound,
    make_environment,
    play_round,
    train_undisturbed,
)
from tests.components.training.distribution.test_cluster import SETTINGS, cluster
from tests.components.training.hosts import PORT, find_obstacle, make_hosts
from tests.components.training.paused import checkpoint_steps
from tests.components.training.synthetic import make_job

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(find_obstacle()), reason=find_obstacle() or "hosts can be made"),
]


def test_a_lost_chief_comes_back_and_training_ends_as_undisturbed(one_file_data: Path, tmp_path: Path) -> None:
    """The worker notices it; started again, it gets the checkpoint, which its own disk does not have."""
    expected = train_undisturbed(one_file_data, tmp_path / "undisturbed")
    with make_hosts(2, tmp_path) as hosts:
        assert play_round(hosts, one_file_data, KillRound(host=0, own_disks=True), expected) == "right"
        assert "resumed from the checkpoint" in (tmp_path / "host-1.log").read_text()
        assert not checkpoint_steps(tmp_path / "disk-1" / "checkpoints")


def test_parameter_servers_on_other_hosts_leave_no_files_and_end_well(one_file_data: Path, tmp_path: Path) -> None:
    """Checkpoints are on the chief's disk alone, and the others are told that training is finished."""
    settings = SETTINGS | cluster("parameter_server", workers=1, parameter_servers=1)
    job = make_job(one_file_data, tmp_path / "disk", training=settings).model_dump(mode="json")
    kinds = ("chief", "worker", "ps")
    with make_hosts(3, tmp_path, kinds) as hosts:
        members = {kind: [f"{kind}:{PORT}"] for kind in kinds}
        running = [
            hosts.start(i, MODULE, job, make_environment(members, kind, 0), tmp_path / "disk")
            for i, kind in enumerate(kinds)
        ]
        assert [process.wait() for process in running] == [0, 0, 0], [r.log.read_text()[-2000:] for r in running]
    assert checkpoint_steps(tmp_path / "disk-0" / "checkpoints")
    for other in (1, 2):
        left = [path.name for path in (tmp_path / f"disk-{other}").rglob("*") if path.is_file()]
        assert left == ["finished"]
