"""Where the replicas are. Only this file knows the strategies apart; steps and loop do not branch on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from components.errors import ConfigError
from components.training.config import TrainingConfig
from components.training.input import Layout


@dataclass(frozen=True)
class Replicas:
    """A strategy, and what of it this process runs.

    Attributes:
        strategy: TensorFlow's.
        count: Replicas in all.
        first: Number of this process's first replica.
        local: Replicas of this process.
        chief: Whether this process writes checkpoints, history and the export.
    """

    strategy: Any
    count: int = 1
    first: int = 0
    local: int = 1
    chief: bool = True

    def layout(self, batch: int, parts: int = 1) -> Layout:
        return Layout(batch, self.count, parts, self.first, self.local)

    def distribute(self, dataset_fn: Callable[[], tf.data.Dataset]) -> Any:
        """A dataset of this process's blocks, handed out to its replicas."""
        return self.strategy.distribute_datasets_from_function(lambda _: dataset_fn())

    def local_value(self, value: Any) -> Any:
        """The value of this process's first replica."""
        return self.strategy.experimental_local_results(value)[0]


def prepare_devices(config: TrainingConfig) -> None:
    """Makes the logical CPU devices that the strategy needs. Before TensorFlow starts, or not at all.

    Raises:
        ConfigError: TensorFlow has already started with fewer devices.
    """
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    gpus, cpus = tf.config.list_physical_devices("GPU"), tf.config.list_physical_devices("CPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if config.strategy not in ("mirrored", "multi_worker_mirrored") or gpus or config.replicas < 2:
        return
    try:
        tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * config.replicas)
    except RuntimeError as error:
        if len(tf.config.list_logical_devices("CPU")) < config.replicas:
            raise ConfigError(
                f"training.replicas: {config.replicas} logical CPU devices cannot be made: {error}",
                "Start training in a process of its own.",
            ) from error


def build_replicas(config: TrainingConfig) -> Replicas:
    """The replicas that the configuration asks for.

    Raises:
        ConfigError: this machine does not have the devices.
    """
    return _BUILDERS[config.strategy](config)


def _one_device(config: TrainingConfig) -> Replicas:
    gpus = tf.config.list_logical_devices("GPU")
    return Replicas(tf.distribute.OneDeviceStrategy(gpus[0].name) if gpus else tf.distribute.get_strategy())


def _mirrored(config: TrainingConfig) -> Replicas:
    devices = local_devices(config)
    # Devices of one CPU have no links between them: summing on the first is all there is to do.
    ops = tf.distribute.ReductionToOneDevice() if "CPU" in devices[0] else None
    strategy = tf.distribute.MirroredStrategy(devices, cross_device_ops=ops)
    return Replicas(strategy, len(devices), 0, len(devices))


def local_devices(config: TrainingConfig) -> list[str]:
    """Names of the devices that this process's replicas use.

    Raises:
        ConfigError: there are fewer than `training.replicas`.
    """
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    devices = [d.name for d in tf.config.list_logical_devices(kind)]
    if config.replicas > len(devices):
        raise ConfigError(
            f"training.replicas is {config.replicas}, and this process has {len(devices)} {kind} devices.",
            f"Set it to {len(devices)}, or to 0 for all.",
        )
    return devices[: config.replicas] if config.replicas else devices


_BUILDERS: dict[str, Callable[[TrainingConfig], Replicas]] = {"one_device": _one_device, "mirrored": _mirrored}
