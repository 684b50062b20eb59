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

from components.training.config import OptimizerConfig, ScheduleConfig, TrainingConfig

legacy: Any = tf_keras.optimizers.legacy


def base_rate(config: TrainingConfig) -> float:
    """The learning rate scaled with the global batch size."""
    ratio = config.global_batch_size / config.optimizer.base_batch_size
    factor = {"none": 1.0, "linear": ratio, "sqrt": math.sqrt(ratio)}[config.optimizer.scale_with_batch]
    return config.optimizer.learning_rate * factor


def learning_rate(config: ScheduleConfig, rate: float, total_steps: int) -> Callable[[Any], tf.Tensor]:
    """The schedule: a function of the step (int64 scalar, from 0) to the learning rate, float32 scalar."""
    after = max(total_steps - config.warmup_steps, 1)

    def at(step: Any) -> tf.Tensor:
        step = tf.cast(step, tf.float32)
        warm = tf.minimum((step + 1) / config.warmup_steps, 1.0) if config.warmup_steps else 1.0
        return rate * warm * _factor(config, tf.maximum(step - config.warmup_steps, 0.0), after)

    return at


def _factor(config: ScheduleConfig, step: tf.Tensor, total: int) -> tf.Tensor:
    done, end = tf.minimum(step / total, 1.0), config.end_fraction
    if config.name == "cosine":
        return end + (1 - end) * 0.5 * (1 + tf.cos(math.pi * done))
    if config.name == "polynomial":
        return end + (1 - end) * tf.pow(1 - done, config.power)
    if config.name == "exponential":
        return tf.pow(config.decay_rate, step / config.decay_steps)
    if config.name == "piecewise":
        index = tf.reduce_sum(tf.cast(step >= tf.constant(config.boundaries, tf.float32), tf.int32))
        return tf.gather(tf.constant(config.factors, tf.float32), index)
    return tf.ones([])


class Schedule(tf_keras.optimizers.schedules.LearningRateSchedule):
    """`learning_rate` as the object that a Keras optimizer asks."""

    def __init__(self, config: ScheduleConfig, rate: float, total_steps: int) -> None:
        self.config, self.rate, self.total_steps = config, rate, total_steps
        self._at = learning_rate(config, rate, total_steps)

    def __call__(self, step: Any) -> tf.Tensor:
        return self._at(step)

    def get_config(self) -> dict[str, Any]:
        return {"config": self.config, "rate": self.rate, "total_steps": self.total_steps}


def build_optimizer(config: TrainingConfig, total_steps: int) -> Any:
    """The optimizer with its schedule, a `tf_keras.optimizers.legacy.Optimizer`."""
    rate = Schedule(config.schedule, base_rate(config), total_steps)
    return _MAKERS[config.optimizer.name](config.optimizer, rate)


class _Decay:
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

    def _resource_apply_dense(self, grad: Any, var: Any, apply_state: Any = None) -> Any:
        if not self.decays(var.name):
            return super()._resource_apply_dense(grad, var, apply_state)  # type: ignore[misc]
        rate = self._decayed_lr(var.dtype)  # type: ignore[attr-defined]
        with tf.control_dependencies([var.assign_sub(rate * self.weight_decay * var)]):
            return super()._resource_apply_dense(grad, var, apply_state)  # type: ignore[misc]


class Sgd(_Decay, legacy.SGD):
    """SGD with momentum."""


class Adam(_Decay, legacy.Adam):
    """Adam, and with `weight_decay` AdamW."""


class Adagrad(_Decay, legacy.Adagrad):
    """Adagrad."""


class Lamb(legacy.Adam):
    """LAMB: Adam's step, scaled for each variable by the ratio of the norms of variable and step (arXiv:1904.00962)."""

    weight_decay: float
    no_weight_decay: tuple[str, ...]
    decaying, decays = _Decay.decaying, _Decay.decays

    def _resource_apply_dense(self, grad: Any, var: Any, apply_state: Any = None) -> Any:
        rate = self._decayed_lr(var.dtype)
        beta_1, beta_2 = self._get_hyper("beta_1", var.dtype), self._get_hyper("beta_2", var.dtype)
        power = tf.cast(self.iterations + 1, var.dtype)
        m, v = self.get_slot(var, "m"), self.get_slot(var, "v")
        m_now = m.assign(beta_1 * m + (1 - beta_1) * grad, use_locking=self._use_locking)
        v_now = v.assign(beta_2 * v + (1 - beta_2) * tf.square(grad), use_locking=self._use_locking)
        step = (m_now / (1 - tf.pow(beta_1, power))) / (tf.sqrt(v_now / (1 - tf.pow(beta_2, power))) + self.epsilon)
        if self.decays(var.name):
            step += self.weight_decay * var
        return var.assign_sub(rate * _trust_ratio(var, step) * step, use_locking=self._use_locking).op

    def _resource_apply_sparse(self, grad: Any, var: Any, indices: Any, apply_state: Any = None) -> Any:
        dense = tf.scatter_nd(tf.cast(indices, tf.int64)[:, None], grad, tf.shape(var, out_type=tf.int64))
        return self._resource_apply_dense(dense, var, apply_state)


def _trust_ratio(var: Any, step: tf.Tensor) -> tf.Tensor:
    size, change = tf.norm(var), tf.norm(step)
    return tf.where((size > 0) & (change > 0), size / change, 1.0)


def _sgd(config: OptimizerConfig, rate: Schedule) -> Any:
    return Sgd(rate, momentum=config.momentum, nesterov=config.nesterov).decaying(config)


def _adam(config: OptimizerConfig, rate: Schedule) -> Any:
    return Adam(rate, config.beta_1, config.beta_2, config.epsilon).decaying(config)


def _adagrad(config: OptimizerConfig, rate: Schedule) -> Any:
    return Adagrad(rate, epsilon=config.epsilon).decaying(config)


def _ftrl(config: OptimizerConfig, rate: Schedule) -> Any:
    return legacy.Ftrl(rate, l1_regularization_strength=config.l1, l2_regularization_strength=config.l2)


def _lamb(config: OptimizerConfig, rate: Schedule) -> Any:
    return Lamb(rate, config.beta_1, config.beta_2, config.epsilon).decaying(config)


_MAKERS = {"sgd": _sgd, "adam": _adam, "adamw": _adam, "adagrad": _adagrad, "ftrl": _ftrl, "lamb": _lamb}
