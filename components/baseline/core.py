"""Chooses the model that a candidate is compared with: the live one, or the naive one where no model is live."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from taxiway.components import user_functions
from taxiway.components.baseline import naive
from taxiway.components.contract import EXAMPLES_INPUT, SERVING_DEFAULT, Task, score_output, serving_model_dir
from taxiway.components.errors import ServingError
from taxiway.components.refusal import Refusal
from taxiway.components.saved_models import model_versions


@dataclass(frozen=True)
class BaselineChoice:
    """What the baseline is.

    Attributes:
        kind: The kind, `live` or `naive`.
        version: The live model's version; 0 for the naive one.
        reason: The reason for the choice.
    """

    kind: Literal["live", "naive"]
    version: int
    reason: str


def provide_baseline(
    serving_directory: str | Path,
    statistics: Any,
    label: str,
    task: Task,
    model_uri: str | Path,
    check: Callable[[Path], None] | None = None,
) -> BaselineChoice:
    """Writes the baseline as a standard `Model` artifact.

    Args:
        serving_directory: The model's serving directory; it need not exist.
        statistics: TFDV's `DatasetFeatureStatisticsList` of the training split.
        label: The label's column.
        task: `binary`, `multiclass` or `regression`.
        model_uri: The artifact's folder.
        check: A function of a folder that raises `ServingError` where the live model may not be loaded. The nodes that
            follow load it.

    Raises:
        DataError: The statistics do not have the label.
    """
    target = Path(serving_model_dir(str(model_uri)))
    target.parent.mkdir(parents=True, exist_ok=True)
    live = model_versions.find_live_version(serving_directory)
    refusal = refuse_comparison(live[1], task, check) if live else Refusal(f"nothing is live in {serving_directory}")
    if live and not refusal:
        shutil.copytree(live[1], target)
        return BaselineChoice("live", live[0], f"version {live[0]} is live")
    naive.save_model(naive.compute_scores(statistics, label, task), task, target)
    return BaselineChoice("naive", 0, str(refusal))


def build_load_check(properties: Mapping[str, Any]) -> Callable[[Path], None] | None:
    """The function of a folder that the node's execution properties name, with the ops that they allow."""
    path, allowed_ops = properties.get("check", ""), json.loads(properties.get("allowed_ops", "[]"))
    check = user_functions.import_function(path, "Baseline's check") if path else None
    return (lambda folder: check(folder, allowed_ops)) if check else None


def refuse_comparison(folder: Path, task: Task, check: Callable[[Path], None] | None) -> Refusal | None:
    """Why a live model cannot be compared with a candidate; None if it can."""
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        if check:
            check(folder)
        model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    except (OSError, ValueError, ServingError) as error:
        return Refusal(f"the live version {folder.name} cannot be read: {error}")
    signature = model.meta_graphs[0].signature_def.get(SERVING_DEFAULT) if model.meta_graphs else None
    if signature is None or set(signature.inputs) != {EXAMPLES_INPUT} or score_output(task) not in signature.outputs:
        return Refusal(f"the live version {folder.name} has no {SERVING_DEFAULT} of a {task} model")
    return None
