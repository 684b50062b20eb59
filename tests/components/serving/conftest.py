"""A fake model for tests of files, and a small real one for tests of serving."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.components.serving.learned import Learned


def fake_model(folder: Path, content: bytes = b"model") -> Path:
    """A folder that looks like a SavedModel to code that does not load it."""
    (folder / "variables").mkdir(parents=True)
    (folder / "assets").mkdir()
    (folder / "assets.extra").mkdir()
    (folder / "saved_model.pb").write_bytes(content)
    (folder / "variables" / "variables.index").write_bytes(b"index of " + content)
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(content * 100)
    (folder / "assets" / "vocabulary").write_text("a\nb\n")
    (folder / "assets.extra" / "signature_inputs.json").write_text("{}")
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A fake model."""
    return fake_model(tmp_path / "model")


@pytest.fixture(scope="session")
def taxi_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small real model."""
    from tests.components.serving.models import write_model

    return write_model(tmp_path_factory.mktemp("models") / "taxi")


@pytest.fixture
def learned(tmp_path_factory: pytest.TempPathFactory, taxi_model: Path) -> Learned:
    """A table in several formats, and the version that carries the rules by which it was read."""
    from tests.components.serving.learned import learn

    return learn(tmp_path_factory.mktemp("learned"), taxi_model)
