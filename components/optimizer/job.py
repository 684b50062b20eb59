"""What the optimizer is asked: values that travel as JSON to its process."""

from __future__ import annotations

from components.configuration import Section
from components.contract import Task
from components.optimizer.config import OptimizationConfig


class OptimizerJob(Section):
    """Everything that the optimizer needs to know. URIs are local folders."""

    model: str
    """The trainer's `Model` artifact."""
    transform_graph: str
    transformed_examples: str
    examples: str
    schema_uri: str
    task: Task
    label: str
    metric: str
    """The main metric, which must be kept."""
    slices: tuple[tuple[str, ...], ...] = ()
    """Columns, or combinations of columns, whose values are judged apart."""
    blessed: bool = True
    """Whether the evaluator blessed the trained model. If not, it goes on as it is and nothing is tried."""
    config: OptimizationConfig
    chosen_uri: str
    """The folder that becomes the chosen `Model` artifact."""
    report_uri: str
    """The folder that becomes the `taxiway.OptimizationReport` artifact."""

    exports_uri: str = ""
    """The folder of the `taxiway.ExportedModel` artifact; empty: nothing is exported."""

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the slices, each once."""
        return tuple(sorted({column for columns in self.slices for column in columns}))
