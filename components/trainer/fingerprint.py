"""The key of a training run's checkpoints: data, configuration and code. Another one is another run."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import components.training
from components.training import TrainingJob
from components.training.job import resolve_files

PLACES = frozenset({"export_dir", "training_dir", "checkpoint_dir", "log_dir", "fingerprint"})
"""Fields of a job that say where its outputs go, not what is trained."""
DATA = frozenset({"transform_graph", "train_files", "eval_files", "rows", "raw_schema", "warm_start_from"})
"""Fields that count by what the files hold, not by their names."""


def fingerprint(job: TrainingJob) -> str:
    """Hex digest of everything that decides what is trained.

    Raises:
        DataError: there are no examples.
    """
    digest = hashlib.sha256()
    for part in _parts(job):
        digest.update(part.encode())
    return digest.hexdigest()[:32]


def _parts(job: TrainingJob) -> Iterator[str]:
    yield json.dumps(job.model_dump(mode="json", exclude=set(PLACES | DATA)), sort_keys=True)
    yield from _contents(resolve_files(job.train_files, "train"))
    yield from _contents(resolve_files(job.eval_files, "eval"))
    yield from _contents(_files(job.transform_graph))
    yield from _contents(_files(job.warm_start_from) if job.warm_start_from else [])
    yield from _contents(sorted(str(f) for f in Path(components.training.__file__).parent.glob("*.py")))
    yield from _contents(_users_module(job.model.function))


def _files(folder: str) -> list[str]:
    return sorted(str(f) for f in Path(folder).rglob("*") if f.is_file())


def _users_module(function: str) -> list[str]:
    module = function.rpartition(".")[0]
    try:
        spec = importlib.util.find_spec(module) if module else None
    except ImportError:
        return []  # the training process says what is wrong with it
    return [spec.origin] if spec is not None and spec.origin else []


def _contents(files: Iterable[str]) -> Iterator[str]:
    for file in files:
        with open(file, "rb") as content:
            digest = hashlib.sha256()
            while block := content.read(1 << 20):
                digest.update(block)
        yield digest.hexdigest()
