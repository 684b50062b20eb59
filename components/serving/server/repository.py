"""The versions that the embedded server holds: found, loaded, warmed up, swapped and drained without a gap.

One thread looks at the serving directory; requests hold a version by a count and never wait for a load. An old version
goes only when a newer one answers, and only after its last request. A version is somebody else's program: whatever
it raises, and however long it takes, only that version fails, and its status holds the error.
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

from taxiway.components.errors import ServingError
from taxiway.components.saved_models import model_versions
from taxiway.components.saved_models.session import SavedModelSession
from taxiway.components.serving.config import RolloutPolicy
from taxiway.components.serving.protocol.api_errors import (
    escape_surrogates,
    make_no_servable_error,
    make_unknown_label_error,
    shorten_message,
)
from taxiway.components.serving.requests import warmup
from taxiway.components.serving.safety.load_check import check_loadable
from taxiway.components.serving.versions.candidates.candidate import Candidate
from taxiway.components.serving.versions.directory import ServingDirectory

LOG = logging.getLogger(__name__)


LoadObserver = Callable[[Path, float, bool], None]


class VersionStatus(Enum):
    """Where a version is; the names and numbers of `ModelVersionStatus.State`."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass
class LoadedVersion:
    """One version that the server knows of."""

    number: int
    folder: Path
    status: VersionStatus = VersionStatus.START
    servable: SavedModelSession | None = None
    error: str = ""
    users: int = 0
    attempts: int = 0
    retry_at: float = 0.0
    idle: threading.Condition = field(default_factory=threading.Condition)


class ModelRepository:
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
        on_load: LoadObserver = lambda folder, seconds, ok: None,
    ) -> None:
        """Args:
        name: Name by which requests ask for the model.
        base: The serving directory.
        versions_served: Newest versions held, beside those that labels name.
        poll_seconds: Time between two looks at the directory; TensorFlow Serving's default is one second.
        load_attempts: Number of times that a failing version is tried: TensorFlow Serving retries 5 times.
        retry_seconds: Time between two tries.
        load_seconds: Time after which a version that still loads is given up, so that the next one can load.
        threads: Threads of each version's session; 0: TensorFlow's choice.
        allowed_ops: TensorFlow ops allowed beside `allowed_ops.ALLOWED`.
        on_load: Called after each try to load a version: its folder, the seconds, whether it answers now.
        """
        self.name = name
        self._directory = ServingDirectory(base)
        self._versions_served = versions_served
        self._poll_seconds = poll_seconds
        self._load_attempts, self._retry_seconds = load_attempts, retry_seconds
        self._load_seconds, self._on_load = load_seconds, on_load
        self._threads, self._allowed_ops = threads, tuple(allowed_ops)
        self._lock = threading.Lock()
        self._versions: dict[int, LoadedVersion] = {}
        self._labels: dict[str, int] = {}  # those whose version answers
        self._known_labels: dict[str, int] = {}  # all of them
        self._labels_error = ""
        self._candidate: Candidate | None = None
        self._stop = threading.Event()
        self._poller = threading.Thread(target=self._poll_directory, name=f"poll-{name}", daemon=True)
        self._drains: list[threading.Thread] = []
        self._poll_error = ""
        self._refresh_error = ""

    # ---- start and stop ----

    def start(self) -> None:
        """Loads what is there, then follows the directory."""
        self._refresh_once()
        self._poller.start()

    def stop(self, timeout_seconds: float | None = None) -> bool:
        """Unloads everything, each version after its last request, and says whether all was done in the time."""
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        self._stop.set()
        threads = [self._poller] if self._poller.is_alive() else []
        _join_threads(threads, until)
        for version in list(self._versions.values()):
            self._retire_version(version)
        return _join_threads([*threads, *self._drains], until)

    def describe_problem(self) -> str:
        """Why the directory is not followed any more; empty where it is."""
        if self._stop.is_set() or not self._poller.ident or self._poller.is_alive():
            return ""
        return f"the thread that follows {self._directory.base} has ended: {self._poll_error or 'no reason is known'}"

    def _poll_directory(self) -> None:
        try:
            while not self._stop.wait(self._poll_seconds):
                self._refresh_once()
        except BaseException as error:
            self._poll_error = shorten_error(error)
            LOG.critical("the directory of %s is not followed any more", self.name, exc_info=True)

    def _refresh_once(self) -> None:
        """Looks once. What goes wrong is logged once, not at every look."""
        refresh_error = ""
        try:
            self.refresh()
        except Exception as error:  # a boundary: the next look may go well
            refresh_error = shorten_error(error)
            if refresh_error != self._refresh_error:
                LOG.exception("cannot follow %s; the loaded versions go on", self._directory.base)
        self._refresh_error = refresh_error

    # ---- requests ----

    @contextlib.contextmanager
    def hold_version(self, number: int | None = None, label: str = "") -> Iterator[tuple[int, SavedModelSession]]:
        """Holds a version for one request.

        Args:
            number: Number of the version; None: the highest that is available, or the label's.
            label: Label of the version, instead of a number.

        Raises:
            ApiError: NOT_FOUND or INVALID_ARGUMENT with TensorFlow Serving's words.
        """
        version, servable = self._acquire_version(number, label)
        try:
            yield version.number, servable
        finally:
            with version.idle:
                version.users -= 1
                version.idle.notify_all()

    def _acquire_version(self, number: int | None, label: str) -> tuple[LoadedVersion, SavedModelSession]:
        with self._lock:
            if label:
                number = self._find_labelled(label)
            versions = self._versions.items()
            available = {n: v.servable for n, v in versions if v.status is VersionStatus.AVAILABLE and v.servable}
            tried = self._candidate.version if self._candidate else None
            wanted = max((n for n in available if n != tried), default=None) if number is None else number
            if wanted is None or wanted not in available:
                raise make_no_servable_error(self.name, number)
            version = self._versions[wanted]
            with version.idle:
                version.users += 1
            return version, available[wanted]

    def find_candidate(self, policy: RolloutPolicy, split_point: float | None) -> int | None:
        """The candidate of this policy, where it answers and a request falls into its share; else None.

        Args:
            policy: `shadow` or `canary`.
            split_point: The request's place between 0 and 1; None: it takes no part.
        """
        candidate = self._candidate
        if candidate is None or split_point is None or candidate.policy != policy or split_point >= candidate.share:
            return None
        with self._lock:
            return candidate.version if self._is_available(candidate.version) else None

    @property
    def has_candidate(self) -> bool:
        """Whether a version is tried beside the live one."""
        return self._candidate is not None

    def list_statuses(self) -> dict[int, tuple[VersionStatus, str]]:
        """State and error of every version known, by number."""
        with self._lock:
            return {number: (v.status, v.error) for number, v in sorted(self._versions.items())}

    def resolve_label(self, name: str) -> int:
        """The number of a label.

        Raises:
            ApiError: There is no such label.
        """
        with self._lock:
            return self._find_labelled(name)

    def _find_labelled(self, label: str) -> int:
        if label not in self._labels:
            raise make_unknown_label_error(label)
        return self._labels[label]

    # ---- following the directory ----

    def refresh(self) -> None:
        """Looks once: loads what is new and wanted, then lets go of what is not wanted any more."""
        folders = model_versions.list_version_folders(self._directory.base)
        labels = self._read_labels()
        tried = self._candidate.version if self._candidate else None
        ordinary = [number for number in sorted(folders) if number != tried]
        wanted = {*ordinary[-self._versions_served :], *(n for n in labels.values() if n in folders)}
        for number in sorted(wanted, key=lambda number: (number == tried, number)):
            self._load_if_due(number, folders[number])
        with self._lock:
            self._labels = {name: n for name, n in labels.items() if self._is_available(n)}
            served = any(self._is_available(number) for number in wanted if number != tried)
            unwanted = [v for n, v in self._versions.items() if n not in wanted]
        for version in unwanted:
            if served or version.status is VersionStatus.END:
                self._retire_version(version)

    def _read_labels(self) -> Mapping[str, int]:
        """Labels as the directory has them; where they cannot be read, those read last: new versions still come."""
        try:
            state = self._directory.load_state()
            self._known_labels, self._candidate = dict(state.labels), state.candidate
            self._labels_error = ""
        except Exception as error:  # a boundary: the file may hold anything
            if shorten_error(error) != self._labels_error:
                LOG.error("the labels of %s stay as they were: %s", self.name, shorten_error(error))
            self._labels_error = shorten_error(error)
        return self._known_labels

    def _is_available(self, number: int) -> bool:
        return number in self._versions and self._versions[number].status is VersionStatus.AVAILABLE

    def _load_if_due(self, number: int, folder: Path) -> None:
        with self._lock:
            version = self._versions.setdefault(number, LoadedVersion(number, folder))
        failed = version.status is VersionStatus.END and version.attempts < self._load_attempts
        if version.status is VersionStatus.START or (failed and time.monotonic() >= version.retry_at):
            self._load_version(version)

    def _load_version(self, version: LoadedVersion) -> None:
        version.status, version.attempts = VersionStatus.LOADING, version.attempts + 1
        began = time.monotonic()
        loaded = _VersionLoad(lambda: self._open_version(version.folder)).wait_result(self._load_seconds)
        self._on_load(version.folder, time.monotonic() - began, not isinstance(loaded, BaseException))
        if isinstance(loaded, BaseException):
            if isinstance(loaded, TimeoutError):
                version.attempts = self._load_attempts  # its thread is still busy with it
            self._mark_failed(version, shorten_error(loaded))
            return
        with self._lock:
            version.servable, version.error, version.status = loaded, "", VersionStatus.AVAILABLE
        LOG.info("version %s of %s is available", version.number, self.name)

    def _open_version(self, folder: Path) -> SavedModelSession:
        """Loads a version and replays its warm-up requests. What it raises is the version's failure, of any type."""
        check_files(folder)
        check_loadable(folder, self._allowed_ops)
        servable = SavedModelSession(folder, threads=self._threads)
        try:
            warmup.replay_requests(servable, folder)
        except BaseException:
            servable.close()
            raise
        return servable

    def _mark_failed(self, version: LoadedVersion, error: str) -> None:
        with self._lock:
            version.error, version.retry_at = error, time.monotonic() + self._retry_seconds
            version.status = VersionStatus.END
        LOG.error("version %s of %s does not load: %s", version.number, self.name, error)

    def _retire_version(self, version: LoadedVersion) -> None:
        """Takes a version out of the way of new requests and frees it after the last one."""
        with self._lock:
            if version.status is VersionStatus.UNLOADING:
                return
            version.status = VersionStatus.UNLOADING
        drain = threading.Thread(
            target=self._drain_version, args=(version,), name=f"drain-{version.number}", daemon=True
        )
        self._drains = [*(d for d in self._drains if d.is_alive()), drain]
        drain.start()

    def _drain_version(self, version: LoadedVersion) -> None:
        with version.idle:
            version.idle.wait_for(lambda: version.users == 0)
        if version.servable:
            version.servable.close()
        with self._lock:
            version.status = VersionStatus.END
            self._versions.pop(version.number, None)
        LOG.info("version %s of %s is unloaded", version.number, self.name)


class _VersionLoad:
    """One load in a thread of its own, so that one that does not end holds nothing else back."""

    def __init__(self, load: Callable[[], SavedModelSession]) -> None:
        self._load_version = load
        self._lock = threading.Lock()
        self._servable: SavedModelSession | None = None
        self._error: BaseException | None = None
        self._given_up = False
        self._thread = threading.Thread(target=self._run_load, name="load", daemon=True)
        self._thread.start()

    def wait_result(self, seconds: float) -> SavedModelSession | BaseException:
        """The version, or what it raised, of any type; a TimeoutError where it still loads after so many seconds."""
        self._thread.join(seconds)
        with self._lock:
            if self._error:
                return self._error
            if self._servable is None:
                self._given_up = True
                return TimeoutError(f"it did not load within {seconds:.0f} s; it is not tried again")
            return self._servable

    def _run_load(self) -> None:
        try:
            servable = self._load_version()
        except BaseException as error:  # handed to the waiting callers
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
                raise ServingError(f"{path.relative_to(folder)} is no regular file.", "Push the model again.")


def shorten_error(error: BaseException) -> str:
    """What an error says, as text that any answer can hold."""
    return shorten_message(escape_surrogates(str(error).strip() or type(error).__name__))


def _join_threads(threads: list[threading.Thread], until: float | None) -> bool:
    for thread in threads:
        thread.join(None if until is None else max(0.0, until - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)
