"""What leaves the optimizer: the chosen model, the exports, and on what everything was measured."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from components.contract import serving_model_dir, training_dir
from components.optimizer.config import MeasuringConfig
from components.optimizer.report import Environment
from components.optimizer.variants.base import Piece

_METHOD = (
    "Whole path: serving_default through a session's RunCallable, XLA as the server has it, {threads} thread(s) pinned "
    "to as many cores, nothing else made meanwhile; each round every variant and the reference take turns in a random "
    "order, {calls} timed calls each on changing batches; warm-up apart. Speed-up: median over rounds of the ratio of "
    "the rounds' medians; 95 % interval by resampling rounds. Load and first request: in that process, once. Memory: "
    "in a fresh process. Quality: on the labelled evaluation split through serving_default; 95 % interval of the "
    "paired difference by resampling rows. Core: from transformed features to scores, in the variant's own runtime."
)


def hand_on(piece: Piece, trained: str, chosen: str) -> None:
    """Copies a piece to where the chosen `Model` artifact is: the servable, and a `training/` to train on from.

    A technique that changes the weights leaves its own `training/`; for the others the trained model's goes along.
    """
    servable = piece.servable if piece.has_servable else serving_model_dir(trained)
    shutil.copytree(servable, serving_model_dir(chosen), dirs_exist_ok=True)
    if piece.foreign:  # TensorFlow Serving's TFLite mode falls back to the SavedModel beside it
        shutil.copy2(piece.foreign, serving_model_dir(chosen))
    training = training_dir(piece.uri) if piece.trainable else training_dir(trained)
    if Path(training).is_dir():
        shutil.copytree(training, training_dir(chosen), dirs_exist_ok=True)


def export(pieces: Mapping[str, Piece], wanted: Sequence[str], exports: str) -> dict[str, str]:
    """Copies the wanted variants that were made into the exports' artifact. Returns each one's folder in it."""
    done: dict[str, str] = {}
    for name in wanted if exports else ():
        if name in pieces:
            shutil.copytree(pieces[name].uri, Path(exports, name), dirs_exist_ok=True)
            done[name] = name
    return done


def environment(machine: Mapping[str, Any], measuring: MeasuringConfig) -> Environment:
    """The machine, and how things were measured on it."""
    return Environment(
        cpu=_cpu(),
        cores=os.cpu_count() or 0,
        threads=measuring.threads,
        platform=platform.platform(),
        python=platform.python_version(),
        tensorflow=machine["tensorflow"],
        gpu=", ".join(machine["gpus"]) or "none",
        method=_METHOD.format(threads=measuring.threads, calls=measuring.calls),
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
