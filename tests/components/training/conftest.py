"""One small data set a task, made once a session."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

from tests.components.training.synthetic import write_dataset


@pytest.fixture(scope="session")
def binary_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("binary")
    write_dataset(folder, "binary")
    return folder


@pytest.fixture(scope="session")
def multiclass_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("multiclass")
    write_dataset(folder, "multiclass")
    return folder


@pytest.fixture(scope="session")
def regression_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("regression")
    write_dataset(folder, "regression")
    return folder


@pytest.fixture(scope="session")
def one_file_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Binary, in one file: fewer files than workers."""
    folder = tmp_path_factory.mktemp("one_file")
    write_dataset(folder, "binary", train_rows=(617,))
    return folder
