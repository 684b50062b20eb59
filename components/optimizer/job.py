"""The optimizer's job, which its process gets as JSON."""

from __future__ import annotations

from typing import Literal

from taxiway.components.config_section import Section
from taxiway.components.contract import Task, score_output
from taxiway.components.optimizer.config import OptimizationConfig

SEARCH = "taxiway.components.optimizer.search"
"""The module that a job is given to."""
START_SECONDS = 120.0
"""Allowance for starting Python and TensorFlow and writing the model, beside the budget and what is required."""
REQUIRED_STEPS = 3
"""Preparing, scoring and timing the trained model, each of which has a limit of its own."""


def compute_time_limit(config: OptimizationConfig) -> float:
    """Seconds after which the search is killed: more than all of its own limits together."""
    return config.budget_seconds + REQUIRED_STEPS * config.required_seconds + START_SECONDS


RowOrigin = Literal["data", "examples", "requests", "warmup", "random"]
"""Where the rows of a given model come from: a file of rows, examples, recorded requests, the requests in the model, or
nowhere."""


class GivenModel(Section):
    """A SavedModel that no pipeline of ours made: its signature, and where rows come from."""

    name: str
    """Name in titles and repositories."""
    signature: str
    """The signature that is optimized."""
    source: RowOrigin
    path: str = ""
    """The file or folder of the rows, where there is one."""
    shapes: dict[str, tuple[int, ...]] = {}
    """Shape of a row by input, for inputs whose signature leaves dimensions free."""
    output: str = ""
    """The output that the metric judges; empty: the only one that it can."""
    fixed_rows: int | None = None
    """The number of rows a call, where the signature fixes it."""
    memory_mb: float | None = None
    """Most memory of all processes of the search together, in 10^6 bytes; None: no limit."""
    allowed_ops: tuple[str, ...] = ()
    """Ops beside our list that were allowed. Whoever makes a variant again allows them again: a report may come from
    anywhere."""


class OptimizerJob(Section):
    """Inputs, settings and output folders of one run. URIs are local folders."""

    model: str
    """The trainer's `Model` artifact."""
    transform_graph: str
    transformed_examples: str
    examples: str
    schema_uri: str
    task: Task
    label: str
    prediction_output: str = ""
    """Output of `serving_default` that holds the scores; empty: ours by the task."""
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

    given: GivenModel | None = None
    """What is known of a model that no pipeline of ours made; None where one did. Examples, schema and transform graph
    are empty then, and the label may be."""
    exports_uri: str = ""
    """The folder of the `taxiway.ExportedModel` artifact; empty: nothing is exported."""

    @property
    def memory_bytes(self) -> float | None:
        """Most memory of all processes of the search together; None: no limit."""
        return self.given.memory_mb * 1e6 if self.given and self.given.memory_mb else None

    @property
    def output(self) -> str:
        """The output that holds the scores."""
        return self.prediction_output or score_output(self.task)

    @property
    def slice_columns(self) -> tuple[str, ...]:
        """All columns of the slices, each once."""
        return tuple(sorted({column for columns in self.slices for column in columns}))
