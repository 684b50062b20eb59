"""What may be chosen about the model and its training. Nothing heavy is imported here."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from taxiway.components.config_section import Section
from taxiway.components.contract import Task
from taxiway.components.errors import ConfigError

Strategy = Literal["one_device", "mirrored", "multi_worker_mirrored", "parameter_server", "tpu"]


class ModelConfig(Section):
    """The built-in model's kind and size, or the user's own function."""

    kind: Literal["tabular", "wide_and_deep", "mlp", "linear"] = "wide_and_deep"
    """`tabular`: three views of each number and an ensemble of dense layers; `taxiway init` proposes it, and keys of
    `training` that are left out have the values that suit it.
    `wide_and_deep`: dense layers with a linear part beside them; `mlp`: dense layers alone; `linear`: the linear part
    alone, one weight for each category and number."""
    function: str = ""
    """Dotted path of a function `(features, task, units, **arguments) -> tf_keras.Model`. `features` describes the
    transformed features; the model maps their dict to logits `[batch, units]`. `units` is the number of classes of a
    multiclass task, else 1. A name without a dot is one that an installed package adds (`taxiway.models`). Empty: the
    built-in model."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments for `function`."""
    hidden_units: tuple[int, ...] = (128, 64)
    """Units of each hidden layer; (128, 128) for `tabular`."""
    activation: str = "relu"
    """Activation of the hidden layers, a Keras name; `mish` for `tabular`."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of the hidden units dropped in training."""
    embedding_dim: int = Field(8, ge=1, le=1024)
    """Numbers behind each categorical value."""
    members: int = Field(4, ge=1, le=64)
    """For `tabular`: members of the ensemble, which share the kernels; their answers are averaged. Eight were no better
    on the tables where both were measured, and answer a batch more slowly."""
    piecewise_dim: int = Field(8, ge=1, le=256)
    """For `tabular`: numbers that each numeric column's piecewise-linear function gives."""
    one_hot_limit: int = Field(9, ge=0, le=1000)
    """For `tabular`: columns of at most so many words are one-hot, others embedded."""
    linear: bool = True
    """For `wide_and_deep`: adds one weight for each categorical value and each number straight to the logits."""
    l2: float = Field(0.0, ge=0)
    """L2 penalty on the weights of the hidden layers."""
    numeric_limit: float = Field(8.0, gt=0)
    """Z-scores are clipped to plus or minus this: one outlier must not decide a batch's gradient."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_kind(cls, values: Any) -> Any:
        """The defaults of `tabular`, where other ones suit it."""
        tabular = isinstance(values, dict) and values.get("kind") == "tabular"
        return {"hidden_units": (128, 128), "activation": "mish", **values} if tabular else values

    @field_validator("hidden_units")
    @classmethod
    def _check_units(cls, units: tuple[int, ...]) -> tuple[int, ...]:
        if any(u < 1 for u in units):
            raise ValueError(f"hidden_units are positive, not {units}")
        return units


class OptimizerConfig(Section):
    """Which optimizer takes the steps."""

    name: Literal["sgd", "adam", "adamw", "adagrad", "ftrl", "lamb"] = "adam"
    """`lamb` is for large batches."""
    learning_rate: float = Field(0.002, gt=0)
    """The rate after warm-up, before the schedule and the scaling."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """For `sgd`."""
    nesterov: bool = False
    """For `sgd`."""
    beta_1: float = Field(0.9, ge=0, lt=1)
    """For `adam`, `adamw`, `lamb`."""
    beta_2: float = Field(0.999, ge=0, lt=1)
    """For `adam`, `adamw`, `lamb`."""
    epsilon: float = Field(1e-7, gt=0)
    """For `adam`, `adamw`, `lamb`, `adagrad`."""
    l1: float = Field(0.0, ge=0)
    """For `ftrl`."""
    l2: float = Field(0.0, ge=0)
    """For `ftrl`."""
    weight_decay: float = Field(0.0, ge=0)
    """Decoupled decay a step, times the learning rate: for `adamw`, `lamb`, `sgd`, `adam`, `adagrad`."""
    no_weight_decay: tuple[str, ...] = ("bias", "normalization", "embedding", "scale", "absent")
    """Variables whose name holds one of these words do not decay."""
    scale_with_batch: Literal["none", "linear", "sqrt"] = "none"
    """Multiplies the learning rate by `global_batch_size / base_batch_size`, or its square root."""
    base_batch_size: int = Field(128, ge=1)
    """The batch size for which `learning_rate` was found."""


class ScheduleConfig(Section):
    """How the learning rate moves over the steps."""

    name: Literal["constant", "cosine", "polynomial", "exponential", "piecewise"] = "cosine"
    warmup_steps: int = Field(0, ge=0)
    """Steps in which the rate rises linearly from zero; the schedule begins after them."""
    end_fraction: float = Field(0.05, ge=0, le=1)
    """What is left of the rate at the end, for `cosine` and `polynomial`."""
    power: float = Field(1.0, gt=0)
    """For `polynomial`."""
    decay_rate: float = Field(0.5, gt=0, le=1)
    """For `exponential`: the factor over `decay_steps`."""
    decay_steps: int = Field(1000, ge=1)
    """For `exponential`."""
    boundaries: tuple[int, ...] = ()
    """For `piecewise`: the steps at which the next factor begins."""
    factors: tuple[float, ...] = ()
    """For `piecewise`: one more than `boundaries`."""

    @model_validator(mode="after")
    def _check_piecewise(self) -> ScheduleConfig:
        if self.name != "piecewise":
            return self
        if len(self.factors) != len(self.boundaries) + 1:
            raise ValueError(
                f"piecewise needs one factor more than boundaries, not {len(self.factors)} and {len(self.boundaries)}"
            )
        if list(self.boundaries) != sorted(set(self.boundaries)):
            raise ValueError(f"boundaries must rise: {self.boundaries}")
        return self


class ClipConfig(Section):
    """A limit on gradients, after they were summed over replicas and divided by the global weight."""

    by: Literal["none", "norm", "global_norm", "value"] = "global_norm"
    """`norm` limits each variable's gradient, `global_norm` all of them together, `value` each number."""
    limit: float = Field(10.0, gt=0)


class InputConfig(Section):
    """How rows reach the step."""

    mode: Literal["auto", "memory", "stream", "cached", "synthetic"] = "auto"
    """`memory`: read once, kept as tensors. `stream`: read in every epoch, parsed batches cached on disk. `auto`:
    memory where it fits. `cached` (one batch over and over) and `synthetic` (random numbers) measure compute alone."""
    memory_fraction: float = Field(0.4, gt=0, le=1)
    """`auto` takes memory for at most this share of what is free."""
    shuffle: Literal["rows", "batches", "none"] = "rows"
    """`rows`: a new permutation of all rows each epoch (a stream: within `shuffle_rows`, files in new order).
    `batches`: files and whole batches in new order."""
    shuffle_rows: int = Field(65536, ge=1)
    """The stream's shuffle buffer, in rows."""
    sharding: Literal["auto", "file", "element"] = "auto"
    """How several workers divide the training rows. `file`: each reads its own files. `element`: each takes its part of
    every global batch, so that the result does not depend on the number of workers. `auto`: by element where the rows
    fit in memory; a stream by file where each worker gets at least one."""
    disk_cache: bool = True
    """A stream keeps its parsed batches on disk for later epochs."""
    readers: int = Field(4, ge=1)
    """Files read at once."""
    deterministic: bool = True
    """False lets a stream hand out batches in the order in which they are ready."""


class CheckpointConfig(Section):
    """When training writes a checkpoint, from which it can resume. An evaluation always writes one."""

    every_steps: int = Field(0, ge=0)
    """0: only at evaluations, and by time."""
    every_seconds: float = Field(300.0, gt=0)
    """One is written when this long went by without."""
    keep: int = Field(2, ge=1)
    """The newest ones kept, beside the best."""


class EarlyStopConfig(Section):
    """Ends training when evaluations stop getting better."""

    patience: int = Field(0, ge=0)
    """Evaluations without improvement before the end; 0: never."""
    min_delta: float = Field(0.0, ge=0)
    """Less than this is no improvement."""


class DecisionConfig(Section):
    """At which probability a binary model decides for the positive class: what `predicted_label` says."""

    goal: Literal["fixed", "f1", "cost", "recall"] = "fixed"
    """`fixed`: `threshold` as it is. The others choose one on `eval`: `f1`: the highest F1; `cost`: the lowest cost of
    what is decided wrong; `recall`: the highest recall with at least `precision`."""
    threshold: float = Field(0.5, ge=0, le=1)
    """For `fixed`, and where `eval` has too few rows to choose."""
    false_positive_cost: float = Field(1.0, ge=0)
    """For `cost`: of a row that is wrongly decided for the positive class."""
    false_negative_cost: float = Field(1.0, ge=0)
    """For `cost`: of a row of the positive class that is missed."""
    precision: float = Field(0.9, gt=0, le=1)
    """For `recall`."""

    @model_validator(mode="after")
    def _check_costs(self) -> DecisionConfig:
        if self.goal == "cost" and not self.false_positive_cost + self.false_negative_cost:
            raise ValueError("goal: cost with both costs 0 decides nothing")
        return self


class ClusterConfig(Section):
    """Clusters of `multi_worker_mirrored` and `parameter_server`, where TF_CONFIG names none."""

    where: Literal["local", "kubernetes"] = "local"
    """`local`: processes beside the training process. `kubernetes`: pods that the Trainer step makes, with the image,
    volumes and GPUs that `resources.kubeflow` gives `Trainer`; they share the volume of `resources.kubeflow.root`."""
    workers: int = Field(2, ge=1, le=256)
    parameter_servers: int = Field(1, ge=1, le=256)
    start_timeout_seconds: float = Field(180.0, gt=0)
    """Time for every task to come up."""
    step_timeout_seconds: float = Field(300.0, gt=0)
    """The cluster is taken for dead when no progress was made for this long."""
    max_restarts: int = Field(3, ge=0)
    """After more restarts than this the run fails."""
    grace_seconds: float = Field(20.0, gt=0)
    """Between SIGTERM and SIGKILL."""
    threads_per_task: int = Field(0, ge=0)
    """Threads of each task's kernels; 0: TensorFlow's choice."""


class TrainingConfig(Section):
    """How the model is trained."""

    strategy: Strategy = "one_device"
    replicas: int = Field(0, ge=0)
    """Devices in this process, for `mirrored` and the workers of `multi_worker_mirrored`; 0: all GPUs, else one
    CPU. More than there are GPUs on a machine without: logical CPU devices."""
    cluster: ClusterConfig = ClusterConfig()
    epochs: float = Field(6, gt=0)
    """Times that every row is seen."""
    max_steps: int = Field(0, ge=0)
    """Ends earlier than `epochs`; 0: no limit."""
    global_batch_size: int = Field(128, ge=1)
    """Rows of one optimizer step, over all replicas and accumulated parts."""
    eval_batch_size: int = Field(1024, ge=1)
    accumulate: int = Field(1, ge=1)
    """Parts in which a replica computes its share of the batch, one after the other: for batches beyond memory."""
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    clip: ClipConfig = ClipConfig()
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """For classifiers."""
    regression_loss: Literal["squared", "huber"] = "squared"
    """`huber` grows linearly beyond one standard deviation of the label: for labels with a few very large values, where
    the typical error (MAE, the median) matters more than RMSE. It pulls predictions from the mean to the median."""
    class_weights: dict[str, float] | Literal["none", "balanced"] = "none"
    """Weight of the rows of each class, by label or index; `balanced`: every class counts the same."""
    calibration: Literal["temperature", "none"] = "temperature"
    """Of a classifier: `temperature` divides the logits by a number fitted on `eval`, and takes off what class weights
    added, so that probabilities are those of the data. `none`: as trained."""
    decision: DecisionConfig = DecisionConfig()
    sample_weight: str = ""
    """A transformed feature, one number a row, that weighs it. It is no input of the model."""
    ema_decay: float = Field(0.0, ge=0, lt=1)
    """Exponential moving average of the weights, evaluated and exported; 0: none. It begins as the plain average:
    the decay after `s` steps is at most `(1 + s) / (10 + s)`."""
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    xla: Literal["off", "on", "auto"] = "auto"
    """Compiles the steps. `auto`: in a run of more than some seconds a few loops are taken with and without, and the
    faster way stays; never with `deterministic`, whose bits must not depend on a clock."""
    on_nan: Literal["stop", "skip"] = "stop"
    """What a loss or gradient that is not finite does; it is never applied."""
    max_skipped_steps: int = Field(10, ge=0)
    """With `on_nan: skip`, one more than this stops."""
    steps_per_loop: int = Field(0, ge=0)
    """Steps of one call into the graph; 0: chosen so that a call takes about half a second."""
    evaluate_every_steps: int = Field(0, ge=0)
    """0: after every epoch."""
    best_metric: str = "loss"
    """The evaluation metric by which the exported checkpoint is chosen: `loss`, `auc`, `accuracy`, ..."""
    early_stop: EarlyStopConfig = EarlyStopConfig()
    time_budget_seconds: float = Field(0.0, ge=0)
    """Training ends after this long, evaluated and exported as usual; 0: no limit."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    input: InputConfig = InputConfig()
    warm_start: Literal["none", "live"] = "none"
    """`live` begins with the weights of the model now live, where names and shapes agree."""
    warm_start_from: str = ""
    """Or those of this model artifact or checkpoint folder."""
    seed: int = Field(1, ge=0)
    deterministic: bool = False
    """Asks TensorFlow for the same bits every time, at some cost. Order and seeds are always fixed."""
    tensorboard: bool = True
    profile_steps: tuple[int, int] | None = None
    """First and last step of a TensorBoard profile."""
    timeout_seconds: float = Field(0.0, ge=0)
    """The training process is ended after this; 0: never."""

    def check_task(self, task: Task) -> None:
        """Raises `ConfigError` where a setting would mean nothing for the task."""
        classifiers = ("binary", "multiclass")
        for key, given, meant in (
            ("decision", self.decision != DecisionConfig(), ("binary",)),
            ("regression_loss", self.regression_loss != "squared", ("regression",)),
            ("class_weights", self.class_weights != "none", classifiers),
            ("label_smoothing", self.label_smoothing > 0, classifiers),
        ):
            if given and task not in meant:
                raise ConfigError(
                    f"training.{key} has a meaning only for label.task {' or '.join(meant)}, not {task}.",
                    f"Take training.{key} out.",
                )

    @field_validator("xla", mode="before")
    @classmethod
    def _accept_yaml_boolean(cls, value: Any) -> Any:
        """YAML 1.1 reads a bare `on` or `off` as a boolean."""
        return {True: "on", False: "off"}[value] if isinstance(value, bool) else value
