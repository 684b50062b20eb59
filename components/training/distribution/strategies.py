"""The strategies, as replicas. No other module tells them apart: steps and loop do not branch on the strategy."""

from __future__ import annotations

import functools
import logging
import signal
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from taxiway.components.errors import ConfigError
from taxiway.components.training.config import TrainingConfig
from taxiway.components.training.data.sources import BatchLayout
from taxiway.components.training.distribution import cluster

LOG = logging.getLogger(__name__)
CHIEF_DEVICE = "/job:chief/replica:0/task:0/device:CPU:0"


@dataclass(frozen=True)
class Replicas:
    """A strategy, and the part of it that this process runs.

    Attributes:
        strategy: TensorFlow's.
        count: Replicas in all.
        first: Number of this process's first replica.
        local: Replicas of this process.
        chief: Whether this process writes checkpoints, history and the export.
        coordinator: The coordinator of a parameter-server cluster; else None.
        workers: Processes that compute; 1 where there is no cluster.
    """

    strategy: Any
    count: int = 1
    first: int = 0
    local: int = 1
    chief: bool = True
    coordinator: Any = None
    workers: int = 1

    @property
    def process(self) -> int:
        """The number of this process among those that compute together; the chief's is 0."""
        return self.first // self.local

    @property
    def checkpoint_device(self) -> str:
        """The device whose file system takes the checkpoints; empty: each variable's own, which is this process's."""
        return CHIEF_DEVICE if self.coordinator is not None else ""

    @property
    def one_cpu(self) -> bool:
        """Whether everything is computed by this process's CPU, which also holds the rows."""
        return self.count == 1 and self.coordinator is None and not tf.config.list_logical_devices("GPU")

    def make_layout(self, batch: int, parts: int = 1) -> BatchLayout:
        return BatchLayout(batch, self.count, parts, self.first, self.local)

    def distribute_dataset(self, dataset_fn: Callable[[], tf.data.Dataset]) -> Any:
        """A dataset of this process's blocks, handed out to its replicas."""
        return self.strategy.distribute_datasets_from_function(lambda _: dataset_fn())

    def average_values(self, values: Sequence[float]) -> list[float]:
        """The mean of `values` over the processes: what depends on clocks and signals must be decided alike everywhere.

        In one process it is `values`. Every process must call it equally often; it is a barrier too.
        """
        if self.count == self.local:
            return list(values)
        return [float(v) for v in self._mean_function(tf.constant(values, tf.float64)).numpy()]

    def gather_values(self, value: float) -> list[float]:
        """`value` of every process, in the order of their numbers; up to 2^48 a whole number stays itself."""
        processes = self.count // self.local
        own = [0.0] * processes
        own[self.process] = value
        return [mean * processes for mean in self.average_values(own)]

    def broadcast_bytes(self, content: bytes) -> bytes:
        """The chief's `content`, in every process, whatever the others give. Every process must call it equally often.

        Two bytes travel as a float32: what every collective operation on every device can sum, and exactly.
        """
        if self.count == self.local:
            return content
        size = round(self.gather_values(len(content))[0])
        words = np.zeros(1 << max(size - 1, 1).bit_length() >> 1, np.float32)  # few sizes: each one is traced
        if self.chief:
            words[: (size + 1) // 2] = np.frombuffer(content + b"\0" * (size % 2), np.uint16)
        return bytes(self._first_function(tf.constant(words)).numpy().astype(np.uint16).tobytes()[:size])

    @functools.cached_property
    def _first_function(self) -> Any:
        def keep_first(values: tf.Tensor) -> tf.Tensor:
            number = tf.distribute.get_replica_context().replica_id_in_sync_group
            return tf.where(tf.equal(number, 0), values, tf.zeros_like(values))

        def sum_values(values: tf.Tensor) -> tf.Tensor:
            return self.strategy.reduce(
                tf.distribute.ReduceOp.SUM, self.strategy.run(keep_first, args=(values,)), axis=None
            )

        return tf.function(sum_values, autograph=False)

    @functools.cached_property
    def _mean_function(self) -> Any:
        def compute_mean(values: tf.Tensor) -> tf.Tensor:
            same = self.strategy.run(tf.identity, args=(values,))
            return self.strategy.reduce(tf.distribute.ReduceOp.MEAN, same, axis=None)

        return tf.function(compute_mean, autograph=False)

    def touch_on_hosts(self, path: str, seconds: float) -> None:
        """Makes a file on the host of every worker and parameter server, which share no disk with the chief perhaps.

        Args:
            path: The file, on their file systems; its folder is made where need be.
            seconds: The time after which a host that does not answer is left alone.
        """
        if self.coordinator is None:
            return
        tasks = [(kind, i) for kind, names in read_members().items() if kind != "chief" for i in range(len(names))]
        threads = [threading.Thread(target=_touch_on_host, args=(path, *task), daemon=True) for task in tasks]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0))

    def local_value(self, value: Any) -> Any:
        """The value of this process's first replica."""
        return self.strategy.experimental_local_results(value)[0]


def read_members() -> dict[str, list[str]]:
    """The addresses of the cluster's members by kind, of `TF_CONFIG`."""
    spec = tf.distribute.cluster_resolver.TFConfigClusterResolver().cluster_spec()
    return {kind: list(spec.job_tasks(kind)) for kind in spec.jobs}


def _touch_on_host(path: str, kind: str, index: int) -> None:
    try:
        with tf.device(f"/job:{kind}/replica:0/task:{index}/device:CPU:0"):
            tf.io.write_file(path, "")
    except tf.errors.OpError as error:
        LOG.warning("%s %d was not told that training is finished: %s", kind, index, error.message[:200])


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
    _limit_threads(config)
    if config.strategy != "mirrored" or gpus or config.replicas < 2:
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


def _build_one_device(config: TrainingConfig) -> Replicas:
    gpus = tf.config.list_logical_devices("GPU")
    return Replicas(tf.distribute.OneDeviceStrategy(gpus[0].name) if gpus else tf.distribute.get_strategy())


def _build_mirrored(config: TrainingConfig) -> Replicas:
    devices = list_local_devices(config)
    # Devices of one CPU have no links between them: summing on the first is all there is to do.
    ops = tf.distribute.ReductionToOneDevice() if "CPU" in devices[0] else None
    strategy = tf.distribute.MirroredStrategy(devices, cross_device_ops=ops)
    return Replicas(strategy, len(devices), 0, len(devices))


def list_local_devices(config: TrainingConfig) -> list[str]:
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


def _limit_threads(config: TrainingConfig) -> None:
    """Threads of the kernels. Operations keep theirs: with one, a parameter server's worker waits for itself."""
    threads = config.cluster.threads_per_task
    if threads and config.strategy in ("multi_worker_mirrored", "parameter_server"):
        tf.config.threading.set_intra_op_parallelism_threads(threads)


def _build_multi_worker(config: TrainingConfig) -> Replicas:
    gpus = tf.config.list_physical_devices("GPU")
    if config.replicas > 1 and not gpus:
        raise ConfigError(
            f"training.replicas is {config.replicas}; a worker without GPUs has one replica, its CPU.",
            "Set training.replicas to 0 and training.cluster.workers to the number of replicas.",
        )
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))  # TensorFlow has put its own over it
    local = len(strategy.extended.worker_devices)
    worker = number_worker(*require_cluster_task(), strategy.cluster_resolver.cluster_spec().jobs)
    count = strategy.num_replicas_in_sync
    return Replicas(strategy, count, worker * local, local, chief=worker == 0, workers=count // local)


def number_worker(kind: str, index: int, jobs: Collection[str]) -> int:
    """The number of a task among those that train, as the strategy counts them: the chief, if any, is the first.

    Args:
        kind: The task's kind: `chief` or `worker`.
        index: The task's number among those of its kind.
        jobs: The kinds of tasks in the cluster.
    """
    return index + int(kind == "worker" and "chief" in jobs)


def require_cluster_task() -> tuple[str, int]:
    """Kind and index of this process in its cluster."""
    task = cluster.read_cluster_task()
    if task is None:
        raise ConfigError(
            "This strategy needs a cluster, and TF_CONFIG names none.",
            "Start it with taxiway.components.training.train.",
        )
    return task


def _build_parameter_server(config: TrainingConfig) -> Replicas:
    """The chief's view. Workers and servers never get here: see `serve_task`."""
    if config.ema_decay:
        raise ConfigError(
            f"training.ema_decay is {config.ema_decay:g}, which parameter servers do not do.",
            "Set it to 0: asynchronous steps see no common weights to average.",
        )
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    spec = resolver.cluster_spec()
    partitioner = tf.distribute.experimental.partitioners.MinSizePartitioner(
        min_shard_bytes=PARTITION_BYTES, max_shards=spec.num_tasks("ps")
    )
    strategy = tf.distribute.experimental.ParameterServerStrategy(resolver, variable_partitioner=partitioner)
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    workers = spec.num_tasks("worker")
    return Replicas(strategy, coordinator=coordinator, workers=workers)


PARTITION_BYTES = 1 << 12
"""An embedding table is cut into parts of at least this size, one for each parameter server at most."""


def serve_task() -> str:
    """What a worker or parameter server does: serves its cluster in threads of TensorFlow.

    Returns:
        Address of the chief.
    """
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    server = tf.distribute.Server(
        resolver.cluster_spec(),
        job_name=resolver.task_type,
        task_index=resolver.task_id,
        protocol=resolver.rpc_layer or "grpc",
        start=True,
    )
    _SERVERS.append(server)
    return str(resolver.cluster_spec().job_tasks("chief")[0])


_SERVERS: list[Any] = []
"""A server ends when nobody holds it any more."""


def _build_tpu(config: TrainingConfig) -> Replicas:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, tf.errors.OpError) as error:
        raise ConfigError(
            f"training.strategy is 'tpu', and there is no TPU here: {error}",
            "Run where a TPU is attached (TPU_NAME names it), or choose one_device or mirrored.",
        ) from error
    strategy = tf.distribute.TPUStrategy(resolver)
    return Replicas(strategy, strategy.num_replicas_in_sync, 0, strategy.num_replicas_in_sync)


_BUILDERS: dict[str, Callable[[TrainingConfig], Replicas]] = {
    "one_device": _build_one_device,
    "mirrored": _build_mirrored,
    "multi_worker_mirrored": _build_multi_worker,
    "parameter_server": _build_parameter_server,
    "tpu": _build_tpu,
}
