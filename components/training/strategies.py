"""Where the replicas are. Only this file knows the strategies apart; steps and loop do not branch on them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from components.errors import ConfigError
from components.training import cluster
from components.training.config import TrainingConfig
from components.training.sources import Layout


@dataclass(frozen=True)
class Replicas:
    """A strategy, and what of it this process runs.

    Attributes:
        strategy: TensorFlow's.
        count: Replicas in all.
        first: Number of this process's first replica.
        local: Replicas of this process.
        chief: Whether this process writes checkpoints, history and the export.
        coordinator: Of a parameter-server cluster; else None.
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
    def one_cpu(self) -> bool:
        """Whether everything is computed by this process's CPU, which also holds the rows."""
        return self.count == 1 and self.coordinator is None and not tf.config.list_logical_devices("GPU")

    def layout(self, batch: int, parts: int = 1) -> Layout:
        return Layout(batch, self.count, parts, self.first, self.local)

    def distribute(self, dataset_fn: Callable[[], tf.data.Dataset]) -> Any:
        """A dataset of this process's blocks, handed out to its replicas."""
        return self.strategy.distribute_datasets_from_function(lambda _: dataset_fn())

    def agree(self, values: Sequence[float]) -> list[float]:
        """The mean of `values` over the processes: what depends on clocks and signals must be decided alike everywhere.

        In one process it is `values`. Every process must call it equally often; it is a barrier too.
        """
        if self.count == self.local:
            return list(values)
        return [float(v) for v in self._mean(tf.constant(values, tf.float64)).numpy()]

    def gather(self, value: float) -> list[float]:
        """`value` of every process, in the order of their numbers; up to 2^48 a whole number stays itself."""
        processes = self.count // self.local
        own = [0.0] * processes
        own[self.first // self.local] = value
        return [mean * processes for mean in self.agree(own)]

    @functools.cached_property
    def _mean(self) -> Any:
        def mean(values: tf.Tensor) -> tf.Tensor:
            same = self.strategy.run(tf.identity, args=(values,))
            return self.strategy.reduce(tf.distribute.ReduceOp.MEAN, same, axis=None)

        return tf.function(mean, autograph=False)

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


def _limit_threads(config: TrainingConfig) -> None:
    """Threads of the kernels. Operations keep theirs: with one, a parameter server's worker waits for itself."""
    threads = config.cluster.threads_per_task
    if threads and config.strategy in ("multi_worker_mirrored", "parameter_server"):
        tf.config.threading.set_intra_op_parallelism_threads(threads)


def _multi_worker(config: TrainingConfig) -> Replicas:
    gpus = tf.config.list_physical_devices("GPU")
    if config.replicas > 1 and not gpus:
        raise ConfigError(
            f"training.replicas is {config.replicas}; a worker without GPUs has one replica, its CPU.",
            "Set training.replicas to 0 and training.cluster.workers to the number of replicas.",
        )
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    local = len(strategy.extended.worker_devices)
    kind, index = own_task()
    chief = kind == "chief" or (index == 0 and "chief" not in strategy.cluster_resolver.cluster_spec().jobs)
    first = strategy.extended._id_in_cluster * local
    count = strategy.num_replicas_in_sync
    return Replicas(strategy, count, first, local, chief, workers=count // local)


def own_task() -> tuple[str, int]:
    """Kind and index of this process in its cluster."""
    task = cluster.task_of_environment()
    if task is None:
        raise ConfigError(
            "This strategy needs a cluster, and TF_CONFIG names none.", "Start it with components.training.train."
        )
    return task


def _parameter_server(config: TrainingConfig) -> Replicas:
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


def serve_task() -> None:
    """What a worker or parameter server does: serves its cluster, and never returns."""
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    server = tf.distribute.Server(
        resolver.cluster_spec(),
        job_name=resolver.task_type,
        task_index=resolver.task_id,
        protocol=resolver.rpc_layer or "grpc",
        start=True,
    )
    server.join()


def _tpu(config: TrainingConfig) -> Replicas:
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
    "one_device": _one_device,
    "mirrored": _mirrored,
    "multi_worker_mirrored": _multi_worker,
    "parameter_server": _parameter_server,
    "tpu": _tpu,
}
