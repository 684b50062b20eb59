"""The search as a job, and its result: values that travel as JSON between processes."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from taxiway.components.config_section import Section
from taxiway.components.training.job import TrainingJob
from taxiway.components.tuner.config import TuningConfig

HYPERPARAMETERS_FILE = "best_hyperparameters.txt"
"""In the artifact `HyperParameters`, alone, as TFX's own Tuner names it."""
RECORDS_FILE = "tuner_results.json"
"""In the artifact `TunerResults`: one record a finished trial, as TFX's own Tuner writes it."""
REPORT_FILE = "trials.json"
"""Beside it: everything about the trials."""
JOURNAL_FILE = "trials.journal"
"""In the storage folder: Optuna's journal."""
ASKED_TO_END = (
    "The search was asked to end (SIGTERM).",
    "Run the same command again: it goes on with its trials.",
)
"""What a search that was stopped says, and its remedy."""


class TuningJob(Section):
    """A search: what is trained, what is searched, and where things go."""

    training_job: TrainingJob
    tuning: TuningConfig = TuningConfig()
    storage: str
    """Folder of the trials, outside TFX's outputs: the same search goes on there."""
    best_dir: str
    results_dir: str
    worker: int = Field(-1, ge=-1)
    """Number of the worker that this process is; -1: it is the one that starts them."""
    workers: int = Field(1, ge=1)
    deadline: float = 0.0
    """Unix time after which no trial begins; 0: none."""


class TuningResult(Section):
    """The result of a search."""

    metric: str
    value: float
    """Of the best trial, on the eval split."""
    best: int
    """Number of the best trial."""
    trials: int
    """Trials that ended, with a value or early."""
    settings: dict[str, Any]
    """The best trial's settings, by dotted name, as plain values."""
