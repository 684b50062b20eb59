"""A model's serving directory: versions that appear whole or not at all.

::

    <base>/<number>/            a version: SavedModel, assets.extra/manifest.json, assets.extra/provenance.json
    <base>/server/              files for the server (models.config, ...), consistent with the versions
    <base>/.taxiway/lock        held by whoever changes anything here
    <base>/.taxiway/staging/    what a push is copying; left-overs go with the next push
    <base>/.taxiway/trash/      what retention has taken away
    <base>/.taxiway/state.json  labels, quarantine

A push copies into the staging folder, syncs every file and folder, and then renames once: TensorFlow Serving counts a
numeric name the moment it exists. Neither TFX nor TensorFlow is imported here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import filelock

from components import servables
from components.errors import ServingError
from components.serving import files, manifest
from components.serving.staging import check_room, confirm, plain_errors, stage, verify
from components.serving.state import State, read_state, write_state
from components.serving.versions import Version, check_intact, describe, digest_of, is_damaged

AHEAD_SECONDS = 3600
"""A version's number is the time of its push; one that is further in the future was not given by a push here."""


@dataclass(frozen=True)
class PushResult:
    """What a push, rollback or their refusal came to.

    Attributes:
        pushed: A new version stands in the directory.
        version: The new version, or the live one where nothing was pushed; None where none is live.
        path: Folder of `version`.
        digest: Of the model that was to be pushed.
        reason: One sentence.
        provenance: Of the new version.
    """

    pushed: bool
    version: int | None
    path: Path | None
    digest: str
    reason: str
    provenance: Mapping[str, Any] = field(default_factory=dict)


class ServingDirectory:
    """The versions of one model. Every change is made under the directory's lock."""

    def __init__(
        self,
        base: str | Path,
        *,
        lock_timeout_seconds: float = 600,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Args:
        base: `<root>/serving/<model>`, on a mounted file system; it need not exist.
        lock_timeout_seconds: How long to wait for another push into the same directory.
        clock: Seconds since 1970; a new version's number is this, or the live number plus one if that is larger.

        Raises:
            ServingError: `base` is a URL: object stores have no atomic rename.
        """
        if "://" in str(base):
            raise ServingError(
                f"{base} is not a folder of a mounted file system.",
                "A push renames once, which object stores cannot do. Give a local path or a mounted volume; "
                "serving.publish_to copies each version to an object store from there.",
            )
        self.base = Path(base).absolute()
        self.server_folder = self.base / "server"
        self._own = self.base / ".taxiway"
        self._staging, self._trash = self._own / "staging", self._own / "trash"
        self._state_file = self._own / "state.json"
        self._lock_timeout_seconds = lock_timeout_seconds
        self._clock = clock

    # ---- reading ----

    def versions(self) -> list[Version]:
        """All versions, ascending; the last one is live."""
        folders = servables.version_folders(self.base)
        state = self.state()
        labels, quarantined = state.labels, state.quarantined
        found = []
        for number, path in folders.items():
            with contextlib.suppress(FileNotFoundError):  # retention took it away meanwhile
                found.append(describe(number, path, number == max(folders), labels))
        return (
            [dataclasses.replace(v, quarantine=quarantined.get(digest_of(v))) for v in found] if quarantined else found
        )

    def live(self) -> Version | None:
        """The version that is served, or None."""
        live = servables.live_version(self.base)
        return describe(*live, True, self.state().labels) if live else None

    def version(self, number: int) -> Version:
        """One version.

        Raises:
            ServingError: There is none of that number.
        """
        for version in self.versions():
            if version.number == number:
                return version
        present = ", ".join(str(v.number) for v in self.versions()) or "none"
        raise ServingError(f"{self.base} has no version {number}.", f"Present: {present}.")

    def check_number_left(self) -> int:
        """The live number, 0 where nothing is live; a new version's must be higher.

        Raises:
            ServingError: No higher number is left that TensorFlow Serving would read.
        """
        live = servables.live_version(self.base)
        if live and live[0] >= servables.MAX_VERSION:
            raise ServingError(
                f"{live[1]} has the highest number that TensorFlow Serving reads; a new version needs a higher one.",
                f"No push of Taxiway made it. Move it out of {self.base}; the highest number that stays is then live.",
            )
        return live[0] if live else 0

    def notes(self) -> list[str]:
        """What is odd about the numbers here, a sentence each."""
        live = servables.live_version(self.base)
        ahead = live is not None and live[0] > self._clock() + AHEAD_SECONDS
        notes = [f"{_ahead(live[0])} The next push counts on from it."] if live and ahead else []
        return notes + servables.explain_names(self.base)

    def state(self) -> State:
        """Labels and quarantine."""
        return read_state(self._state_file)

    def check_writable(self) -> None:
        """Finds out now what a push would find out after all the work. Nothing is left behind.

        Raises:
            ServingError: The directory, or the one in which it would be made, cannot be written.
        """
        places = (self._own, self.base, *self.base.parents)
        place = next(path for path in places if path.exists() or path.is_symlink())
        probe = place / f".writable-{uuid.uuid4().hex}"
        try:
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise ServingError(
                f"The serving directory {self.base} cannot be written: {place}: {error.strerror or error}.",
                "Give this user the right to write there, or choose another --root. Nothing was begun.",
            ) from error

    # ---- changing ----

    def push(
        self,
        source: str | Path,
        provenance: Mapping[str, Any],
        *,
        extra_files: Mapping[str, str | Path] | None = None,
        expected_digest: str = "",
        force: bool = False,
    ) -> PushResult:
        """Makes a SavedModel the live version, unless it is already, or a rollback took it back.

        Args:
            source: Folder of the SavedModel.
            provenance: Where it comes from; JSON values.
            extra_files: Name in `assets.extra/` to the file that becomes it, such as the warm-up requests.
            expected_digest: What was validated. Other bytes are refused. Empty: not compared.
            force: Push even what is live already or quarantined.

        Raises:
            ServingError: The source is no SavedModel or not what was validated, the disk is full, the directory cannot
                be written, or another push holds the lock. The live version is then as it was.
        """
        source = Path(source)
        digest = manifest.digest_folder(source)
        if expected_digest and digest != expected_digest:
            raise ServingError(
                f"The model in {source} has the digest {digest}, but {expected_digest} was validated.",
                "Validate it again: run the pipeline from ServingValidator.",
            )
        with self._locked():
            refusal = None if force else self._refusal(digest)
            if refusal:
                return refusal
            self.check_number_left()
            if force:
                self._change_state(self.state().without_quarantined(digest))
            return self._publish(source, digest, provenance, extra_files or {}, "pushed")

    def rollback(self, to: int | None = None, *, reason: str = "") -> PushResult:
        """Publishes the bytes of an earlier version under a new number and quarantines those that were live.

        A second rollback goes further back: models that a rollback took back are passed over, and the reason says so.
        Naming one of them takes it out of quarantine again.

        Args:
            to: The version whose bytes return. None: the newest one of another model that is not quarantined.
            reason: For the quarantine's record.

        Raises:
            ServingError: There is nothing to return to, or the version was changed after its push.
        """
        with self._locked():
            live = self.live()
            if live is None:
                raise ServingError(f"{self.base} has no version.", "Push one first: taxiway run.")
            target, passed_over = (self.version(to), []) if to is not None else self._earlier(live)
            check_intact(target)
            digest, left = digest_of(target), digest_of(live)
            if digest == left:
                raise ServingError(
                    f"Version {target.number} is the model that is live already (version {live.number}).",
                    "Name a version of another model; see: taxiway versions.",
                )
            self.check_number_left()  # before anything is written
            self._change_state(self._state_after_rollback(live, left, digest, reason))
            provenance = {
                **{key: value for key, value in target.provenance.items() if key != "version"},
                "rollback_of": live.number,
                "bytes_of": target.number,
                "rollback_reason": reason,
            }
            how = f"rolled back from version {live.number} to the model of version {target.number}"
            if passed_over:
                how += f", passing over {_listed(passed_over, self.state())}"
            return self._publish(target.path, digest, provenance, {}, how)

    def promote(self, number: int, label: str) -> None:
        """Gives a label to a version, and takes it from the one that had it.

        Raises:
            ServingError: There is no such version, or the label is none that TensorFlow Serving's URLs can hold.
        """
        if not label or not label.replace("_", "").replace("-", "").isalnum() or servables.parse_version(label):
            raise ServingError(f"{label!r} is no label.", "Letters, digits, _ and -, such as stable or canary.")
        with self._locked():
            self.version(number)
            self._change_state(self.state().with_label(label, number))

    def demote(self, label: str) -> None:
        """Forgets a label.

        Raises:
            ServingError: There is no such label.
        """
        with self._locked():
            current = self.state()
            if label not in current.labels:
                raise ServingError(
                    f"No version has the label {label!r}.", f"Labels: {', '.join(current.labels) or 'none'}."
                )
            self._change_state(current.without_label(label))

    def retain(self, keep: int) -> list[int]:
        """Takes away all but the newest `keep` versions, the live one and those that labels name.

        Returns:
            The numbers that are gone.
        """
        with self._locked():
            folders = servables.version_folders(self.base)
            kept = {*sorted(folders)[-max(keep, 1) :], *self.state().labels.values()}
            gone = [number for number in folders if number not in kept]
            for number in gone:
                # One rename first: a server never sees a version that is half there.
                files.make_folder(self._trash)
                os.rename(folders[number], self._trash / f"{number}-{uuid.uuid4().hex}")  # noqa: PTH104
            files.remove_tree(self._trash)
            return gone

    def write_server_files(self, contents: Mapping[str, bytes]) -> None:
        """Replaces files in `server/`, each whole. Unchanged ones are left alone."""
        with self._locked():
            files.make_folder(self.server_folder)
            for name, content in contents.items():
                path = self.server_folder / name
                if not path.exists() or path.read_bytes() != content:
                    files.replace_file(path, content)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Holds the directory's lock, for who reads all of it while nobody may change it. Nothing here may be changed
        inside: the other methods take the lock themselves."""
        with self._locked():
            yield

    # ---- below the lock ----

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Holds the directory's lock, cleans up after a push that was killed, makes the system's errors plain."""
        with plain_errors(self.base):
            files.make_folder(self._own)
            lock = self._acquire()
            try:
                files.remove_tree(self._staging)
                files.remove_tree(self._trash)
                yield
            finally:
                lock.release()

    def _acquire(self) -> filelock.BaseFileLock:
        lock = filelock.FileLock(self._own / "lock", timeout=self._lock_timeout_seconds)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise ServingError(
                f"Another push has held {lock.lock_file} for {self._lock_timeout_seconds:g} s.",
                "Wait for it to end. The lock ends with its process; the file itself means nothing.",
            ) from error
        return lock

    def _refusal(self, digest: str) -> PushResult | None:
        live = self.live()
        number, path = (live.number, live.path) if live else (None, None)
        if live and digest_of(live) == digest and not is_damaged(live):
            return PushResult(False, number, path, digest, f"the same model is live already, as version {number}")
        entry = self.state().quarantined.get(digest)
        if entry is None:
            return None
        why = f": {entry['reason']}" if entry.get("reason") else ""
        reason = f"a rollback took this model back (version {entry.get('version')}{why}); --force pushes it anyway"
        return PushResult(False, number, path, digest, reason)

    def _publish(
        self, source: Path, digest: str, provenance: Mapping[str, Any], extra_files: Mapping[str, str | Path], how: str
    ) -> PushResult:
        now = self._clock()
        number = max(int(now), self.check_number_left() + 1)
        record = {**provenance, "model_version": number, "digest": digest, "pushed_at": _iso(now)}
        staged = self._staging / uuid.uuid4().hex
        try:
            files.make_folder(staged)
            check_room(staged, (source, *map(Path, extra_files.values())))
            written = stage(source, staged, record, extra_files)
            verify(staged, written, digest)
            target = self.base / str(number)
            os.rename(staged, target)  # noqa: PTH104 - the one step that makes it a version
            files.sync_folder(self.base)
        except BaseException:
            with contextlib.suppress(OSError):  # the error itself matters more
                files.remove_tree(self._staging)
            raise
        files.remove_tree(self._staging)
        confirm(target, written)
        why = f" ({_ahead(number - 1)})" if number > now + AHEAD_SECONDS else ""
        return PushResult(True, number, target, digest, f"{how}, as version {number}{why}", record)

    def _earlier(self, live: Version) -> tuple[Version, list[Version]]:
        """The version to which a rollback without a number returns, and the newer quarantined ones."""
        quarantined = self.state().quarantined
        others = [v for v in reversed(self.versions()) if digest_of(v) != digest_of(live)]
        for place, version in enumerate(others):
            if digest_of(version) not in quarantined:
                return version, others[:place]
        raise ServingError(
            f"{self.base} has no earlier version of another model to return to"
            + (f": a rollback took back {_listed(others, self.state())}." if others else "."),
            "Name a version to make it live all the same: taxiway rollback VERSION; see taxiway versions.",
        )

    def _state_after_rollback(self, live: Version, left: str, returning: str, reason: str) -> State:
        """Written before the bytes return: killed in between, the bad model is not pushed once more."""
        after = self.state().without_quarantined(returning)
        if live.provenance.get("rollback_of") is not None and _same(returning, live, self.versions()):
            return after  # the undoing of a rollback: what is left now was never bad
        return after.with_quarantined(left, {"version": live.number, "reason": reason, "time": _iso(self._clock())})

    def _change_state(self, new: State) -> None:
        if new != self.state():
            write_state(self._state_file, new)


def _same(digest: str, live: Version, versions: list[Version]) -> bool:
    """Whether the bytes are those that the live version, itself a rollback, took back."""
    return any(v.number == live.provenance["rollback_of"] and digest_of(v) == digest for v in versions)


def _listed(versions: list[Version], state: State) -> str:
    """Quarantined versions with the reasons of their rollbacks, newest first."""
    reasons = ((v.number, state.quarantined[digest_of(v)].get("reason", "")) for v in versions)
    return ", ".join(f"version {number} (quarantined{f': {why}' if why else ''})" for number, why in reasons)


def _ahead(number: int) -> str:
    return f"Version {number} is no time of a push up to now: its folder was made by hand, or with another clock."


def _iso(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat(timespec="milliseconds")
