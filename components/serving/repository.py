"""The versions that the embedded server holds: found, loaded, warmed up, swapped and drained without a gap.

One thread looks at the serving directory; requests hold a version by a count and never wait for a load. An old version
goes only when a newer one answers, and only after its last request.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import tensorflow as tf

from components import servables
from components.errors import ServingError
from components.serving import warmup
from components.serving.api_errors import ApiError, Code
from components.serving.checked import check_loadable
from components.serving.directory import ServingDirectory
from components.serving.servable import Servable

LOG = logging.getLogger(__name__)


class Status(Enum):
    """Where a version is; the names and numbers of `ModelVersionStatus.State`."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass
class Loaded:
    """One version that the server knows of."""

    number: int
    folder: Path
    status: Status = Status.START
    servable: Servable | None = None
    error: str = ""
    users: int = 0
    attempts: int = 0
    retry_at: float = 0.0
    idle: threading.Condition = field(default_factory=threading.Condition)


class Repository:
    """One model's versions in memory."""

    def __init__(
        self,
        name: str,
        base: str | Path,
        *,
        versions_served: int = 1,
        poll_seconds: float = 1.0,
        load_attempts: int = 6,
        retry_seconds: float = 60.0,
        threads: int = 0,
        allowed_ops: Sequence[str] = (),
    ) -> None:
        """Args:
        name: Under which requests name the model.
        base: The serving directory.
        versions_served: Newest versions held, beside those that labels name.
        poll_seconds: How often the directory is looked at; TensorFlow Serving's default is one second.
        load_attempts: How often a failing version is tried: TensorFlow Serving retries 5 times.
        retry_seconds: Between two tries.
        threads: Of each version's session; 0: TensorFlow's choice.
        allowed_ops: TensorFlow ops allowed beside the list of `ops.ALLOWED`.
        """
        self.name = name
        self._directory = ServingDirectory(base)
        self._versions_served = versions_served
        self._poll_seconds = poll_seconds
        self._load_attempts, self._retry_seconds = load_attempts, retry_seconds
        self._threads, self._allowed_ops = threads, tuple(allowed_ops)
        self._lock = threading.Lock()
        self._versions: dict[int, Loaded] = {}
        self._labels: dict[str, int] = {}
        self._stop = threading.Event()
        self._poller = threading.Thread(target=self._poll, name=f"poll-{name}", daemon=True)
        self._drains: list[threading.Thread] = []

    # ---- life ----

    def start(self) -> None:
        """Loads what is there, then follows the directory."""
        self.refresh()
        self._poller.start()

    def stop(self) -> None:
        """Unloads everything, each version after its last request."""
        self._stop.set()
        if self._poller.is_alive():
            self._poller.join()
        for version in list(self._versions.values()):
            self._retire(version)
        for drain in self._drains:
            drain.join()

    def _poll(self) -> None:
        while not self._stop.wait(self._poll_seconds):
            with self._logged():
                self.refresh()

    @contextlib.contextmanager
    def _logged(self) -> Iterator[None]:
        try:
            yield
        except (ServingError, OSError):
            LOG.exception("cannot read %s; the loaded versions go on", self._directory.base)

    # ---- requests ----

    @contextlib.contextmanager
    def use(self, number: int | None = None, label: str = "") -> Iterator[tuple[int, Servable]]:
        """Holds a version for one request.

        Args:
            number: Its number; None: the highest that is available, or the label's.
            label: Instead of a number.

        Raises:
            ApiError: NOT_FOUND or INVALID_ARGUMENT with TensorFlow Serving's words.
        """
        version, servable = self._acquire(number, label)
        try:
            yield version.number, servable
        finally:
            with version.idle:
                version.users -= 1
                version.idle.notify_all()

    def _acquire(self, number: int | None, label: str) -> tuple[Loaded, Servable]:
        with self._lock:
            if label:
                if label not in self._labels:
                    raise ApiError(Code.INVALID_ARGUMENT, f"Unrecognized servable version label: {label}")
                number = self._labels[label]
            known = self._versions.items()
            available = {n: v.servable for n, v in known if v.status is Status.AVAILABLE and v.servable}
            wanted = max(available, default=None) if number is None else number
            if wanted is None or wanted not in available:
                asked = f"Latest({self.name})" if number is None else f"Specific({self.name}, {number})"
                raise ApiError(Code.NOT_FOUND, f"Servable not found for request: {asked}")
            version = self._versions[wanted]
            with version.idle:
                version.users += 1
            return version, available[wanted]

    def statuses(self) -> dict[int, tuple[Status, str]]:
        """State and error of every version known, by number."""
        with self._lock:
            return {number: (v.status, v.error) for number, v in sorted(self._versions.items())}

    def label(self, name: str) -> int:
        """The number of a label.

        Raises:
            ApiError: There is no such label.
        """
        with self._lock:
            if name not in self._labels:
                raise ApiError(Code.INVALID_ARGUMENT, f"Unrecognized servable version label: {name}")
            return self._labels[name]

    # ---- following the directory ----

    def refresh(self) -> None:
        """Looks once: loads what is new and wanted, then lets go of what is not wanted any more."""
        folders = servables.version_folders(self._directory.base)
        labels = dict(self._directory.state().labels)
        wanted = {*sorted(folders)[-self._versions_served :], *(n for n in labels.values() if n in folders)}
        for number in sorted(wanted):
            self._load_if_due(number, folders[number])
        with self._lock:
            self._labels = {name: n for name, n in labels.items() if self._is_available(n)}
            served = any(self._is_available(number) for number in wanted)
            unwanted = [v for n, v in self._versions.items() if n not in wanted]
        for version in unwanted:
            if served or version.status is Status.END:
                self._retire(version)

    def _is_available(self, number: int) -> bool:
        return number in self._versions and self._versions[number].status is Status.AVAILABLE

    def _load_if_due(self, number: int, folder: Path) -> None:
        with self._lock:
            version = self._versions.setdefault(number, Loaded(number, folder))
        failed = version.status is Status.END and version.attempts < self._load_attempts
        if version.status is Status.START or (failed and time.monotonic() >= version.retry_at):
            self._load(version)

    def _load(self, version: Loaded) -> None:
        version.status, version.attempts = Status.LOADING, version.attempts + 1
        try:
            check_loadable(version.folder, self._allowed_ops)
            servable = Servable(version.folder, threads=self._threads)
            try:
                warmup.replay(servable, version.folder)
            except BaseException:
                servable.close()
                raise
        except (ServingError, tf.errors.OpError, KeyError) as error:
            version.error = str(error)
            version.retry_at = time.monotonic() + self._retry_seconds
            version.status = Status.END
            LOG.error("version %s of %s does not load: %s", version.number, self.name, error)
            return
        with self._lock:
            version.servable, version.error, version.status = servable, "", Status.AVAILABLE
        LOG.info("version %s of %s is available", version.number, self.name)

    def _retire(self, version: Loaded) -> None:
        """Takes a version out of the way of new requests and frees it after the last one."""
        with self._lock:
            if version.status is Status.UNLOADING:
                return
            version.status = Status.UNLOADING
        drain = threading.Thread(target=self._drain, args=(version,), name=f"drain-{version.number}")
        self._drains = [*(d for d in self._drains if d.is_alive()), drain]
        drain.start()

    def _drain(self, version: Loaded) -> None:
        with version.idle:
            version.idle.wait_for(lambda: version.users == 0)
        if version.servable:
            version.servable.close()
        with self._lock:
            version.status = Status.END
            self._versions.pop(version.number, None)
        LOG.info("version %s of %s is unloaded", version.number, self.name)
