"""The store answers plainly, whatever lies there, and never makes or changes a file."""

import os
import sqlite3

import pytest

from components.errors import StoreError
from pipeline.store import Store


def test_a_missing_store_is_not_made(tmp_path):
    with pytest.raises(StoreError, match="There is no metadata store"):
        Store(tmp_path / "metadata.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"\x00" * 4096, b"SQLite format 3\x00" + b"\xff" * 2000])
def test_rubbish_is_refused(tmp_path, content):
    path = tmp_path / "metadata.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"no sqlite database|damaged|is empty"):
        Store(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused(tmp_path):
    path = tmp_path / "metadata.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="of another program"):
        Store(path)
    assert path.read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_named(tmp_path):
    path = tmp_path / "metadata.db"
    path.write_bytes(b"")
    path.chmod(0)
    with pytest.raises(StoreError, match="cannot be read"):
        Store(path)


def test_a_locked_store_is_said_to_be(tmp_path):
    path = tmp_path / "metadata.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE MLMDEnv (schema_version INTEGER)")
    connection.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(StoreError, match="locked"):
            Store(path)
    finally:
        connection.close()
