"""`taxiway`, also `python -m taxiway`."""

from __future__ import annotations

import os
import sys

from taxiway.environment import set_environment


def main() -> None:
    """Sets what TensorFlow reads when it is imported, then runs the command line."""
    set_environment()
    from taxiway.pipeline import cli

    sys.exit(cli.run(sys.argv[1:]))


if __name__ == "__main__":
    if sys.path[0] == os.getcwd():  # noqa: PTH109 - `python -m` puts it there; a `data/` in it would hide the user's own
        del sys.path[0]
    main()
