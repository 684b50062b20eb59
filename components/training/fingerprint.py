"""The key of a run's checkpoints or a search's trials, of data, configuration and code."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

from taxiway.components.files.digests import hash_file
from taxiway.components.training.job import TrainingJob, resolve_files

PLACES = frozenset({"export_dir", "training_dir", "checkpoint_dir", "log_dir", "cluster_pod", "fingerprint"})
"""Fields of a job that say where its outputs go, not what is trained."""
DATA = frozenset(
    {"transform_graph", "train_files", "eval_files", "rows", "class_rows", "raw_schema", "warm_start_from"}
)
"""Fields that count by what the files hold, not by their names."""


def compute_fingerprint(job: TrainingJob) -> str:
    """Hex digest of everything that decides what is trained.

    Raises:
        DataError: there are no examples.
    """
    digest = hashlib.sha256()
    for part in _iterate_parts(job):
        digest.update(part.encode())
    return digest.hexdigest()[:32]


def _iterate_parts(job: TrainingJob) -> Iterator[str]:
    yield json.dumps(job.model_dump(mode="json", exclude=set(PLACES | DATA)), sort_keys=True)
    yield from map(hash_file, resolve_files(job.train_files, "train"))
    yield from map(hash_file, resolve_files(job.eval_files, "eval"))
    yield from map(hash_file, _list_paths(job.transform_graph))
    yield from map(hash_file, _list_paths(job.warm_start_from) if job.warm_start_from else [])
    yield from map(hash_file, sorted(str(f) for f in Path(__file__).parent.rglob("*.py")))
    yield from map(hash_file, _find_user_module(job.model.function))


def _list_paths(folder: str) -> list[str]:
    return sorted(str(f) for f in Path(folder).rglob("*") if f.is_file())


def _find_user_module(function: str) -> list[str]:
    module = function.rpartition(".")[0]
    try:
        spec = importlib.util.find_spec(module) if module else None
    except ImportError:
        return []  # the training process says what is wrong with it
    return [spec.origin] if spec is not None and spec.origin else []
