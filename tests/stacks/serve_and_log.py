"""Run on a stack: pushes a version into a new root, asks its server, and leaves the log of it; prints the version."""

from __future__ import annotations

import sys
from pathlib import Path

from taxiway.environment import set_environment


def serve_rows(folder: Path) -> int:
    """The version, below `root` in a folder that is there."""
    from taxiway.pipeline.root import Root
    from tests.components.serving import models
    from tests.pipeline.monitoring.served import Served, ask_server, make_rows, push_version

    model, root = models.write_model(folder / "model"), Root.at(folder / "root")
    root.path.mkdir()
    version = push_version(root, model, folder / "validated")
    ask_server(Served(root, version, model, make_rows(900, 3)))
    return version


if __name__ == "__main__":
    set_environment()
    print(serve_rows(Path(sys.argv[1])))
