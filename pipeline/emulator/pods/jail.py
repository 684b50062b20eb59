"""Restricts its own process and becomes the pod's command: `python -I jail.py PLAN COMMAND...`. Standard library only.

It builds a root of its own out of this machine's folders, read only, mounts what the plan names over it, gives up every
capability and all further privileges, and executes the command.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NOT_RESTRICTED = 125
"""Exit code where it could not be done."""
_NEW_MOUNTS, _NEW_USERS = 0x00020000, 0x10000000
_BIND, _RECURSIVE, _PRIVATE, _NO_SUID = 4096, 16384, 1 << 18, 2
_SET_ATTRIBUTES, _AT_FOLDER, _AT_RECURSIVE, _READ_ONLY = 442, -100, 0x8000, 1
_DROP_BOUND, _NO_NEW_PRIVILEGES = 24, 38
_LAST_CAPABILITY = 63
_CHANGE_ROOT = {"x86_64": 155, "aarch64": 41}
_DETACH = 2
_SHARED_MEMORY = "size=64m,mode=1777"
"""What a pod has in `/dev/shm` where it asks for no more."""
_LIVE = (Path("/proc"), Path("/dev"))
"""Folders of the kernel's, which are no files of this machine."""
_LIBC = ctypes.CDLL(None, use_errno=True)


class _Attributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "namespace")]


def restrict_process(plan: dict[str, Any]) -> None:
    """Restricts this process.

    Args:
        plan: `stage`, an empty folder; `user`, numbers of user and group; `mounts`, each with a folder, its path and
            whether it is read only; `visible`, folders that stay where they are.
    """
    own = os.getuid() == 0
    _enter_namespaces(own)
    # Links are followed here: in the new root, one with an absolute target would lead back to this machine.
    stage, mounts = Path(plan["stage"]), [(folder, Path(path).resolve(), flag) for folder, path, flag in plan["mounts"]]
    _mount("tmpfs", stage, "tmpfs", 0, "mode=755")
    targets = [path for _, path, _ in mounts]
    for path in sorted(Path("/").iterdir()):
        _show_path(stage, path, [*targets, *_LIVE], own)
    for path in (*targets, *_LIVE):
        _find_place(stage, path).mkdir(parents=True, exist_ok=True)
    visible = [Path(folder).resolve() for folder in plan["visible"]]
    _show_programs(stage, [path for path in visible if not any(path.is_relative_to(target) for target in targets)])
    _protect_path(stage)
    _mount_live(stage)
    for folder, path, read_only in sorted(mounts, key=lambda mount: mount[1]):
        _mount(folder, _find_place(stage, path), "", _BIND)
        if read_only:
            _protect_path(_find_place(stage, path))
    _show_programs(stage, visible)
    _change_root(stage)
    user, group = plan["user"]
    _drop_privileges(user, group, own)


def _find_place(stage: Path, path: Path) -> Path:
    return stage / path.relative_to("/")


def _mount_live(stage: Path) -> None:
    for path in _LIVE:
        _mount(path, _find_place(stage, path), "", _BIND | _RECURSIVE)
    shared = stage / "dev" / "shm"
    if shared.is_dir():
        _mount("tmpfs", shared, "tmpfs", _NO_SUID, _SHARED_MEMORY)


def _enter_namespaces(own: bool) -> None:
    user, group = os.getuid(), os.getgid()
    _check(_LIBC.unshare(_NEW_MOUNTS if own else _NEW_MOUNTS | _NEW_USERS), "a namespace")
    if not own:
        _map_user(0, 0, user, group)
    _mount("none", Path("/"), "", _RECURSIVE | _PRIVATE)


def _map_user(inside: int, inside_group: int, outside: int, outside_group: int) -> None:
    for file, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{inside} {outside} 1"),
        ("gid_map", f"{inside_group} {outside_group} 1"),
    ):
        with open(f"/proc/self/{file}", "w") as stream:
            stream.write(line)


def _show_path(stage: Path, path: Path, targets: Sequence[Path], own: bool) -> None:
    """Shows a path of this machine, with places for what is mounted inside.

    Folders that only root can enter are left empty, such as root's home: a pod's user could not read a program there.
    """
    place = _find_place(stage, path)
    if path in targets:
        return
    if path.is_symlink():
        place.symlink_to(path.readlink())
        return
    if not path.is_dir():
        place.touch()
        _mount(path, place, "", _BIND)
        return
    place.mkdir()
    if own and path.stat().st_mode & 0o005 != 0o005:
        return
    if any(target.is_relative_to(path) and not target.is_dir() for target in targets):
        for inner in path.iterdir():
            _show_path(stage, inner, targets, own)
    else:
        _mount(path, place, "", _BIND | _RECURSIVE)


def _show_programs(stage: Path, folders: Sequence[Path]) -> None:
    """Programs that lie in a folder which is closed or replaced, such as an environment in `/tmp`."""
    for folder in folders:
        place = _find_place(stage, folder)
        if folder.is_dir() and not place.is_dir():
            place.mkdir(parents=True)
            _mount(folder, place, "", _BIND | _RECURSIVE)
            _protect_path(place)


def _protect_path(path: Path) -> None:
    attributes = _Attributes(_READ_ONLY, 0, 0, 0)
    size = ctypes.sizeof(attributes)
    done = _LIBC.syscall(
        _SET_ATTRIBUTES, _AT_FOLDER, os.fsencode(path), _AT_RECURSIVE, ctypes.byref(attributes), ctypes.c_size_t(size)
    )
    _check(done, f"{path} read only")


def _mount(source: str | Path, target: Path, kind: str, flags: int, options: str = "") -> None:
    texts = [os.fsencode(text) if text else None for text in (source, target, kind)]
    done = _LIBC.mount(*texts, ctypes.c_ulong(flags), os.fsencode(options) if options else None)
    _check(done, f"a mount at {target}")


def _change_root(stage: Path) -> None:
    """`pivot_root`: after `chroot` the kernel gives no user namespace any more."""
    os.chdir(stage)
    _check(_LIBC.syscall(_CHANGE_ROOT[os.uname().machine], b".", b"."), "another root")
    _check(_LIBC.umount2(b".", _DETACH), "a root without the old one")
    os.chdir("/")


def _drop_privileges(user: int, group: int, own: bool) -> None:
    if not own:  # back to the number that the user has outside; executing as no root gives the capabilities up
        _check(_LIBC.unshare(_NEW_USERS), "a user")
        _map_user(user, group, 0, 0)
    for capability in range(_LAST_CAPABILITY + 1):
        _LIBC.prctl(_DROP_BOUND, capability, 0, 0, 0)  # the last ones are not there
    _check(_LIBC.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0), "no further privileges")
    if own:
        os.setgroups([])
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)


def _check(done: int, what: str) -> None:
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"the kernel does not give {what}: {os.strerror(number)}")


def main(arguments: Sequence[str]) -> None:
    """Restricts the process, and executes the command."""
    try:
        with open(arguments[0], encoding="utf-8") as file:
            restrict_process(json.load(file))
    except OSError as error:
        print(error.strerror or error, file=sys.stderr)
        sys.exit(NOT_RESTRICTED)
    os.execvp(arguments[1], list(arguments[1:]))


if __name__ == "__main__":
    main(sys.argv[1:])
