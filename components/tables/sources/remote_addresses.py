"""Which addresses of data can be read, and the files behind a pattern of one. No tfx."""

from __future__ import annotations

import shlex

from taxiway.components.errors import DataError
from taxiway.components.files.object_store_settings import SCHEMES
from taxiway.components.files.object_stores import find_objects, is_object_url
from taxiway.components.tables.config import PACKAGE_PREFIX
from taxiway.components.tables.sources.open_files import translate_store_errors

_SCHEMES = frozenset({*SCHEMES, "file", "ram", "hdfs", "viewfs", "az"})
"""Of object stores, and of addresses that a file system of TensorFlow, or of a package beside it, opens."""


def check_address(path: str) -> None:
    """Refuses addresses that no file system here opens; the error hides what is secret in them.

    Raises:
        DataError: with the command that brings the file here.
    """
    scheme, mark, _ = path.partition("://")
    if not mark or f"{scheme}://" == PACKAGE_PREFIX:
        return
    name = shlex.quote(path.partition("?")[0].rstrip("/").rpartition("/")[2] or "rows.csv")
    address = shlex.quote(path)
    if scheme.lower() in ("http", "https", "ftp", "ftps"):
        raise DataError(
            f"{path} is a web address, which is not read: what it holds may be another thing at every run.",
            f"Bring the file here first: curl -fL -o {name} {address}",
        )
    if scheme not in _SCHEMES:
        raise DataError(
            f"{path}: no file system here opens {scheme}://.",
            f"Accepted are paths, {', '.join(f'{name}://' for name in sorted(_SCHEMES))} and {PACKAGE_PREFIX}.",
        )


def list_remote_files(pattern: str) -> list[str]:
    """The URLs behind a pattern.

    Raises:
        DataError: Nobody here opens them, or the store does not list them.
    """
    if is_object_url(pattern):
        with translate_store_errors(pattern):
            return find_objects(pattern)
    from tensorflow import errors
    from tensorflow.io import gfile

    try:
        return sorted(gfile.glob(pattern))
    except errors.UnimplementedError as error:
        scheme = pattern.partition("://")[0]
        raise DataError(
            f"{pattern}: TensorFlow has no file system for {scheme}:// here.",
            "Install a package that has one, or copy the files to this machine.",
        ) from error
    except errors.OpError as error:
        raise DataError(
            f"{pattern} cannot be listed: {type(error).__name__}.",
            "Check the address, the network and your rights there, or copy the files to this machine.",
        ) from error
