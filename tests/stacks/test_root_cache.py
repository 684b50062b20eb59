"""Where roots are kept, which ones, and that removing one never reaches through a mount."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.stacks import root_cache


@pytest.fixture(autouse=True)
def user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A user whose environment names no cache."""
    for name in (root_cache.VARIABLE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return monkeypatch


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({}, "home/.cache/taxiway-stacks"),
        ({"XDG_CACHE_HOME": ""}, "home/.cache/taxiway-stacks"),
        ({"XDG_CACHE_HOME": "{}/cache"}, "cache/taxiway-stacks"),
        ({"TAXIWAY_STACKS_CACHE": "~/roots", "XDG_CACHE_HOME": "{}/cache"}, "home/roots"),
    ],
)
def test_the_environment_names_the_cache(
    user: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str], place: str
) -> None:
    for name, value in variables.items():
        user.setenv(name, value.format(tmp_path))
    assert root_cache.open_cache(tmp_path / "checkout") == tmp_path / place
    assert (tmp_path / place).is_dir()


def test_no_cache_lies_in_the_checkout(user: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A relative folder is one of where the tests were started: the checkout."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    user.chdir(checkout)
    user.setenv(root_cache.VARIABLE, "roots")
    with pytest.raises(RuntimeError, match="checkout/roots lies in the checkout: TAXIWAY_STACKS_CACHE has to name"):
        root_cache.open_cache(checkout)
    assert not list(checkout.iterdir())


def test_a_cache_that_cannot_be_made_is_said(user: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    user.setenv(root_cache.VARIABLE, str(tmp_path / "file" / "roots"))
    with pytest.raises(root_cache.CannotMakeRootError, match=r"file/roots cannot be made \(Not a directory\)"):
        root_cache.open_cache(tmp_path / "checkout")


def test_the_newest_roots_are_kept(tmp_path: Path) -> None:
    for age, name in enumerate(("current-c", "current-b", "current-a", "tf216-a")):
        (tmp_path / name / "etc").mkdir(parents=True)
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    root_cache.remove_old_roots(tmp_path, "current")
    assert {path.name for path in tmp_path.iterdir()} == {"current-c", "tf216-a"}


@pytest.mark.parametrize("name", ["root", "a root"])
def test_a_root_with_a_mount_below_is_not_removed(user: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    (tmp_path / name / "kept").mkdir(parents=True)
    table = tmp_path / "mountinfo"
    mount = f"{tmp_path.resolve()}/{name}/dev".replace(" ", "\\040")
    table.write_text(f"36 35 0:5 / {mount} rw - devtmpfs udev rw\n")
    user.setattr(root_cache, "MOUNT_TABLE", table)
    with pytest.raises(RuntimeError, match=f"{name}/dev is mounted there"):
        root_cache.remove_root(tmp_path / name)
    assert (tmp_path / name / "kept").is_dir()


def test_a_mount_beside_a_root_hinders_nothing(user: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "root" / "kept").mkdir(parents=True)
    table = tmp_path / "mountinfo"
    table.write_text(f"36 35 0:5 / {tmp_path.resolve()}/root2/dev rw - devtmpfs udev rw\n")
    user.setattr(root_cache, "MOUNT_TABLE", table)
    root_cache.remove_root(tmp_path / "root")
    assert not (tmp_path / "root").exists()
