"""Optimizers and learning-rate schedules.

They are tf_keras's *legacy* optimizers on purpose: one fused kernel a variable where the newer ones run a dozen small
ones, which decides the speed of small models; and they work under every strategy, the parameter server included.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras

from taxiway.components.training.config import OptimizerConfig, ScheduleConfig, TrainingConfig
from taxiway.components.training.tensorflow_private import UpdateHooks

legacy: Any = tf_keras.optimizers.legacy


def scale_learning_rate(config: TrainingConfig) -> float:
    """The learning rate scaled with the global batch size."""
    ratio = config.global_batch_size / config.optimizer.base_batch_size
    factor = {"none": 1.0, "linear": ratio, "sqrt": math.sqrt(ratio)}[config.optimizer.scale_with_batch]
    return config.optimizer.learning_rate * factor


def build_schedule(config: ScheduleConfig, rate: float, total_steps: int) -> Callable[[Any], tf.Tensor]:
    """The schedule: a function of the step (int64 scalar, from 0) to the learning rate, float32 scalar."""
    after = max(total_steps - config.warmup_steps, 1)

    def rate_at_step(step: Any) -> tf.Tensor:
        step = tf.cast(step, tf.float32)
        warm = tf.minimum((step + 1) / config.warmup_steps, 1.0) if config.warmup_steps else 1.0
        return rate * warm * _schedule_factor(config, tf.maximum(step - config.warmup_steps, 0.0), after)

    return rate_at_step


def _schedule_factor(config: ScheduleConfig, step: tf.Tensor, total: int) -> tf.Tensor:
    progress, end = tf.minimum(step / total, 1.0), config.end_fraction
    if config.name == "cosine":
        return end + (1 - end) * 0.5 * (1 + tf.cos(math.pi * progress))
    if config.name == "polynomial":
        return end + (1 - end) * tf.pow(1 - progress, config.power)
    if config.name == "exponential":
        return tf.pow(config.decay_rate, step / config.decay_steps)
    if config.name == "piecewise":
        index = tf.reduce_sum(tf.cast(step >= tf.constant(config.boundaries, tf.float32), tf.int32))
        return tf.gather(tf.constant(config.factors, tf.float32), index)
    return tf.ones([])


class RateSchedule(tf_keras.optimizers.schedules.LearningRateSchedule):
    """`build_schedule` as the object that a Keras optimizer asks."""

    def __init__(self, config: ScheduleConfig, rate: float, total_steps: int) -> None:
        self.config, self.rate, self.total_steps = config, rate, total_steps
        self._at = build_schedule(config, rate, total_steps)

    def __call__(self, step: Any) -> tf.Tensor:
        return self._at(step)

    def get_config(self) -> dict[str, Any]:
        return {"config": self.config, "rate": self.rate, "total_steps": self.total_steps}


def build_optimizer(config: TrainingConfig, total_steps: int) -> Any:
    """The optimizer with its schedule, a `tf_keras.optimizers.legacy.Optimizer`."""
    rate = RateSchedule(config.schedule, scale_learning_rate(config), total_steps)
    return _MAKERS[config.optimizer.name](config.optimizer, rate)


class _WeightDecayMixin(UpdateHooks):
    """Mixed into an optimizer: takes `rate * weight_decay * variable` off each variable before its own step.

    Decoupled from the gradient's own scaling: Loshchilov and Hutter, arXiv:1711.05101.
    """

    weight_decay: float
    no_weight_decay: tuple[str, ...]

    def decaying(self, config: OptimizerConfig) -> Any:
        self.weight_decay, self.no_weight_decay = config.weight_decay, config.no_weight_decay
        return self

    def decays(self, name: str) -> bool:
        return bool(self.weight_decay) and not any(word in name.lower() for word in self.no_weight_decay)

    def update_dense(self, gradient: Any, variable: Any, apply_state: Any) -> Any:
        if not self.decays(variable.name):
            return super().update_dense(gradient, variable, apply_state)
        decay = self.read_rate(variable) * self.weight_decay * variable
        with tf.control_dependencies([variable.assign_sub(decay)]):
            return super().update_dense(gradient, variable, apply_state)


class Sgd(_WeightDecayMixin, legacy.SGD):
    """SGD with momentum."""


class Adam(_WeightDecayMixin, legacy.Adam):
    """Adam, and with `weight_decay` AdamW."""


class Adagrad(_WeightDecayMixin, legacy.Adagrad):
    """Adagrad."""


class Lamb(_WeightDecayMixin, legacy.Adam):
    """LAMB: Adam's step, scaled for each variable by the ratio of the norms of variable and step (arXiv:1904.00962).

    The decay is part of the step that is scaled.
    """

    def update_dense(self, gradient: Any, variable: Any, apply_state: Any) -> Any:
        beta_1, beta_2 = self.read_setting("beta_1", variable), self.read_setting("beta_2", variable)
        power = tf.cast(self.iterations + 1, variable.dtype)
        m, v = self.get_slot(variable, "m"), self.get_slot(variable, "v")
        m_now = m.assign(beta_1 * m + (1 - beta_1) * gradient)
        v_now = v.assign(beta_2 * v + (1 - beta_2) * tf.square(gradient))
        step = (m_now / (1 - tf.pow(beta_1, power))) / (tf.sqrt(v_now / (1 - tf.pow(beta_2, power))) + self.epsilon)
        if self.decays(variable.name):
            step += self.weight_decay * variable
        return variable.assign_sub(self.read_rate(variable) * _compute_trust_ratio(variable, step) * step).op

    def update_sparse(self, gradient: Any, variable: Any, indices: Any, apply_state: Any) -> Any:
        shape = tf.shape(variable, out_type=tf.int64)
        dense = tf.scatter_nd(tf.cast(indices, tf.int64)[:, None], gradient, shape)
        return self.update_dense(dense, variable, apply_state)


def _compute_trust_ratio(var: Any, step: tf.Tensor) -> tf.Tensor:
    size, change = tf.norm(var), tf.norm(step)
    return tf.where((size > 0) & (change > 0), size / change, 1.0)


def _build_sgd(config: OptimizerConfig, rate: RateSchedule) -> Any:
    return Sgd(rate, momentum=config.momentum, nesterov=config.nesterov).decaying(config)


def _build_adam(config: OptimizerConfig, rate: RateSchedule) -> Any:
    return Adam(rate, config.beta_1, config.beta_2, config.epsilon).decaying(config)


def _build_adagrad(config: OptimizerConfig, rate: RateSchedule) -> Any:
    return Adagrad(rate, epsilon=config.epsilon).decaying(config)


def _build_ftrl(config: OptimizerConfig, rate: RateSchedule) -> Any:
    return legacy.Ftrl(rate, l1_regularization_strength=config.l1, l2_regularization_strength=config.l2)


def _build_lamb(config: OptimizerConfig, rate: RateSchedule) -> Any:
    return Lamb(rate, config.beta_1, config.beta_2, config.epsilon).decaying(config)


_MAKERS = {
    "sgd": _build_sgd,
    "adam": _build_adam,
    "adamw": _build_adam,
    "adagrad": _build_adagrad,
    "ftrl": _build_ftrl,
    "lamb": _build_lamb,
}
