"""Writes the chosen model and the exports, and describes the machine that measured."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from taxiway.components.contract import serving_model_dir, training_dir
from taxiway.components.optimizer.candidate import CandidateModel
from taxiway.components.optimizer.config import MeasuringConfig
from taxiway.components.optimizer.report import MeasurementEnvironment

_METHOD = (
    "Whole path: serving_default through a session's RunCallable, XLA as the server has it, {threads} thread(s) pinned "
    "to as many cores, nothing else made meanwhile; each round every variant and the reference take turns in a random "
    "order, {calls} timed calls each on changing batches; warm-up apart. Speed-up: median over rounds of the ratio of "
    "the rounds' medians; 95 % interval by resampling rounds. Load and first request: in that process, once. Memory: "
    "in a fresh process. Quality: on the labelled evaluation split through serving_default; 95 % interval of the "
    "paired difference by resampling rows. Core: from transformed features to scores, in the variant's own runtime."
)


_GIVEN_METHOD = (
    "The signature, all outputs, through a session's RunCallable or the variant's own runtime, XLA as the server has "
    "it, {threads} thread(s) pinned to as many cores, nothing else made meanwhile; each round every variant and the "
    "original take turns in a random order, {calls} timed calls each on changing batches; warm-up apart. Speed-up: "
    "median over rounds of the ratio of the rounds' medians; 95 % interval by resampling rounds. Load and first "
    "request: in that process, once. Memory: in a fresh process."
)


REPOSITORY = "triton"
"""Folder of a Triton model repository beside a variant."""


def write_chosen_model(candidate: CandidateModel, trained: str, chosen: str) -> None:
    """Copies a candidate into the chosen `Model` artifact: the servable, and a `training/` to train on from.

    A technique that changes the weights writes its own `training/`; with the others the trained model's is copied.
    """
    servable = candidate.servable if candidate.has_servable else serving_model_dir(trained)
    shutil.copytree(servable, serving_model_dir(chosen), dirs_exist_ok=True)
    if candidate.runtime_file:  # TensorFlow Serving's TFLite mode falls back to the SavedModel beside it
        shutil.copy2(candidate.runtime_file, serving_model_dir(chosen))
    if Path(candidate.uri, REPOSITORY).is_dir():
        shutil.copytree(Path(candidate.uri, REPOSITORY), Path(chosen, REPOSITORY), dirs_exist_ok=True)
    training = training_dir(candidate.uri) if candidate.is_trainable else training_dir(trained)
    if Path(training).is_dir():
        shutil.copytree(training, training_dir(chosen), dirs_exist_ok=True)


def write_exports(candidates: Mapping[str, CandidateModel], wanted: Sequence[str], exports: str) -> dict[str, str]:
    """Copies the wanted variants that were made into the exports' artifact. Returns the folder of each in it."""
    exported: dict[str, str] = {}
    for name in wanted if exports else ():
        if name in candidates:
            shutil.copytree(candidates[name].uri, Path(exports, name), dirs_exist_ok=True)
            exported[name] = name
    return exported


def describe_environment(
    machine: Mapping[str, Any], measuring: MeasuringConfig, is_given: bool = False
) -> MeasurementEnvironment:
    """The machine, the versions on it, and how it measured."""
    return MeasurementEnvironment(
        cpu=read_cpu_name(),
        cores=os.cpu_count() or 0,
        threads=measuring.threads,
        platform=platform.platform(),
        python=platform.python_version(),
        tensorflow=machine["tensorflow"],
        gpu=", ".join(machine["gpus"]) or "none",
        method=(_GIVEN_METHOD if is_given else _METHOD).format(threads=measuring.threads, calls=measuring.calls),
    )


def read_cpu_name() -> str:
    """The processor's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
