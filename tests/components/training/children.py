"""The parts of tests that run in processes of their own: devices can be configured only before TensorFlow starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from taxiway.components.processes import subprocesses
from taxiway.components.training import TrainingJob


def work(content: dict[str, Any]) -> dict[str, Any]:
    """Trains every job of `jobs` in one process with four logical devices; its weights go to `folder/NAME.npz`."""
    import tensorflow as tf
    from tensorflow.python.framework.config import is_op_determinism_enabled

    from taxiway.components.training.run import run_training

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 4)
    jobs = {name: TrainingJob.model_validate(job) for name, job in content["jobs"].items()}
    results = {name: run_training(job).model_dump() for name, job in jobs.items()}
    return results | {"deterministic": is_op_determinism_enabled()}


def weights(training_folder: Path) -> list[np.ndarray]:
    """The exported weights."""
    from taxiway.components.training import load_trained

    return load_trained(str(training_folder)).keras_model.get_weights()


if __name__ == "__main__":
    subprocesses.run_child_main(work)
