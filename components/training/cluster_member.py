"""A task of a cluster of pods: `python -m taxiway.components.training.cluster_member FOLDER`.

Reads `FOLDER/job.json`, and leaves `FOLDER/KIND-NUMBER.result.json`. `TF_CONFIG` says which task it is, where an
operator has written it; in a JobSet the Job's index does, and the names of the members are known before they exist.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from taxiway.components.errors import TrainingError
from taxiway.components.processes import subprocesses
from taxiway.components.training import main
from taxiway.components.training.distribution import cluster, lost_peers
from taxiway.components.training.distribution.kubernetes import manifests
from taxiway.environment import TENSORFLOW_ENVIRONMENT

INDEX_VARIABLE = "JOB_COMPLETION_INDEX"
"""Set by Kubernetes in the pods of an indexed Job."""


def set_cluster_task() -> tuple[str, int]:
    """Writes `TF_CONFIG` where no operator has. Returns kind and index of this task.

    Raises:
        TrainingError: this is no pod of a cluster.
    """
    if manifests.MEMBERS_VARIABLE in os.environ and not os.environ.get("TF_CONFIG"):
        task = {"type": os.environ[manifests.KIND_VARIABLE], "index": int(os.environ.get(INDEX_VARIABLE) or 0)}
        members = json.loads(os.environ[manifests.MEMBERS_VARIABLE])
        if sum(map(len, members.values())) == 1:  # nobody has to find it, and its name may not be known yet
            members = {task["type"]: list(cluster.find_free_addresses(1))}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": members, "task": task})
    found = cluster.read_cluster_task()
    if found is None:
        raise TrainingError(
            "This process is no task of a cluster: TF_CONFIG names none.", "The Trainer step starts it."
        )
    return found


def start_task(folder: Path) -> None:
    """Runs the task of this pod to its end."""
    kind, index = set_cluster_task()
    os.environ.update({name: value for name, value in TENSORFLOW_ENVIRONMENT.items() if name not in os.environ})
    sys.argv = [sys.argv[0], str(folder / "job.json"), str(folder / f"{kind}-{index}.result.json")]
    Path(sys.argv[2]).unlink(missing_ok=True)
    if kind == "chief":
        (folder / manifests.UP_FILE).unlink(missing_ok=True)
        os.environ[lost_peers.UP_VARIABLE] = str(folder / manifests.UP_FILE)
    subprocesses.run_child_main(main.run_job)


if __name__ == "__main__":
    start_task(Path(sys.argv[1]))
