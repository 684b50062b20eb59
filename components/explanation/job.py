"""What the explaining process is told."""

from __future__ import annotations

from taxiway.components.config_section import Section
from taxiway.components.contract import Task
from taxiway.components.explanation.config import ExplanationConfig


class ExplanationJob(Section):
    """The model, the rows and what is asked of them.

    Attributes:
        model_folder: The SavedModel.
        files: Files of serialized rows, those of the split that judges.
        split: Name of that split.
        label: The label's column.
        task: `binary`, `multiclass` or `regression`.
        metric: The main metric.
        classes: Names of the classes in the order of the scores; may be empty.
        calendar: By the name of a time column: its parts as columns.
        config: The section of the configuration.
    """

    model_folder: str
    files: tuple[str, ...]
    split: str
    label: str
    task: Task
    metric: str
    classes: tuple[str, ...] = ()
    calendar: dict[str, tuple[str, ...]] = {}
    config: ExplanationConfig = ExplanationConfig()
