"""Addresses of data: which are read. No tfx."""

from __future__ import annotations

import importlib.util
import shlex

from components.errors import DataError
from components.tables.config import PACKAGE_PREFIX

_SCHEMES = frozenset({"gs", "s3", "file", "ram", "hdfs", "viewfs", "az"})
"""Of addresses that TensorFlow's file systems, or tensorflow-io's, open."""


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
    if scheme == "s3" and importlib.util.find_spec("tensorflow_io") is None:
        raise DataError(
            f"{path}: s3:// needs the package tensorflow-io, which is not installed.",
            f"Install it (pip install 'taxiway[s3]'), or bring the file here first: aws s3 cp {address} {name}",
        )
    if scheme not in _SCHEMES:
        raise DataError(
            f"{path}: no file system here opens {scheme}://.",
            f"Accepted are paths, {', '.join(f'{known}://' for known in sorted(_SCHEMES))} and {PACKAGE_PREFIX}.",
        )


def expand_remote(pattern: str) -> list[str]:
    from tensorflow import errors
    from tensorflow.io import gfile

    try:
        return sorted(gfile.glob(pattern))
    except errors.UnimplementedError as error:
        scheme = pattern.partition("://")[0]
        raise DataError(
            f"{pattern}: TensorFlow has no file system for {scheme}:// here.",
            "Install tensorflow-io, which has one (pip install 'taxiway[s3]'), or copy the files to this machine.",
        ) from error
    except errors.OpError as error:
        raise DataError(
            f"{pattern} cannot be listed: {type(error).__name__}.",
            "Check the address, the network and your rights there, or copy the files to this machine.",
        ) from error
