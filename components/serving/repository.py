"""The versions that the embedded server holds: found, loaded, warmed up, swapped and drained without a gap.

One thread looks at the serving directory; requests hold a version by a count and never wait for a load. An old version
goes only when a newer one answers, and only after its last request. A version is a program of somebody's: whatever it
raises, and however long it takes, only that version fails, with its words in the status.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from components import servables
from components.errors import ServingError
from components.serving import warmup
from components.serving.api_errors import ApiError, Code
from components.serving.checked import check_loadable
from components.serving.directory import ServingDirectory
from components.serving.servable import Servable

LOG = logging.getLogger(__name__)
MESSAGE_LIMIT = 2048
"""Characters of a version's error that the status shows: TensorFlow appends the whole graph's history."""


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
        load_seconds: float = 900.0,
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
        load_seconds: After which a version that still loads is given up, so that the next one can load.
        threads: Of each version's session; 0: TensorFlow's choice.
        allowed_ops: TensorFlow ops allowed beside the list of `ops.ALLOWED`.
        """
        self.name = name
        self._directory = ServingDirectory(base)
        self._versions_served = versions_served
        self._poll_seconds = poll_seconds
        self._load_attempts, self._retry_seconds = load_attempts, retry_seconds
        self._load_seconds = load_seconds
        self._threads, self._allowed_ops = threads, tuple(allowed_ops)
        self._lock = threading.Lock()
        self._versions: dict[int, Loaded] = {}
        self._labels: dict[str, int] = {}  # those whose version answers
        self._named: dict[str, int] = {}  # all
        self._labels_trouble = ""
        self._stop = threading.Event()
        self._poller = threading.Thread(target=self._poll, name=f"poll-{name}", daemon=True)
        self._drains: list[threading.Thread] = []
        self._end = ""
        self._trouble = ""

    # ---- life ----

    def start(self) -> None:
        """Loads what is there, then follows the directory."""
        self._look()
        self._poller.start()

    def stop(self, timeout_seconds: float | None = None) -> bool:
        """Unloads everything, each version after its last request, and says whether all was done in the time."""
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        self._stop.set()
        threads = [self._poller] if self._poller.is_alive() else []
        _join(threads, until)
        for version in list(self._versions.values()):
            self._retire(version)
        return _join([*threads, *self._drains], until)

    def problem(self) -> str:
        """Why the directory is not followed any more; empty where it is."""
        if self._stop.is_set() or not self._poller.ident or self._poller.is_alive():
            return ""
        return f"the thread that follows {self._directory.base} has ended: {self._end or 'no reason is known'}"

    def _poll(self) -> None:
        try:
            while not self._stop.wait(self._poll_seconds):
                self._look()
        except BaseException as error:
            self._end = words(error)
            LOG.critical("the directory of %s is not followed any more", self.name, exc_info=True)

    def _look(self) -> None:
        """Looks once. What goes wrong is logged once, not at every look."""
        trouble = ""
        try:
            self.refresh()
        except Exception as error:  # a boundary: the next look may go well
            trouble = words(error)
            if trouble != self._trouble:
                LOG.exception("cannot follow %s; the loaded versions go on", self._directory.base)
        self._trouble = trouble

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
        labels = self._read_labels()
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

    def _read_labels(self) -> Mapping[str, int]:
        """Labels as the directory has them; as they were where it is damaged, for versions come in spite of it."""
        try:
            self._named = dict(self._directory.state().labels)
            self._labels_trouble = ""
        except Exception as error:  # a boundary: whatever stands in the file
            if words(error) != self._labels_trouble:
                LOG.error("the labels of %s stay as they were: %s", self.name, words(error))
            self._labels_trouble = words(error)
        return self._named

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
        loaded = _Loading(lambda: self._open(version.folder)).result(self._load_seconds)
        if isinstance(loaded, BaseException):
            if isinstance(loaded, TimeoutError):
                version.attempts = self._load_attempts  # its thread is still busy with it
            self._fail(version, words(loaded))
            return
        with self._lock:
            version.servable, version.error, version.status = loaded, "", Status.AVAILABLE
        LOG.info("version %s of %s is available", version.number, self.name)

    def _open(self, folder: Path) -> Servable:
        """Loads a version and replays its warm-up requests. What it raises is the version's failure, of any type."""
        check_files(folder)
        check_loadable(folder, self._allowed_ops)
        servable = Servable(folder, threads=self._threads)
        try:
            warmup.replay(servable, folder)
        except BaseException:
            servable.close()
            raise
        return servable

    def _fail(self, version: Loaded, error: str) -> None:
        with self._lock:
            version.error, version.retry_at = error, time.monotonic() + self._retry_seconds
            version.status = Status.END
        LOG.error("version %s of %s does not load: %s", version.number, self.name, error)

    def _retire(self, version: Loaded) -> None:
        """Takes a version out of the way of new requests and frees it after the last one."""
        with self._lock:
            if version.status is Status.UNLOADING:
                return
            version.status = Status.UNLOADING
        drain = threading.Thread(target=self._drain, args=(version,), name=f"drain-{version.number}", daemon=True)
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


class _Loading:
    """One load in a thread of its own, so that one that does not end holds nothing else back."""

    def __init__(self, load: Callable[[], Servable]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._servable: Servable | None = None
        self._error: BaseException | None = None
        self._given_up = False
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._thread.start()

    def result(self, seconds: float) -> Servable | BaseException:
        """The version, or what it raised, of any type; a TimeoutError where it still loads after so many seconds."""
        self._thread.join(seconds)
        with self._lock:
            if self._error:
                return self._error
            if self._servable is None:
                self._given_up = True
                return TimeoutError(f"it did not load within {seconds:.0f} s; it is not tried again")
            return self._servable

    def _run(self) -> None:
        try:
            servable = self._load()
        except BaseException as error:  # handed to whoever waits
            with self._lock:
                self._error = error
            return
        with self._lock:
            self._servable = servable
            late = self._given_up
        if late:
            servable.close()


def check_files(folder: Path) -> None:
    """Raises:
    ServingError: Something in a version is neither a file nor a folder: reading a pipe would wait for ever.
    """
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if path.exists() and not stat.S_ISREG(path.stat().st_mode):
                raise ServingError(f"{path.relative_to(folder)} is no regular file.", "Push the model anew.")


def words(error: BaseException) -> str:
    """What an error says, as text that any answer can hold."""
    said = str(error).strip() or type(error).__name__
    return said.encode("utf-8", "backslashreplace").decode("utf-8")[:MESSAGE_LIMIT]


def _join(threads: list[threading.Thread], until: float | None) -> bool:
    for thread in threads:
        thread.join(None if until is None else max(0.0, until - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)
