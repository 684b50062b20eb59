"""`taxiway`, also `python -m pipeline`."""

from __future__ import annotations

import os
import sys

ENVIRONMENT = {
    "TF_USE_LEGACY_KERAS": "1",  # TFT and tfmot choose Keras 2 when imported: one process must never see both
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "GRPC_VERBOSITY": "ERROR",
}


def main() -> None:
    """Sets what TensorFlow reads when it is imported, then runs the command line."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    from pipeline import cli

    sys.exit(cli.run(sys.argv[1:]))


if __name__ == "__main__":
    main()
