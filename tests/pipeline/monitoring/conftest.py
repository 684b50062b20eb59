"""One served version for all tests of monitoring."""

from __future__ import annotations

import pytest

from taxiway.pipeline.root import Root
from tests.components.serving import models
from tests.pipeline.monitoring.served import Served, ask_server, make_rows, push_version


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A pushed version whose server was asked 900 honest rows and is stopped."""
    folder = tmp_path_factory.mktemp("monitored")
    model, root = models.write_model(folder / "model"), Root.at(folder / "root")
    root.path.mkdir()
    version = push_version(root, model, folder / "validated")
    made = Served(root, version, model, make_rows(900, 3))
    ask_server(made)
    return made
