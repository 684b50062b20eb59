"""The store answers plainly, whatever lies there, and never makes or changes a file."""

import os
import re
import sqlite3
from pathlib import Path

import pytest

from taxiway.components.errors import StoreError
from taxiway.pipeline.tracking.store.metadata_store import RunStore


def test_one_module_opens_ml_metadata():
    """`tfx_private` holds the class; the benchmark makes stores that no root has."""
    checkout = Path(__file__).parents[4]
    files = [file for room in ("components", "pipeline") for file in (checkout / room).rglob("*.py")]
    opening = {file for file in files if re.search(r"\b(MetadataStore|open_guarded_store)\(", file.read_text())}
    assert {str(file.relative_to(checkout)) for file in opening} == {
        "pipeline/bench/lineage.py",
        "pipeline/tfx_private.py",
        "pipeline/tracking/store/mlmd_connection.py",
    }


def test_a_missing_store_is_not_made(tmp_path):
    with pytest.raises(StoreError, match="There is no metadata store"):
        RunStore(tmp_path / "metadata.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"\x00" * 4096, b"SQLite format 3\x00" + b"\xff" * 2000])
def test_rubbish_is_refused(tmp_path, content):
    path = tmp_path / "metadata.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"no sqlite database|damaged|is empty"):
        RunStore(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused(tmp_path):
    path = tmp_path / "metadata.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="of another program"):
        RunStore(path)
    assert path.read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_named(tmp_path):
    path = tmp_path / "metadata.db"
    path.write_bytes(b"")
    path.chmod(0)
    with pytest.raises(StoreError, match="cannot be read"):
        RunStore(path)


def test_a_locked_store_is_said_to_be(tmp_path):
    path = tmp_path / "metadata.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE MLMDEnv (schema_version INTEGER)")
    connection.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(StoreError, match="locked"):
            RunStore(path)
    finally:
        connection.close()
