"""The environment variables that TensorFlow, HDF5 and gRPC read when they are imported."""

from __future__ import annotations

import os

TENSORFLOW_ENVIRONMENT = {
    "TF_USE_LEGACY_KERAS": "1",  # TFT and tfmot choose Keras 2 when imported: one process must never see both
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "HDF5_PLUGIN_PRELOAD": "::",  # HDF5's word for no plugins: they would come from a folder that others may write
}
ENVIRONMENT = {**TENSORFLOW_ENVIRONMENT, "GRPC_VERBOSITY": "ERROR"}


def choose_legacy_keras() -> None:
    """Sets `TF_USE_LEGACY_KERAS`. Call it before TensorFlow is imported."""
    os.environ["TF_USE_LEGACY_KERAS"] = ENVIRONMENT["TF_USE_LEGACY_KERAS"]


def set_environment() -> None:
    """Sets all variables; a log level that the user has set stays."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    choose_legacy_keras()
