"""The process that imports TensorFlow and tells what it can do here: the import takes seconds and may abort."""

from __future__ import annotations

from typing import Any

from taxiway.components.processes import subprocesses


def examine_tensorflow(_: dict[str, Any]) -> dict[str, Any]:
    """Versions, GPUs, and what TensorFlow was built with."""
    import tensorflow as tf
    import tf_keras

    build = tf.sysconfig.get_build_info()
    return {
        "version": tf.__version__,
        "keras": tf_keras.__version__,
        "cuda": bool(build.get("is_cuda_build")),
        "gpus": [device.name for device in tf.config.list_physical_devices("GPU")],
        "tensorrt_build": bool(build.get("is_tensorrt_build")),
    }


if __name__ == "__main__":
    subprocesses.run_child_main(examine_tensorflow)
