"""The pipeline root: the folder of an object store to which the launcher copies what steps make.

It is written, read and cleared by the account of whoever asks. Pods have an account of their own: what fails here may
work there, and the other way round.
"""

from __future__ import annotations

import uuid

from taxiway.components.errors import StoreError
from taxiway.components.files.object_stores import ObjectFolder
from taxiway.pipeline.kubeflow.examination.finding import ServerFinding
from taxiway.pipeline.kubeflow.storage import ROOTS, get_scheme

NAME = "pipeline root"
PROBE_PREFIX = "taxiway-doctor-"


def check_pipeline_root(root: str, namespace: str) -> ServerFinding:
    """Whether there is one, as far as this machine sees.

    Args:
        root: `resources.kubeflow.pipeline_root`; empty: the cluster's own.
        namespace: Namespace of the runs; empty: the server's.
    """
    if not root:
        ask = f"kubectl get configmap kfp-launcher -n {namespace or 'kubeflow'} -o yaml"
        detail = "None is set: runs take that of the config map kfp-launcher, else minio://mlpipeline/v2/artifacts."
        return ServerFinding(name=NAME, state="ok", detail=detail, remedy=f"To see it: {ask}")
    if get_scheme(root) not in ROOTS:
        accepted = f"Accepted: {', '.join(f'{scheme}://' for scheme in ROOTS)}."
        detail = f"{root}: the launcher reads no such address."
        return ServerFinding(name=NAME, state="failed", detail=detail, remedy=accepted)
    return _try_folder(root)


def _try_folder(root: str) -> ServerFinding:
    try:
        _write_and_read(ObjectFolder(root))
    except FileNotFoundError:
        remedy = "Make the bucket, or set resources.kubeflow.pipeline_root to one that is there."
        return ServerFinding(name=NAME, state="failed", detail=f"{root}: there is no such bucket.", remedy=remedy)
    except StoreError as error:
        detail = f"{error.problem} That is as this machine's account sees it; the pods have their own."
        return ServerFinding(name=NAME, state="unknown", detail=detail, remedy=error.remedy)
    detail = f"{root}: written and read by this machine's account; the pods have their own."
    return ServerFinding(name=NAME, state="ok", detail=detail)


def _write_and_read(folder: ObjectFolder) -> None:
    """Puts a small object of a name that nobody has, reads it and removes it."""
    name = f"{PROBE_PREFIX}{uuid.uuid4().hex}"
    folder.put_object(name, name.encode())
    try:
        if folder.read_object(name) != name.encode():
            raise StoreError(f"{folder.url} gives back something else than was written.", "Is a cache before it?")
    finally:
        folder.remove_object(name)
