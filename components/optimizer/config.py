"""What may be chosen about optimization. Nothing heavy is imported here."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from components.configuration import Section
from components.contract import Task
from components.errors import ConfigError, close_matches

Objective = Literal["latency", "size", "throughput"]
Runtime = Literal["tf_serving", "tf_serving_tflite", "triton", "edge"]
Hardware = Literal["cpu", "gpu"]
Stage = Literal["structure", "graph", "precision", "runtime"]

REFERENCE = "reference"
"""Name of the trained float32 model among the variants. It is always measured, and wins when nothing is better."""

STAGES: dict[str, Stage] = {
    "magnitude_pruned": "structure",
    "structured_pruned": "structure",
    "sparsity_2_4": "structure",
    "quantization_aware": "structure",
    "frozen": "graph",
    "lean_inputs": "graph",
    "float16": "precision",
    "int8_weights": "precision",
    "int8_dynamic": "precision",
    "int8_static": "precision",
    "xla": "runtime",
    "tflite_float32": "runtime",
    "tflite_float16": "runtime",
    "tflite_dynamic": "runtime",
    "tflite_int8": "runtime",
    "onnx": "runtime",
    "tensorrt_fp32": "runtime",
    "tensorrt_fp16": "runtime",
    "tensorrt_int8": "runtime",
    "tensorrt_engine_fp32": "runtime",
    "tensorrt_engine_fp16": "runtime",
    "tensorrt_engine_int8": "runtime",
}
"""Every technique and its stage."""

_RUNTIMES: dict[str, Runtime] = {"tflite": "edge", "onnx": "triton", "tensorrt_engine": "triton"}


def runtime_of(variant: str) -> Runtime:
    """The runtime that a variant is made for: TensorFlow Serving unless its last technique makes another format."""
    last = techniques_of(variant)[-1:]
    return next((runtime for name, runtime in _RUNTIMES.items() if last and last[0].startswith(name)), "tf_serving")


def hardware_of(variant: str) -> Hardware:
    """What a variant needs to run at all."""
    return "gpu" if any(name.startswith("tensorrt") for name in techniques_of(variant)) else "cpu"


def pushable(variant: str, runtime: Runtime, hardware: Hardware) -> str:
    """Why a variant cannot be pushed to that runtime on that hardware; empty where it can."""
    made_for, needs = runtime_of(variant), hardware_of(variant)
    if needs == "gpu" and hardware == "cpu":
        return f"it needs a GPU, and optimization.hardware is {hardware}"
    fits = made_for == runtime or (made_for == "edge" and runtime == "tf_serving_tflite")
    return "" if fits or variant == REFERENCE else f"it is made for {made_for}, and optimization.runtime is {runtime}"


_ORDER: tuple[Stage, ...] = ("structure", "graph", "precision", "runtime")


def techniques_of(variant: str) -> tuple[str, ...]:
    """The techniques that a variant's name such as `magnitude_pruned+float16` stands for, in the order applied."""
    return () if variant == REFERENCE else tuple(variant.split("+"))


def check_variant(variant: str) -> None:
    """Raises `ConfigError` unless the name is a chain of known techniques in the order of their stages."""
    names = techniques_of(variant)
    for name in names:
        if name not in STAGES:
            raise ConfigError(
                f"optimization.variants names {name!r}, which is no optimization technique.",
                close_matches(name, STAGES),
            )
    if len(set(names)) != len(names):
        raise ConfigError(f"The variant {variant!r} names a technique twice.", "Name each technique once.")
    ranks = [_ORDER.index(STAGES[name]) for name in names]
    if ranks != sorted(ranks):
        ordered = "+".join(sorted(names, key=lambda name: _ORDER.index(STAGES[name])))
        raise ConfigError(
            f"The variant {variant!r} is not in the order of the stages: {', '.join(_ORDER)}.",
            f"Write {ordered!r}.",
        )


LOSS: dict[Task, str] = {"binary": "log_loss", "multiclass": "log_loss", "regression": "rmse"}
"""What must be kept beside the main metric: a rank or a decision stays while every probability moves."""
SAME_OUTPUTS = 1e-5
"""Largest difference of a score (of a regression: as a share of the largest) by which a variant still gives the
reference's answers: what the order of float32 sums does."""


class Constraints(Section):
    """What a variant must keep to be chosen. They bind the reference too, but where nothing else keeps them it stays:
    a pipeline that pushes no model at all is worse than one that says which bound the model misses."""

    max_quality_drop: float = Field(0.002, ge=0)
    """How far the main metric may get worse, judged at the bad end of the 95 % interval of the paired difference. In
    the metric's unit for auc, pr_auc and accuracy; a share of the reference's value for log_loss, mae, mse and rmse."""
    max_loss_rise: float = Field(0.02, ge=0)
    """How far the log loss, of a regression the RMSE, may rise, as a share of the reference's, judged in the same way.
    A rank such as auc does not see that every probability has moved; this does."""
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

    def allowed_drops(self, task: Task, main: str) -> dict[str, float]:
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
    """Share of each hidden layer's neurons that stay; half of them are a quarter of the multiplications between two
    layers."""
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
    """Rounds at most; in each, every variant and the reference take turns in an order drawn anew."""
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
        "magnitude_pruned",
    )
    """Techniques, or chains of them joined by `+`, in the order in which they are listed in the report."""
    combine: bool = True
    """Whether a structure named alone, once its quality held, is combined with each later technique named alone.
    Combinations that can buy nothing are not tried, and the report says why. Off: only what `variants` names."""
    workers: int = Field(0, ge=0)
    """Variants made at a time, never while latency is measured; 0: one a core, at most 4."""
    budget_seconds: float = Field(90.0, gt=0)
    """Wall time of the whole optimizer. What the budget leaves no time for is recorded as not tried."""
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
    """Settings of `structured_pruned`."""
    calibration: CalibrationConfig = CalibrationConfig()
    """Settings of `int8_static`, `tflite_int8` and the int8 engines."""
    runtime: Runtime = "tf_serving"
    """What serves the model: variants for other runtimes are measured and can be exported, but are not chosen."""
    hardware: Hardware = "cpu"
    """What it is served on. TensorRT variants are chosen for `gpu` only."""
    xla: bool = False
    """Whether the server was started with XLA compilation enabled. Without it a compiled signature loads and fails on
    its first request, so `xla` variants are refused."""
    exports: tuple[str, ...] = ()
    """Variants handed on as `taxiway.ExportedModel` artifacts beside the chosen one."""

    @field_validator("variants", "exports")
    @classmethod
    def _known(cls, variants: tuple[str, ...]) -> tuple[str, ...]:
        for variant in variants:
            check_variant(variant)
        return variants

    @field_validator("batch_sizes")
    @classmethod
    def _batch_sizes(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if not sizes or min(sizes) < 1:
            raise ValueError("batch_sizes needs at least one number, each 1 or more")
        return tuple(sorted(set(sizes)))

    @model_validator(mode="after")
    def _decision(self) -> OptimizationConfig:
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
