"""The serving directory: versions, digests, no-ops, rollback, quarantine, labels, retention, errors of the disk."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from taxiway.components.errors import ServingError
from taxiway.components.saved_models import manifest, model_versions
from taxiway.components.serving.versions import directory as directory_module
from taxiway.components.serving.versions import staging
from taxiway.components.serving.versions.directory import ServingDirectory
from tests.components.serving.conftest import fake_model


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "serving" / "taxi"


@pytest.mark.parametrize(
    ("name", "number"),
    [("7", 7), ("007", 7), ("+7", 7), (" 7 ", 7), ("-1", -1), ("9223372036854775807", 2**63 - 1)]
    + [(name, None) for name in ("", ".tmp-7", "7a", "1_0", "1.0", "9223372036854775808", "٧", "server", "+")],
)
def test_parses_names_as_tensorflow_serving_does(name: str, number: int | None) -> None:
    assert model_versions.parse_version(name) == number


def test_live_is_the_highest_number_not_the_last_name(base: Path) -> None:
    for name in ("9", "0010", "server", ".taxiway"):
        (base / name).mkdir(parents=True)
    assert model_versions.find_live_version(base) == (10, base / "0010")
    assert list(model_versions.list_version_folders(base)) == [9, 10]
    assert model_versions.find_live_version(base / "nowhere") is None


def test_a_push_is_a_version_with_manifest_and_provenance(base: Path, model: Path) -> None:
    result = ServingDirectory(base, clock=lambda: 1_700_000_000.5).push(model, {"run_id": "r1", "variant": "frozen"})
    assert result.pushed and result.version == 1_700_000_000
    version = base / "1700000000"
    for name in (
        "saved_model.pb",
        "variables/variables.index",
        "assets/vocabulary",
        "assets.extra/signature_inputs.json",
    ):
        assert (version / name).read_bytes() == (model / name).read_bytes()
    stored = json.loads((version / manifest.MANIFEST_FILE).read_text())
    for name, entry in stored["files"].items():
        content = (version / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    record = json.loads((version / manifest.PROVENANCE_FILE).read_text())
    assert record["version"] == 1 and record["run_id"] == "r1" and record["digest"] == result.digest
    assert record["pushed_at"].startswith("2023-11-14T22:13:20.500")


def test_the_digest_is_that_of_sha256sum(base: Path, model: Path) -> None:
    command = "find . -type f ! -path './assets.extra/*' | cut -c3- | LC_ALL=C sort | xargs sha256sum | sha256sum"
    printed = subprocess.run(command, shell=True, cwd=model, capture_output=True, text=True, check=True, timeout=300)
    assert manifest.digest_folder(model) == "sha256:" + printed.stdout.split()[0]


def test_two_pushes_in_one_second_get_two_numbers(base: Path, tmp_path: Path) -> None:
    directory = ServingDirectory(base, clock=lambda: 100.0)
    numbers = [directory.push(fake_model(tmp_path / str(i), b"%d" % i), {}).version for i in range(3)]
    assert numbers == [100, 101, 102]


def test_a_clock_that_went_back_still_gives_a_higher_number(base: Path, tmp_path: Path, model: Path) -> None:
    ServingDirectory(base, clock=lambda: 500.0).push(model, {})
    result = ServingDirectory(base, clock=lambda: 100.0).push(fake_model(tmp_path / "b", b"b"), {})
    assert result.version == 501


def test_the_same_model_again_is_a_no_op_even_with_other_extra_files(base: Path, model: Path) -> None:
    directory = ServingDirectory(base)
    first = directory.push(model, {})
    (model / "assets.extra" / "signature_inputs.json").write_text('{"other": 1}')
    again = directory.push(model, {})
    assert not again.pushed and again.version == first.version and "live already" in again.reason
    forced = directory.push(model, {}, force=True)
    assert forced.pushed and forced.version > first.version


def test_a_damaged_live_version_is_pushed_again(base: Path, model: Path) -> None:
    directory = ServingDirectory(base)
    first = directory.push(model, {})
    (first.path / "variables" / "variables.index").write_bytes(b"damaged")
    assert directory.push(model, {}).pushed


def test_only_the_validated_bytes_are_pushed(base: Path, model: Path) -> None:
    with pytest.raises(ServingError, match="was validated"):
        ServingDirectory(base).push(model, {}, expected_digest="sha256:other")
    assert ServingDirectory(base).find_live() is None


@pytest.mark.parametrize("spoilt", ["variables/variables.index", "assets.extra/provenance.json", "another"])
def test_what_is_staged_is_read_back_before_it_is_a_version(
    base: Path, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, spoilt: str
) -> None:
    live = ServingDirectory(base).push(fake_model(tmp_path / "other", b"other"), {})

    def spoiling(source: Path, staged: Path, *args: Any) -> manifest.Manifest:
        written = stage(source, staged, *args)
        (staged / spoilt).write_bytes(b"spoilt")
        return written

    stage = directory_module.stage_model
    monkeypatch.setattr(directory_module, "stage_model", spoiling)
    with pytest.raises(ServingError, match=f"not read back as it was written: {spoilt}"):
        ServingDirectory(base).push(model, {})
    assert list(model_versions.list_version_folders(base)) == [live.version]


def test_a_model_that_changes_while_it_is_copied_is_not_pushed(
    base: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(source: Path, *args: Any) -> manifest.Manifest:
        (source / "saved_model.pb").write_bytes(b"changed")
        return stage(source, *args)

    stage = directory_module.stage_model
    monkeypatch.setattr(directory_module, "stage_model", slow)
    with pytest.raises(ServingError, match="changed while it was copied"):
        ServingDirectory(base).push(model, {})
    assert model_versions.find_live_version(base) is None


def test_extra_files_lie_in_assets_extra_and_in_the_manifest(base: Path, model: Path, tmp_path: Path) -> None:
    warm_up = tmp_path / "warm"
    warm_up.write_bytes(b"requests")
    result = ServingDirectory(base).push(model, {}, extra_files={"tf_serving_warmup_requests": warm_up})
    assert (result.path / "assets.extra/tf_serving_warmup_requests").read_bytes() == b"requests"
    stored = manifest.read_manifest(result.path)
    assert "assets.extra/tf_serving_warmup_requests" in stored.entries
    assert manifest.find_differences(result.path, stored) == []


def test_links_and_other_things_are_refused(base: Path, model: Path) -> None:
    (model / "assets" / "link").symlink_to("/etc/hostname")
    with pytest.raises(ServingError, match="symbolic link"):
        ServingDirectory(base).push(model, {})
    (model / "assets" / "link").unlink()
    os.mkfifo(model / "assets" / "pipe")
    with pytest.raises(ServingError, match="not a regular file"):
        ServingDirectory(base).push(model, {})
    with pytest.raises(ServingError, match=r"no saved_model\.pb"):
        ServingDirectory(base).push(base.parent, {})


def test_leftovers_of_a_killed_push_go_with_the_next(base: Path, model: Path) -> None:
    left = base / ".taxiway" / "staging" / "abc" / "variables"
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"x")
    ServingDirectory(base).push(model, {})
    assert not (base / ".taxiway" / "staging").exists()


def test_rollback_republishes_and_quarantines(base: Path, tmp_path: Path) -> None:
    directory = ServingDirectory(base, clock=lambda: 10.0)
    good, bad = fake_model(tmp_path / "a", b"good"), fake_model(tmp_path / "b", b"bad")
    directory.push(good, {"run_id": "1"})
    second = directory.push(bad, {"run_id": "2"})
    back = directory.rollback(reason="too many errors")
    assert back.version == 12 and back.digest == manifest.digest_folder(good)
    record = directory.find_live().provenance
    assert (record["rollback_of"], record["bytes_of"], record["run_id"]) == (second.version, 10, "1")
    refused = directory.push(bad, {})
    assert not refused.pushed and "too many errors" in refused.reason and directory.find_live().number == 12
    forced = directory.push(bad, {}, force=True)
    assert forced.pushed and not directory.load_state().quarantined


def test_a_second_rollback_goes_further_back_and_says_what_it_passes(base: Path, tmp_path: Path) -> None:
    directory = ServingDirectory(base, clock=lambda: 10.0)
    for name in ("a", "b", "c"):
        directory.push(fake_model(tmp_path / name, name.encode()), {})
    first, second, third = (v.digest for v in directory.list_versions())
    once = directory.rollback(reason="too many errors")
    assert once.digest == second and once.reason.startswith("rolled back from version 12 to the model of version 11")
    twice = directory.rollback()
    assert twice.digest == first
    assert "passing over version 12 (quarantined: too many errors)" in twice.reason
    assert set(directory.load_state().quarantined) == {second, third}
    marked = {v.number for v in directory.list_versions() if v.quarantine}
    assert marked == {11, 12, 13}  # 13 holds the bytes of 11
    with pytest.raises(ServingError, match=r"there is only version 13 \(quarantined\), version 12 .*too many errors"):
        directory.rollback()


def test_a_quarantined_model_returns_when_it_is_named(base: Path, tmp_path: Path) -> None:
    directory = ServingDirectory(base, clock=lambda: 10.0)
    for name in ("a", "b"):
        directory.push(fake_model(tmp_path / name, name.encode()), {})
    second = directory.list_versions()[-1].digest
    directory.rollback()
    undone = directory.rollback(11)
    assert undone.digest == second and not directory.load_state().quarantined
    assert not any(v.quarantine for v in directory.list_versions())


def test_rollbacks_go_back_past_quarantined_models(base: Path, tmp_path: Path) -> None:
    directory = ServingDirectory(base, clock=lambda: 10.0)
    for name in ("a", "b"):
        directory.push(fake_model(tmp_path / name, name.encode()), {})
    directory.rollback()  # b is quarantined, a is live
    directory.push(fake_model(tmp_path / "c", b"c"), {})
    back = directory.rollback()
    assert back.digest == manifest.digest_folder(tmp_path / "a")


def test_rollback_says_why_it_cannot(base: Path, tmp_path: Path, model: Path) -> None:
    directory = ServingDirectory(base, clock=lambda: 10.0)
    with pytest.raises(ServingError, match="no version"):
        directory.rollback()
    directory.push(model, {})
    with pytest.raises(ServingError, match="no earlier version"):
        directory.rollback()
    with pytest.raises(ServingError, match="live already"):
        directory.rollback(10)
    with pytest.raises(ServingError, match="no version 99"):
        directory.rollback(99)
    directory.push(fake_model(tmp_path / "b", b"b"), {})
    (base / "10" / "saved_model.pb").write_bytes(b"changed")
    with pytest.raises(ServingError, match="was changed after its push"):
        directory.rollback(10)


def test_labels_and_retention(base: Path, tmp_path: Path) -> None:
    directory = ServingDirectory(base, clock=lambda: 10.0)
    for number in range(6):
        directory.push(fake_model(tmp_path / str(number), b"%d" % number), {})
    directory.promote(11, "stable")
    assert directory.retain_newest(2) == [10, 12, 13]
    assert [v.number for v in directory.list_versions()] == [11, 14, 15]
    assert directory.get_version(11).labels == ("stable",) and directory.find_live().number == 15
    directory.promote(14, "stable")
    assert directory.retain_newest(1) == [11]
    assert not (base / ".taxiway" / "trash").exists()
    with pytest.raises(ServingError, match="no version 10"):
        directory.promote(10, "stable")
    for label in ("", "7", "0", "-1", "a/b", "sta ble", "_"):
        with pytest.raises(ServingError, match="no label"):
            directory.promote(14, label)
    directory.demote("stable")
    with pytest.raises(ServingError, match="No version has the label"):
        directory.demote("stable")


def test_one_version_says_whether_it_is_live(base: Path, tmp_path: Path) -> None:
    directory = ServingDirectory(base, clock=lambda: 10.0)
    for name in ("a", "b"):
        directory.push(fake_model(tmp_path / name, name.encode()), {})
    assert not directory.get_version(10).live
    live = directory.find_live()
    assert live is not None and live.live and directory.get_version(11) == live


def test_the_live_version_stays_whatever_is_to_be_kept(base: Path, tmp_path: Path) -> None:
    directory = ServingDirectory(base, clock=lambda: 10.0)
    for name in ("a", "b"):
        directory.push(fake_model(tmp_path / name, name.encode()), {})
    assert directory.retain_newest(0) == [10]
    assert [version.number for version in directory.list_versions()] == [11]


def test_an_unknown_label_comes_with_those_that_are_given(base: Path, model: Path) -> None:
    directory = ServingDirectory(base, clock=lambda: 10.0)
    directory.push(model, {})
    with pytest.raises(ServingError, match="Labels: none"):
        directory.demote("stable")
    directory.promote(10, "canary")
    with pytest.raises(ServingError, match="Labels: canary"):
        directory.demote("stable")


def test_server_files_are_replaced_only_where_they_differ(base: Path) -> None:
    directory = ServingDirectory(base)
    directory.write_server_files({"a": b"one", "b": b"two"})
    before = {name: (directory.server_folder / name).stat().st_ino for name in ("a", "b")}
    directory.write_server_files({"a": b"one", "b": b"three", "c": b""})
    content = {path.name: path.read_bytes() for path in directory.server_folder.iterdir()}
    assert content == {"a": b"one", "b": b"three", "c": b""}
    assert (directory.server_folder / "a").stat().st_ino == before["a"], "a file that is as it was is not written"


def test_versions_of_other_programs_are_listed(base: Path) -> None:
    (base / "3").mkdir(parents=True)
    (base / "3" / "saved_model.pb").write_bytes(b"12345")
    (version,) = ServingDirectory(base).list_versions()
    assert version.live and version.digest == "" and version.total_bytes == 5 and version.provenance == {}


def test_pushes_at_once_all_get_through(base: Path, tmp_path: Path) -> None:
    models = [fake_model(tmp_path / str(i), b"%d" % i) for i in range(8)]
    threads = [threading.Thread(target=lambda m=m: ServingDirectory(base).push(m, {})) for m in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    versions = ServingDirectory(base).list_versions()
    assert len(versions) == 8 and len({v.digest for v in versions}) == 8


def test_a_held_lock_is_said(base: Path, model: Path) -> None:
    held = ServingDirectory(base)
    with held.hold_lock(), pytest.raises(ServingError, match="Another push"):
        ServingDirectory(base, lock_timeout_seconds=0.05).push(model, {})


_FULL_DISK = """
import resource, signal, sys
from taxiway.components.errors import ServingError
from taxiway.components.serving.versions.directory import ServingDirectory
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    ServingDirectory(sys.argv[1]).push(sys.argv[2], {})
except ServingError as error:
    print(error)
"""


def test_a_full_disk_leaves_the_live_version_and_a_plain_error(base: Path, tmp_path: Path, model: Path) -> None:
    """The limit on file sizes stands for the disk: the kernel refuses the write half way through a file."""
    assert hasattr(resource, "RLIMIT_FSIZE")
    first = ServingDirectory(base).push(model, {})
    large = fake_model(tmp_path / "large", b"0123456789" * 20)
    ended = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(base), str(large)],
        capture_output=True,
        text=True,
        timeout=3000,
        check=True,
    )
    assert "The disk under" in ended.stdout and "is full" in ended.stdout
    assert ServingDirectory(base).find_live().number == first.version
    assert not (base / ".taxiway" / "staging").exists()
    assert ServingDirectory(base).push(large, {}).pushed


def test_a_read_only_directory_is_said(base: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write anywhere, so the kernel's refusal is simulated."""
    ServingDirectory(base).push(model, {})

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(base / "11"))

    monkeypatch.setattr(directory_module.os, "rename", refuse)
    (model / "saved_model.pb").write_bytes(b"new")
    with pytest.raises(ServingError, match="cannot be written"):
        ServingDirectory(base).push(model, {})
    assert len(model_versions.list_version_folders(base)) == 1


def test_object_stores_are_refused() -> None:
    with pytest.raises(ServingError, match="mounted file system"):
        ServingDirectory("gs://bucket/serving/taxi")


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, taxiway.components.serving.versions.directory, taxiway.components.serving.config\n"
        "import taxiway.components.serving.versions.push\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'tensorflow', 'tfx', 'numpy', 'apache_beam'}))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=3000, check=True)
    assert ended.stdout.strip() == "[]"


def test_no_push_or_rollback_gets_a_number_that_nobody_serves(base: Path, tmp_path: Path, model: Path) -> None:
    directory = ServingDirectory(base, clock=lambda: 100.0)
    directory.push(fake_model(tmp_path / "other", b"other"), {})
    directory.push(model, {})
    stray = fake_model(base / str(2**63 - 1), b"stray")
    before = directory.load_state()
    for change in (
        lambda: directory.push(fake_model(tmp_path / "new", b"new"), {}),
        lambda: directory.push(model, {}, force=True),
        lambda: directory.rollback(100),
    ):
        with pytest.raises(ServingError, match="highest number that TensorFlow Serving reads") as caught:
            change()
        assert str(stray) in caught.value.problem and str(base) in caught.value.remedy
    assert directory.load_state() == before and sorted(model_versions.list_version_folders(base)) == [
        100,
        101,
        2**63 - 1,
    ]
    stray.rename(tmp_path / "away")  # what the message says
    assert directory.push(fake_model(tmp_path / "newer", b"newer"), {}).version == 102


@pytest.mark.parametrize("number", [2**63 - 2, 10**17, 99_999_999_999])
def test_a_gap_in_the_numbers_is_explained(base: Path, model: Path, number: int) -> None:
    fake_model(base / str(number), b"by hand")
    directory = ServingDirectory(base, clock=lambda: 1_700_000_000.0)
    assert str(number) in directory.list_notes()[0] and "made by hand" in directory.list_notes()[0]
    result = directory.push(model, {})
    assert result.version == number + 1 and model_versions.find_live_version(base) == (number + 1, result.path)
    assert f"Version {number} is no time of a push" in result.reason


def test_names_that_mislead_are_explained(base: Path, model: Path) -> None:
    for name in ("1_000", "٧", str(2**63), "9" * 200, "007", "+5", "server", "1.0", "7a"):
        (base / name).mkdir(parents=True)
    directory = ServingDirectory(base, clock=lambda: 100.0)
    assert set(model_versions.list_version_folders(base)) == {5, 7}
    notes = directory.list_notes()
    assert len(notes) == 4 and all("is no version" in note for note in notes)
    assert directory.push(model, {}).version == 100
    (base / "100 ").mkdir()
    assert [note for note in directory.list_notes() if "100" in note.split()[1]] == [
        "Version 100 is the folder '100 '; '100' is not served."
    ]


def test_room_is_asked_for_before_anything_is_written(base: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = ServingDirectory(base)
    size = sum(file.stat().st_size for file in model.rglob("*") if file.is_file())
    staging.check_disk_space(model, (model,), free_bytes=2 * (size + staging.RECORDS_BYTES))
    monkeypatch.setattr(staging, "RECORDS_BYTES", 1 << 60)
    with pytest.raises(ServingError, match=r"bytes free.*nothing was pushed"):
        directory.push(model, {})
    assert directory.find_live() is None
    assert not (base / ".taxiway" / "staging").exists()


def test_a_directory_that_cannot_be_written_is_found_without_a_push(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ServingDirectory(base).check_writable()
    assert not base.exists(), "nothing is left behind"
    (tmp_path / "file").write_text("")
    with pytest.raises(ServingError, match="cannot be written"):
        ServingDirectory(tmp_path / "file" / "taxi").check_writable()

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    base.mkdir(parents=True)
    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(ServingError, match=r"cannot be written: .*: Permission denied\."):
        ServingDirectory(base).check_writable()
