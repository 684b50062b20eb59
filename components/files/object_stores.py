"""Object stores through fsspec: a folder of one, whose objects are put, read, listed and removed whole.

`s3://` and `minio://` need s3fs (the extra `s3`), `gs://` needs gcsfs (the extra `gs`); `file://` is this machine.
`taxiway.components.files.object_store_settings` says where a store is, and who asks. What a store holds is bytes: none
of it is run.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from taxiway.components.errors import StoreError
from taxiway.components.files.digests import hash_stream
from taxiway.components.files.object_store_settings import SCHEMES, find_settings, read_secret

EXTRAS = {"s3": ("s3fs", "s3"), "minio": ("s3fs", "s3"), "gs": ("gcsfs", "gs")}
"""Package and extra, by scheme."""
CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 10, 60, 2
"""`ATTEMPTS` of one call by botocore; s3fs repeats calls that fail so, five times in all."""
PART_BYTES = 64 << 20
"""Larger files go in parts of this size; S3 takes 10,000 of them."""


@dataclass(frozen=True)
class StoredObject:
    """One object.

    Attributes:
        size: Bytes.
        version: What changes when the object is written again: its ETag, or its time.
        modified: Time of the last change, in seconds since 1970; 0 where the store does not say.
    """

    size: int
    version: str
    modified: float


class UnreachableError(StoreError):
    """Nobody answers for a store, or nobody takes the credentials: asking for another object would end as this did."""


def is_object_url(path: str) -> bool:
    """Whether a path is a URL of an object store that is read here."""
    return path.partition("://")[0] in SCHEMES and "://" in path


def split_url(url: str) -> tuple[str, str, str]:
    """Scheme, bucket and key."""
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    return scheme, bucket, key


def open_file_system(url: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and the path in it.

    Raises:
        StoreError: No file system here opens it, or its package is missing.
    """
    scheme, bucket, key = split_url(url)
    if scheme == "file":
        return _make_local(), url.removeprefix("file://")
    if scheme not in SCHEMES or not bucket:
        raise StoreError(f"{url} is no URL of an object store.", f"Accepted: {', '.join(f'{s}://' for s in SCHEMES)}.")
    settings = find_settings(scheme, bucket, key)
    secret = tuple(sorted(read_secret(settings).items()))
    with explain_store_errors(url), _explain_missing_package(url):
        if scheme == "gs":
            return _make_gcs(dict(secret).get("token", "")), f"{bucket}/{key}"
        path_style = settings.path_style if settings.path_style is not None else bool(settings.endpoint)
        return _make_s3(settings.endpoint_url, settings.region, path_style, secret), f"{bucket}/{key}"


@contextlib.contextmanager
def _explain_missing_package(url: str) -> Iterator[None]:
    package, extra = EXTRAS[split_url(url)[0]]
    try:
        yield
    except ImportError as error:
        raise UnreachableError(
            f"{url} needs the package {package}, which is not installed.", f"Install it: pip install 'taxiway[{extra}]'"
        ) from error


def _make_local() -> Any:
    from fsspec.implementations.local import LocalFileSystem

    return LocalFileSystem(auto_mkdir=True)


@functools.lru_cache(maxsize=16)
def _make_s3(endpoint_url: str, region: str, path_style: bool, secret: tuple[tuple[str, str], ...]) -> Any:
    import s3fs

    keys = dict(secret)
    return s3fs.S3FileSystem(
        key=keys.get("access_key"),
        secret=keys.get("secret_key"),
        endpoint_url=endpoint_url or None,
        client_kwargs={"region_name": region} if region else {},
        config_kwargs={
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "retries": {"max_attempts": ATTEMPTS, "mode": "standard"},
            "s3": {"addressing_style": "path" if path_style else "auto"},
            # Stores older than 2025 refuse the checksums that botocore adds by itself.
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        },
        use_listings_cache=False,  # others write there too
        skip_instance_cache=True,
    )


@functools.lru_cache(maxsize=4)
def _make_gcs(token: str) -> Any:
    import json

    import gcsfs

    unguarded = "anon" if os.environ.get("STORAGE_EMULATOR_HOST") else "google_default"
    return gcsfs.GCSFileSystem(
        token=json.loads(token) if token else unguarded,
        use_listings_cache=False,
        skip_instance_cache=True,
        session_kwargs={"trust_env": True},  # aiohttp goes around a proxy unless it is told to look for one
    )


@contextlib.contextmanager
def explain_store_errors(url: str) -> Iterator[None]:
    """Turns what a store's client raises into a `StoreError`; only that an object is missing passes.

    Raises:
        StoreError: Access is refused, there are no credentials, nobody answers.
        FileNotFoundError: There is no such object.
    """
    try:
        yield
    except (FileNotFoundError, StoreError):
        raise
    except PermissionError as error:
        raise UnreachableError(
            f"{url} refuses this account: {_describe(error)}.",
            "Check the credentials, and what they may do there.",
        ) from error
    except Exception as error:
        if not _is_of_a_store(error):
            raise
        raise UnreachableError(f"{url} cannot be reached: {_describe(error)}.", _find_remedy(error)) from error


def _is_of_a_store(error: Exception) -> bool:
    """Whether an error comes from a store's client or from the network, which have no root in common."""
    packages = ("botocore", "aiobotocore", "aiohttp", "gcsfs", "google", "fsspec", "s3fs")
    return isinstance(error, (OSError, TimeoutError)) or any(
        kind.__module__.partition(".")[0] in packages for kind in type(error).__mro__
    )


def _describe(error: Exception) -> str:
    """The error in one sentence, without the queries of addresses."""
    return re.sub(r"\?[^\s\"']*", "", f"{type(error).__name__}: {error}").rstrip(". :")


def _find_remedy(error: Exception) -> str:
    if "Credential" in type(error).__name__ or "credentials" in str(error).lower():
        return (
            "Give credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the identity of the pod's "
            "service account; for gs:// GOOGLE_APPLICATION_CREDENTIALS or `gcloud auth application-default login`."
        )
    return "Check the address, AWS_ENDPOINT_URL_S3, the network and the proxy; then try again."


def find_objects(pattern: str) -> list[str]:
    """URLs of the objects and folders that a glob means, in order: `*` stays inside a folder, `**` does not.

    Raises:
        StoreError: The store does not list them.
    """
    scheme = split_url(pattern)[0]
    files, path = open_file_system(pattern)
    with explain_store_errors(pattern):
        return [f"{scheme}://{found}" for found in sorted(files.glob(path))]


class ObjectFolder:
    """A folder of an object store: whole objects are put, read, listed and removed; nothing is renamed."""

    def __init__(self, url: str) -> None:
        """Raises `StoreError` where no file system here opens the URL."""
        self.url = url.rstrip("/")
        self._files, self._top = open_file_system(self.url)
        self._top = self._top.rstrip("/")

    def put_object(self, name: str, content: bytes | Path) -> None:
        """Puts one object, in parts where it is large; it becomes visible, whole, when all of it is there."""
        with explain_store_errors(f"{self.url}/{name}"):
            if isinstance(content, bytes):
                self._files.pipe_file(self._find_path(name), content)
            else:
                self._files.put_file(str(content), self._find_path(name), chunksize=PART_BYTES)

    def open_object(self, name: str = "") -> IO[bytes]:
        """Opens an object for reading, the folder's own URL where no name is given.

        Raises:
            FileNotFoundError: There is none.
        """
        with explain_store_errors(f"{self.url}/{name}".rstrip("/")):
            return cast(IO[bytes], self._files.open(self._find_path(name), "rb"))

    def read_object(self, name: str) -> bytes | None:
        """One object's bytes; None where there is none."""
        try:
            with explain_store_errors(f"{self.url}/{name}"):
                return bytes(self._files.cat_file(self._find_path(name)))
        except FileNotFoundError:
            return None

    def download_object(self, name: str, target: Path) -> None:
        """Writes one object to a file.

        Raises:
            FileNotFoundError: There is none.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        with explain_store_errors(f"{self.url}/{name}"):
            self._files.get_file(self._find_path(name), str(target))

    def hash_object(self, name: str) -> str:
        """Digest of an object's bytes as a reader gets them; empty where there is none."""
        try:
            with explain_store_errors(f"{self.url}/{name}"), self.open_object(name) as source:
                return hash_stream(source)[0]
        except FileNotFoundError:
            return ""

    def list_objects(self, below: str = "") -> dict[str, StoredObject]:
        """The objects in the folder, or below one of its folders, by name in the folder; every page of the listing."""
        top = self._find_path(below)
        with explain_store_errors(f"{self.url}/{below}".rstrip("/")):
            listed = self._files.find(top, detail=True)
        objects = {}
        for path, info in listed.items():
            name = str(path).removeprefix(self._top).lstrip("/")
            if info.get("type") == "file" and name and not name.endswith("/"):
                objects[name] = _convert_info(info)
        return objects

    def list_names(self, below: str = "") -> set[str]:
        """Names of the objects in the folder, or below one of its folders."""
        return set(self.list_objects(below))

    def list_folders(self) -> set[str]:
        """Names of the folders in the folder, empty ones among them."""
        try:
            with explain_store_errors(self.url):
                listed = self._files.ls(self._top, detail=True)
        except FileNotFoundError:
            return set()
        return {str(info["name"]).rstrip("/").rpartition("/")[2] for info in listed if info["type"] == "directory"}

    def remove_object(self, name: str) -> None:
        """Removes an object."""
        with explain_store_errors(f"{self.url}/{name}"):
            self._files.rm_file(self._find_path(name))

    def remove_folder(self, name: str) -> None:
        """Removes what is left of a folder: the objects that stand for folders."""
        with contextlib.suppress(FileNotFoundError), explain_store_errors(f"{self.url}/{name}"):
            self._files.rm(self._find_path(name), recursive=True)

    def _find_path(self, name: str) -> str:
        return f"{self._top}/{name}".rstrip("/")


def _convert_info(info: dict[str, Any]) -> StoredObject:
    """fsspec's facts of an object: each store has its own names."""
    moment = next((info[name] for name in ("LastModified", "updated", "mtime") if info.get(name)), 0.0)
    version = next((str(info[name]) for name in ("ETag", "etag", "generation") if info.get(name)), str(moment))
    return StoredObject(int(info.get("size") or 0), version.strip('"'), _convert_time(moment))


def _convert_time(moment: Any) -> float:
    from datetime import datetime

    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    return moment.timestamp() if isinstance(moment, datetime) else float(moment)
