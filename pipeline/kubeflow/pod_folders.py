"""What a step needs to write, checked before it works for an hour: the root on its volume, and a temporary folder.

A fresh volume claim belongs to root, the image's user is 1000, and open-source Kubeflow sets no `fsGroup`
(`kubernetes_executor_config.proto` has none). So the first step of a new installation would do all its work and then
fail to leave its record. Nothing heavy is imported here.
"""

from __future__ import annotations

import errno
import os
import pwd
import tempfile
from pathlib import Path

from taxiway.components.errors import TaxiwayError, UsageError

GIVE_VOLUME = "deploy/kubernetes/give-volume.yaml"
"""The job that gives a claim to the image's user."""


def prepare_pod(root: str | None) -> None:
    """Checks what the step writes, and gives libraries a home folder that they can write.

    Args:
        root: Folder of the serving directory, the checkpoints and the records; None: the step has no such parameter.

    Raises:
        UsageError: The root is no absolute path.
        TaxiwayError: A folder cannot be written; the message has owner, user and the remedy.
    """
    check_temporary_folder()
    choose_home()
    if root is not None:
        _check_absolute(root)
        check_root(Path(root))


def _check_absolute(root: str) -> None:
    """What is written below another path is in the pod's own file system, and lost with it."""
    if not root.startswith("/"):
        raise UsageError(
            f"The run's parameter root is {root!r}, which is no absolute path.",
            "Give the folder where the volume is mounted, such as /taxiway, or leave the parameter out.",
        )


def check_root(root: Path) -> None:
    """Creates the root if it is missing, and writes and removes a file there.

    Raises:
        TaxiwayError: That fails.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root, prefix=".taxiway-"):
            pass
    except OSError as error:
        raise TaxiwayError(_describe_problem(root, error), _find_remedy(root, error)) from error


def check_temporary_folder() -> None:
    """Python's temporary folder.

    Raises:
        TaxiwayError: There is none that can be written.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        problem = "There is no temporary folder: none of $TMPDIR, /tmp, /var/tmp and the working folder can be written."
        remedy = "Where the root file system is read-only, mount one: resources.kubeflow.default.empty_directories: "
        raise TaxiwayError(problem, remedy + "[{mount_path: /tmp}].") from error


def choose_home() -> None:
    """Sets `HOME` to a folder that can be written, where it is none, and `USER` where the user has no name.

    Libraries keep caches and settings under the home folder (matplotlib, Keras, the clouds' clients), and ask for the
    user's name, which a number that the cluster chose has not.
    """
    if not os.access(os.environ.get("HOME", ""), os.W_OK, effective_ids=True):
        home = Path(tempfile.gettempdir(), f"home-{os.geteuid()}")
        home.mkdir(parents=True, exist_ok=True)
        os.environ["HOME"] = str(home)
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        os.environ.setdefault("USER", f"user-{os.geteuid()}")
        os.environ.setdefault("LOGNAME", os.environ["USER"])


def _describe_problem(root: Path, error: OSError) -> str:
    problem = f"resources.kubeflow.root {root} cannot be written by user {os.geteuid()} (group {os.getegid()}): "
    problem += f"{error.strerror}."
    nearest = next(folder for folder in (root, *root.parents) if folder.exists())
    found = nearest.stat()
    return (
        f"{problem} {nearest} belongs to user {found.st_uid} (group {found.st_gid}), mode {found.st_mode & 0o7777:o}."
    )


def _find_remedy(root: Path, error: OSError) -> str:
    if error.errno == errno.EROFS:
        setting = f"resources.kubeflow.default.volumes: [{{claim: NAME, mount_path: {root}}}]"
        return f"Mount a volume there that can be written: {setting}."
    if error.errno not in (errno.EACCES, errno.EPERM):
        return "Look at the volume's claim: kubectl describe pvc."
    return (
        "A fresh volume claim belongs to root, and Kubeflow sets no fsGroup. Give it to this user once: with the name "
        f"of the claim and the user in {GIVE_VOLUME}, `kubectl apply -f` it. Where root is allowed in the namespace, "
        "resources.kubeflow.default.security_context: {run_as_user: 0} works without it (Kubeflow 2.16 or later)."
    )
