"""Which model a candidate is compared with: the one that is live, or the naive one where none is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from components import servables
from components.baseline import naive
from components.contract import EXAMPLES_INPUT, SERVING_DEFAULT, Task, score_output, serving_model_dir
from components.errors import ServingError


@dataclass(frozen=True)
class Baseline:
    """What the baseline is.

    Attributes:
        kind: `live` or `naive`.
        version: Of the live model; 0 for the naive one.
        reason: Why it is this one.
    """

    kind: Literal["live", "naive"]
    version: int
    reason: str


def provide(
    serving_directory: str | Path,
    statistics: Any,
    label: str,
    task: Task,
    model_uri: str | Path,
    check: Callable[[Path], None] | None = None,
) -> Baseline:
    """Writes the baseline as a standard `Model` artifact.

    Args:
        serving_directory: Of the model; it need not exist.
        statistics: TFDV's `DatasetFeatureStatisticsList` of the training split.
        label: The label's column.
        task: `binary`, `multiclass` or `regression`.
        model_uri: The artifact's folder.
        check: Raises `ServingError` for a live model that may not be loaded. Who comes after loads what stands here.

    Raises:
        DataError: The statistics do not have the label.
    """
    target = Path(serving_model_dir(str(model_uri)))
    target.parent.mkdir(parents=True, exist_ok=True)
    live = servables.live_version(serving_directory)
    why = f"nothing is live in {serving_directory}" if live is None else _unlike(live[1], task, check)
    if live is not None and not why:
        shutil.copytree(live[1], target)
        return Baseline("live", live[0], f"version {live[0]} is live")
    naive.save(naive.scores(statistics, label, task), task, target)
    return Baseline("naive", 0, why)


def _unlike(folder: Path, task: Task, check: Callable[[Path], None] | None) -> str:
    """Why a live model cannot be compared with a candidate; empty if it can."""
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        if check:
            check(folder)
        model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    except (OSError, ValueError, ServingError) as error:
        return f"the live version {folder.name} cannot be read: {error}"
    signature = model.meta_graphs[0].signature_def.get(SERVING_DEFAULT) if model.meta_graphs else None
    if signature is None or set(signature.inputs) != {EXAMPLES_INPUT} or score_output(task) not in signature.outputs:
        return f"the live version {folder.name} has no {SERVING_DEFAULT} of a {task} model"
    return ""
