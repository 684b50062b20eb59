"""The section `optimization` of the configuration. Nothing heavy is imported here."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from taxiway.components.config_section import Section
from taxiway.components.contract import Task
from taxiway.components.optimizer.techniques import Hardware, Runtime, check_variant

Objective = Literal["latency", "size", "throughput"]

LOSS: dict[Task, str] = {"binary": "log_loss", "multiclass": "log_loss", "regression": "rmse"}
"""The loss that must be kept beside the main metric: ranks and decisions may stay while every probability moves."""


class Constraints(Section):
    """What a variant must keep to be chosen. They bind the reference too, but where nothing else keeps them it stays:
    a pipeline that pushes no model at all is worse than one that says which bound the model misses."""

    max_quality_drop: float = Field(0.002, ge=0)
    """How far the main metric may get worse, judged at the bad end of the 95 % interval of the paired difference. In
    the metric's unit for auc, pr_auc and accuracy; a share of the reference's value for log_loss, mae, mse and rmse."""
    max_loss_rise: float = Field(0.02, ge=0)
    """How far the log loss, of a regression the RMSE, may rise, as a share of the reference's, judged in the same way.
    A rank such as auc does not see that every probability has moved; this does."""
    eval_share: float = Field(0.5, gt=0, le=1)
    """Share of the two limits above that a variant may use up on the rows of the search. `OptimizedEvaluator` judges
    the chosen one by all of them on `test`, rows by which nobody chose, at the bad end of the interval too: one chosen
    at a limit may fail there, and then nothing is pushed. 1: no such margin. Where `test` has far fewer rows than
    `eval`, a smaller share chooses variants that few rows can prove."""
    min_quality_rows: int = Field(200, ge=0)
    """A variant whose answers differ from the reference's is not chosen on fewer evaluation rows: they prove too
    little."""
    max_slice_quality_drop: dict[str, float] = Field(default_factory=dict)
    """As `max_quality_drop`, within every slice of a column, by column. Slices with fewer than 10 rows of a class (of a
    regression: 20 rows) are not judged."""
    max_size_mb: float | None = Field(None, gt=0)
    """Size of the servable on disk, in 10^6 bytes."""
    max_p99_ms: float | None = Field(None, gt=0)
    """99th percentile of the whole path's latency at the batch size that decides, in milliseconds."""

    def list_allowed_drops(self, task: Task, main: str) -> dict[str, float]:
        """By metric: how much worse than the reference's it may be; the main metric first."""
        return {main: self.max_quality_drop} | {name: self.max_loss_rise for name in (LOSS[task],) if name != main}


class FineTuning(Section):
    """How a model whose structure was changed is trained on. It sees the training split only."""

    epochs: float = Field(2.0, gt=0)
    """Passes over the training split."""
    max_steps: int = Field(2000, ge=1)
    """Most steps, whatever the passes."""
    batch_size: int | None = Field(None, ge=1)
    """Examples a step; by default the training's own."""
    learning_rate: float | None = Field(None, gt=0)
    """By default the training's own, divided by 3."""


class PruningConfig(Section):
    """Magnitude pruning: the smallest weights of each dense kernel become zero."""

    final_sparsity_fraction: float = Field(0.75, gt=0, lt=1)
    """Share of zeros in each pruned kernel at the end."""
    end_fraction: float = Field(0.6, gt=0, le=1)
    """Share of the fine-tuning after which the final sparsity is reached; the rest lets the weights settle."""
    min_weights: int = Field(256, ge=1)
    """Kernels with fewer weights are left alone: they cost little and lose much."""


class StructuredConfig(Section):
    """Structured pruning: whole neurons and embedding dimensions are removed."""

    keep_neurons_fraction: float = Field(0.5, gt=0, lt=1)
    """Share of each hidden layer's neurons that `structured_pruned` leaves; half of them are a quarter of the
    multiplications between two layers. `structured_pruned_65` and `_80` go on from there to 0.35 and 0.2."""
    keep_embedding_fraction: float = Field(1.0, gt=0, le=1)
    """Share of the embedding's dimensions that stay."""


class CalibrationConfig(Section):
    """Rows from which static quantization learns the ranges of activations: of the training split, raw ones for the
    whole path."""

    batches: int = Field(32, ge=1)
    batch_size: int = Field(32, ge=1)


class MeasuringConfig(Section):
    """How latency is measured."""

    threads: int = Field(1, ge=1)
    """Threads of TensorFlow, pinned to as many cores."""
    warmup_calls: int = Field(20, ge=1)
    """Calls before the first sample, for each variant and batch size."""
    rounds: int = Field(40, ge=5)
    """Rounds at most; in each, every variant and the reference take turns in a newly drawn order."""
    calls: int = Field(8, ge=1)
    """Timed calls of each variant in a round, each with another batch of rows."""
    seconds: float = Field(2.0, gt=0)
    """Wall time after which no new round starts, for each batch size and variant; ten rounds are always made."""


class OptimizationConfig(Section):
    """Which variants are made, how they are judged, and for how long."""

    enabled: bool = True
    """Off: the trained model goes on as it is, and the report says so."""
    objective: Objective = "latency"
    """`latency`: of the whole path at `decision_batch_size`; `throughput`: rows a second at the largest batch size;
    `size`: of the servable on disk."""
    constraints: Constraints = Constraints()
    """What a variant must keep to be chosen."""
    min_gain: float = Field(0.03, ge=0)
    """Share by which a variant must beat the reference, at the near end of the interval: less is not worth a change."""
    batch_sizes: tuple[int, ...] = (1, 32)
    """Rows a call, for which latency is measured."""
    decision_batch_size: int | None = None
    """The batch size whose latency decides; by default the largest of `batch_sizes`."""
    variants: tuple[str, ...] = (
        "frozen",
        "lean_inputs",
        "float16",
        "int8_weights",
        "structured_pruned",
        "structured_pruned_65",
        "structured_pruned_80",
        "magnitude_pruned",
    )
    """Techniques, or chains of them joined by `+`, in the order in which they are listed in the report."""
    combine: bool = True
    """Whether a structure named alone, once its quality held, is combined with each later technique named alone.
    Combinations that can buy nothing are not tried, and the report says why. Off: only what `variants` names."""
    workers: int = Field(0, ge=0)
    """Variants made at a time, never while latency is measured; 0: one a core, at most 4."""
    budget_seconds: float = Field(90.0, gt=0)
    """Wall time of the whole optimizer. What the budget leaves no time for is recorded as not tried. The trained model
    is prepared, scored and timed whatever that takes, up to the limit of each step: four budgets, 300 s at least."""
    max_variants: int = Field(24, ge=1)
    """Most variants made, the reference not counted."""
    quality_rows: int = Field(20_000, ge=100)
    """Most rows of the evaluation split on which quality is measured."""
    bootstrap_samples: int = Field(1000, ge=100)
    """Resamples behind the intervals that no formula gives: of log loss, pr_auc and a regression's errors."""
    min_slice_rows: int = Field(50, ge=2)
    """Slices with fewer rows are left out: their figures are noise."""
    seed: int = 20_130_101
    """Of resampling, of the order of the rounds and of fine-tuning."""
    measuring: MeasuringConfig = MeasuringConfig()
    """How latency is measured."""
    fine_tuning: FineTuning = FineTuning()
    """How structural variants are trained on."""
    pruning: PruningConfig = PruningConfig()
    """Settings of `magnitude_pruned`; `min_weights` holds for `sparsity_2_4` too."""
    structured: StructuredConfig = StructuredConfig()
    """Settings of `structured_pruned` and what deepens it."""
    calibration: CalibrationConfig = CalibrationConfig()
    """Settings of `int8_static`, `tflite_int8` and the int8 engines."""
    runtime: Runtime = "tf_serving"
    """What serves the model: variants for other runtimes are measured and can be exported, but are not chosen."""
    hardware: Hardware = "cpu"
    """What it is served on. TensorRT variants are chosen for `gpu` only."""
    xla: bool = False
    """Whether the server was started with XLA compilation enabled. Without it a compiled signature loads and fails on
    its first request, so `xla` variants are refused."""
    keep_reference: bool = True
    """Whether the trained model is chosen where nothing surely beats it. Off: the best variant that keeps the
    constraints is chosen, because the runtime cannot serve the trained model."""
    exports: tuple[str, ...] = ()
    """Variants handed on as `taxiway.ExportedModel` artifacts beside the chosen one."""

    @field_validator("variants", "exports")
    @classmethod
    def _check_variants(cls, variants: tuple[str, ...]) -> tuple[str, ...]:
        for variant in variants:
            check_variant(variant)
        return variants

    @field_validator("batch_sizes")
    @classmethod
    def _sort_batch_sizes(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if not sizes or min(sizes) < 1:
            raise ValueError("batch_sizes needs at least one number, each 1 or more")
        return tuple(sorted(set(sizes)))

    @model_validator(mode="after")
    def _check_decision_size(self) -> OptimizationConfig:
        if self.decision_batch_size is not None and self.decision_batch_size not in self.batch_sizes:
            raise ValueError(
                f"decision_batch_size {self.decision_batch_size} is not measured: "
                f"batch_sizes are {', '.join(map(str, self.batch_sizes))}"
            )
        return self

    @property
    def deciding_batch_size(self) -> int:
        """The batch size by which the objective and `max_p99_ms` are judged."""
        if self.objective == "throughput" or self.decision_batch_size is None:
            return self.batch_sizes[-1]
        return self.decision_batch_size

    @property
    def required_seconds(self) -> float:
        """Limit of each step without which nothing can be chosen: preparing, scoring and timing the trained model."""
        return max(4 * self.budget_seconds, 300.0)

    @property
    def time_remedy(self) -> str:
        """What to do where a limit of time was reached."""
        return (
            f"optimization.budget_seconds is {self.budget_seconds:g}, and this limit follows from it: give more, or "
            "less to do (optimization.quality_rows, optimization.variants). optimization.enabled: false leaves it out."
        )
