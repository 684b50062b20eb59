"""Where the launcher puts what is in an object store: components read and write files, whatever the root.

KFP's launcher downloads a node's inputs before it starts the container's command and uploads what the command wrote
(`backend/src/v2/component/launcher_v2.go`, `LocalPathForURI`). So a component that is given local paths needs no
TensorFlow file system for `s3://` or `minio://`. Nothing heavy is imported here.
"""

from __future__ import annotations

ROOTS = ("gs", "s3", "minio")
_FOLDERS = {"gs": "/gcs/", "s3": "/s3/", "minio": "/minio/"}


def get_scheme(uri: str) -> str:
    """`gs` of `gs://bucket/x`; empty for a path."""
    scheme, separator, _ = uri.partition("://")
    return scheme if separator else ""


def get_local_path(uri: str, custom_path: str = "") -> str:
    """The file or folder in the container that stands for an artifact's URI.

    Args:
        uri: URI of the artifact.
        custom_path: Path that the launcher chose; empty where it chose none.
    """
    if custom_path:
        return custom_path
    scheme = get_scheme(uri)
    return _FOLDERS[scheme] + uri.removeprefix(f"{scheme}://") if scheme in _FOLDERS else uri
