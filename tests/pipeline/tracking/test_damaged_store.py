"""A damaged `metadata.db`: every kind of damage, every command: a sentence and a remedy that works, never a bug."""

import contextlib
import json
import re
import sqlite3

import pytest
from ml_metadata.metadata_store import metadata_store

from taxiway.pipeline import cli
from taxiway.pipeline.maintenance import check_machine as machine
from taxiway.pipeline.root import Root as Place
from taxiway.pipeline.tracking import run_record
from taxiway.pipeline.tracking.store import store_file
from tests.pipeline.lineage.stores import Root, memory_folder

COMMANDS = ("runs", "show", "lineage", "run", "doctor")


def database(path):
    return contextlib.closing(sqlite3.connect(path, isolation_level=None))


def truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def zeroed_header(path):
    path.write_bytes(b"\0" * 100 + path.read_bytes()[100:])


def zeroed_page(path):
    with database(path) as connection:
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'Execution'").fetchone()[0]
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\0" * 4096
    path.write_bytes(content)


def random_bytes(path):
    path.write_bytes(bytes(range(256)) * 300)


def emptied(path):
    path.write_bytes(b"")


def gone(path):
    path.unlink()


def missing_table(path):
    with database(path) as connection:
        connection.execute("DROP TABLE Event")


def missing_version(path):
    with database(path) as connection:
        connection.execute("DELETE FROM MLMDEnv")


def text_file(path):
    path.write_text("not a database\n" * 20)


def folder(path):
    path.unlink()
    path.mkdir()


def overwritten_middle(path):
    content = bytearray(path.read_bytes())
    content[5000:40000] = b"\xa5" * 35000
    path.write_bytes(content)


DAMAGE = (truncated, zeroed_header, zeroed_page, random_bytes, emptied, gone, missing_table, missing_version,
          text_file, folder, overwritten_middle)  # fmt: skip


def newer_schema(path):
    with database(path) as connection:
        connection.execute("UPDATE MLMDEnv SET schema_version = 99")


@pytest.fixture
def root(monkeypatch):
    monkeypatch.setattr(machine, "examine_machine", lambda _: [])  # the machine has its own tests
    with memory_folder() as place:
        made = Root(place / "a root")
        ids = made.run("run-0")
        summary = {
            "run_id": "run-0", "state": "live", "exit_code": 0, "model": "taxi", "started": made.clock,
            "nodes": [{"node": "Trainer", "state": "done", "execution_id": ids["Trainer.model"]}],
        }  # fmt: skip
        folder = made.path / "runs" / "run-0"
        folder.mkdir(parents=True)
        run_record.write_summary(run_record.RunRecord.model_validate(summary), folder)
        made.mlmd = None  # sqlite's file is closed
        yield made


def ask(command, root):
    return cli.run([command, "--root", str(root.path)])


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda each: each.__name__)
def test_every_command_says_what_is_lost_and_what_to_do(root, damage, capfd):
    path = root.path / "metadata.db"
    damage(path)
    before = path.read_bytes() if path.is_file() else None
    for command in COMMANDS:
        code, printed = ask(command, root), capfd.readouterr()
        words = re.sub(r"\s+", " ", printed.out + printed.err)
        if damage is gone and command in ("runs", "show", "lineage"):
            assert code == 0, "summaries and versions tell it without the store"
            continue
        assert code == 1, (command, words)
        assert "bug in Taxiway" not in words and "Traceback" not in words, command
        assert "metadata.db" in words and "--fix" in words and "Lost" in words, (command, words)
        assert "locked" not in words, command
    assert (path.read_bytes() if path.is_file() else None) == before
    assert sorted(p.name for p in (root.path / "runs").iterdir()) == ["run-0"], "no run was begun"


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda each: each.__name__)
def test_the_remedy_works(root, damage, capfd):
    damage(root.path / "metadata.db")
    assert cli.run(["doctor", "--fix", "--root", str(root.path)]) == 0, capfd.readouterr()
    place = Place.at(root.path)
    assert not place.metadata.exists() and not place.artifacts.exists()
    assert list((place.path / store_file.PUT_ASIDE).iterdir())
    for command in ("runs", "show", "lineage", "doctor"):
        code, printed = ask(command, root), capfd.readouterr()
        assert code == 0, (command, printed)
    again = Root(root.path)
    again.run("run-1")
    again.mlmd = None
    assert cli.run(["show", "run-0", "--json", "--root", str(root.path)]) == 0
    assert json.loads(capfd.readouterr().out)["artifacts"] == [], "the new store's ids are not the lost one's"


def test_a_newer_store_is_no_damage(root, capfd):
    newer_schema(root.path / "metadata.db")
    for command in COMMANDS:
        code, printed = ask(command, root), capfd.readouterr()
        words = re.sub(r"\s+", " ", printed.out + printed.err)
        assert code == 1, (command, words)
        assert "another version of ML Metadata" in words and "bug in Taxiway" not in words, (command, words)
    assert cli.run(["doctor", "--fix", "--root", str(root.path)]) == 1
    assert (root.path / "metadata.db").exists(), "what a newer one can read is not put aside"


def test_a_locked_store_is_said_to_be_locked(root, capfd, monkeypatch):
    monkeypatch.setattr(store_file, "LOCK_SECONDS", 0.1)
    with database(root.path / "metadata.db") as connection:
        connection.execute("BEGIN EXCLUSIVE")
        for command in COMMANDS:
            code, printed = ask(command, root), capfd.readouterr()
            words = re.sub(r"\s+", " ", printed.out + printed.err)
            assert code == 1 and "is locked by another process" in words, (command, words)


def test_what_this_user_may_not_read_is_named(root, capfd, monkeypatch):
    def refuse(file, *arguments, **options):
        if str(file).endswith("metadata.db"):
            raise PermissionError(13, "Permission denied", str(file))
        return open(file, *arguments, **options)

    monkeypatch.setattr(store_file, "open", refuse, raising=False)
    for command in COMMANDS:
        code, printed = ask(command, root), capfd.readouterr()
        words = re.sub(r"\s+", " ", printed.out + printed.err)
        assert code == 1 and "Permission denied" in words and "bug in Taxiway" not in words, (command, words)


@pytest.mark.parametrize("end", store_file.JOURNALS)
@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"rubbish" * 1000], ids=["empty", "zeros", "rubbish"])
def test_a_journal_left_by_a_killed_process_is_brought_to_its_end(root, capfd, end, content):
    path = root.path / "metadata.db"
    path.with_name(path.name + end).write_bytes(content)
    for command in ("runs", "show", "lineage", "doctor"):
        code, printed = ask(command, root), capfd.readouterr()
        assert code == 0, (command, printed)
    metadata_store_of(path)


def test_a_hot_journal_is_rolled_back(root, capfd):
    path = root.path / "metadata.db"
    with database(path) as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("PRAGMA cache_spill = 1")
        connection.execute("BEGIN")
        connection.execute("UPDATE Execution SET last_known_state = 1")
        connection.execute("CREATE TABLE junk (x)")
        connection.executemany("INSERT INTO junk VALUES (?)", [("y" * 3000,)] * 50)
        journal = path.with_name(path.name + "-journal").read_bytes()
        half_written = path.read_bytes()
    assert journal
    path.write_bytes(half_written)
    path.with_name(path.name + "-journal").write_bytes(journal)
    for command in ("runs", "show", "lineage", "doctor"):
        code, printed = ask(command, root), capfd.readouterr()
        assert code == 0, (command, printed)
    with database(path) as connection:
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'junk'").fetchall()


def metadata_store_of(path):
    from ml_metadata.proto import metadata_store_pb2 as pb

    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = str(path)
    return metadata_store.MetadataStore(config)


def test_an_empty_file_of_a_full_disk_is_a_beginning(tmp_path):
    root = Place.at(tmp_path / "root")
    (root.runs / "run-0").mkdir(parents=True)
    run_record.write_summary(run_record.RunRecord(run_id="run-0", state="failed", started=1.0), root.runs / "run-0")
    root.metadata.write_bytes(b"")
    assert not store_file.has_store_file(root)
