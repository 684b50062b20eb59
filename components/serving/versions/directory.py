"""A model's serving directory: versions that appear whole or not at all.

::

    <base>/<number>/            a version: SavedModel, assets.extra/manifest.json, assets.extra/provenance.json
    <base>/server/              files for the server (models.config, ...), consistent with the versions
    <base>/.taxiway/lock        held by the process that changes anything here
    <base>/.taxiway/staging/    what a push is copying; left-overs go with the next push
    <base>/.taxiway/trash/      what retention has taken away
    <base>/.taxiway/state.json  labels, quarantine, candidate, numbers that were given

A push copies into the staging folder, syncs every file and folder, and then renames once: TensorFlow Serving counts a
numeric name the moment it exists. Neither TFX nor TensorFlow is imported here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from taxiway.components.errors import ServingError
from taxiway.components.files import durable_files
from taxiway.components.saved_models import manifest, model_versions
from taxiway.components.serving.versions import rollback
from taxiway.components.serving.versions.candidates.candidate import (
    CANDIDATE_OF,
    Candidate,
    RolloutStep,
    Trial,
)
from taxiway.components.serving.versions.candidates.numbers import choose_number
from taxiway.components.serving.versions.directory_lock import OWN_FOLDER, STAGING, TRASH, hold_directory_lock
from taxiway.components.serving.versions.push_result import PushResult
from taxiway.components.serving.versions.staging import check_disk_space, confirm_manifest, stage_model, verify_copy
from taxiway.components.serving.versions.state import DirectoryState, read_state, write_state
from taxiway.components.serving.versions.version import (
    Version,
    check_intact,
    check_number_left,
    check_readable,
    explain_future_number,
    find_changes,
    format_time,
    get_version_digest,
    read_version,
)


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
        lock_timeout_seconds: Time to wait for another push into the same directory.
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
        self._own = self.base / OWN_FOLDER
        self._staging, self._trash = self._own / STAGING, self._own / TRASH
        self._state_file = self._own / "state.json"
        self._lock_timeout_seconds = lock_timeout_seconds
        self.clock = clock

    # ---- reading ----

    def list_versions(self, state: DirectoryState | None = None) -> list[Version]:
        """All versions, ascending; the last one is live.

        Args:
            state: Labels, quarantine and candidate that they are shown with; None: those of the directory's file.

        Raises:
            ServingError: That file is damaged or of a newer Taxiway.
        """
        folders, state = model_versions.list_version_folders(self.base), self.load_state() if state is None else state
        versions = []
        for number, path in folders.items():
            with contextlib.suppress(FileNotFoundError):  # retention took it away meanwhile
                versions.append(self._read_version(number, path, number == max(folders), state))
        return versions

    def find_live(self) -> Version | None:
        """The version that is served, or None."""
        live = model_versions.find_live_version(self.base)
        return self._read_version(*live, True, self.load_state()) if live else None

    def get_version(self, number: int) -> Version:
        """One version.

        Raises:
            ServingError: There is none of that number.
        """
        chosen = model_versions.choose_version(self.base, number)
        live = model_versions.find_live_version(self.base)
        return self._read_version(*chosen, chosen == live, self.load_state())

    def _read_version(self, number: int, path: Path, live: bool, state: DirectoryState) -> Version:
        version = read_version(number, path, live, state.labels)
        if state.candidate and state.candidate.version == number:
            version = dataclasses.replace(version, candidate=state.candidate)
        if not state.quarantined:  # the digest of a version that another program made takes all its bytes
            return version
        return dataclasses.replace(version, quarantine=state.quarantined.get(get_version_digest(version)))

    def list_notes(self) -> list[str]:
        """What is odd about the numbers here, a sentence each."""
        live = model_versions.find_live_version(self.base)
        ahead = explain_future_number(live[0], self.clock()) if live else ""
        notes = [f"{ahead} The next push counts on from it."] if ahead else []
        return notes + model_versions.explain_misleading_names(self.base)

    def load_state(self) -> DirectoryState:
        """Labels, quarantine, candidate, and the numbers that were given."""
        return read_state(self._state_file)

    def check_writable(self) -> None:
        """Finds out now what a push would find out after all the work. Nothing is left behind.

        Raises:
            ServingError: The directory, or the one in which it would be made, cannot be written.
        """
        candidates = (self._own, self.base, *self.base.parents)
        existing_folder = next(path for path in candidates if path.exists() or path.is_symlink())
        probe = existing_folder / f".writable-{uuid.uuid4().hex}"
        try:
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise ServingError(
                f"The serving directory {self.base} cannot be written: {existing_folder}: {error.strerror or error}.",
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
        trial: Trial | None = None,
    ) -> PushResult:
        """Makes a SavedModel the live version, or a candidate, unless it is already, or a rollback took it back.

        Args:
            source: Folder of the SavedModel.
            provenance: Where the model comes from, as JSON values.
            extra_files: Name in `assets.extra/` to the file that becomes it, such as the warm-up requests.
            expected_digest: Digest of what was validated; other bytes are refused. Empty: not compared.
            force: Push even what is live already or quarantined.
            trial: How the model is tried beside the live version, in the place of another candidate; None: it becomes
                live, as it does where nothing is live yet.

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
        with self.hold_lock():
            refusal = None if force else self._find_refusal(digest)
            if refusal:
                return refusal
            check_number_left(self.base)
            if force:
                self.change_state(self.load_state().without_quarantined(digest))
            live = self.find_live()
            if trial and live:
                return self._add_candidate(source, digest, provenance, extra_files or {}, trial, live.number)
            result = self.add_version(source, digest, provenance, extra_files or {}, "pushed")
            self.change_state(self.load_state().without_candidate())  # it was compared with what was live before
            return result

    def plan_rollback(self, to: int | None = None) -> rollback.RollbackPlan:
        """What `rollback` would do now. Changes nothing, and reads no bytes of the models.

        Raises:
            ServingError: There is nothing to return to.
        """
        named = self.get_version(to) if to is not None else None
        return rollback.plan_rollback(self.base, self.find_live(), self.list_versions(), self.load_state(), named)

    def rollback(self, to: int | None = None, *, reason: str = "", seen_live: int | None = None) -> PushResult:
        """Publishes the bytes of an earlier version under a new number and quarantines those that were live.

        A second rollback goes further back: models that a rollback took back are passed over, and the reason says so.
        Naming one of them takes it out of quarantine again.

        Args:
            to: The version whose bytes return. None: the newest one of another model that is not quarantined.
            reason: Reason, for the quarantine's record.
            seen_live: The version that was live when this was decided; None: not compared.

        Raises:
            ServingError: There is nothing to return to, the version was changed after its push, or another one than
                `seen_live` is live. The live version is then as it was.
        """
        with self.hold_lock():
            self.check_live(seen_live)
            plan = self.plan_rollback(to)
            live, target, state = plan.live, plan.target, self.load_state()
            check_intact(target)
            check_number_left(self.base)  # before anything is written
            entry = {"version": live.number, "reason": reason, "time": format_time(self.clock())}
            # Before the bytes return: killed in between, the bad model is not pushed once more.
            self.change_state(rollback.build_state(state, live, target, self.list_versions(), entry))
            how = f"rolled back from version {live.number} to the model of version {target.number}"
            if plan.passed_over:
                how += f", passing over {rollback.format_passed_over(plan.passed_over, state)}"
            provenance = rollback.build_provenance(target, live, reason)
            return self.add_version(target.path, get_version_digest(target), provenance, {}, how)

    def check_live(self, seen: int | None) -> None:
        """Refuses what was decided while another version was live. It holds on inside `hold_lock` alone.

        Args:
            seen: The version that was live then; None: not compared.

        Raises:
            ServingError: Another one is live now.
        """
        live = model_versions.find_live_version(self.base)
        number = live[0] if live else None
        if seen not in (None, number):
            raise ServingError(
                f"Meanwhile version {number} is live: this was decided while version {seen} was.",
                "Nothing was changed. Look again, then decide.",
            )

    def promote(self, number: int, label: str, *, seen_live: int | None = None) -> int | None:
        """Gives a label to a version, and takes it from the one that had it.

        Args:
            number: The version.
            label: The label.
            seen_live: The version that was live when this was decided; None: not compared.

        Returns:
            The version that had the label.

        Raises:
            ServingError: There is no such version, it is damaged, the label is none that TensorFlow Serving's URLs can
                hold or names the candidate, or another version than `seen_live` is live.
        """
        is_number = model_versions.parse_version(label) is not None  # 0 too
        if is_number or not label.replace("_", "").replace("-", "").isalnum():
            raise ServingError(f"{label!r} is no label.", "Letters, digits, _ and -, such as stable or canary.")
        with self.hold_lock():
            self.check_live(seen_live)
            check_readable(self.get_version(number))
            current = self.load_state()
            current.check_free(label)
            self.change_state(current.with_label(label, number))
            return current.labels.get(label)

    def demote(self, label: str, *, seen_version: int | None = None) -> int:
        """Takes a label away from its version.

        Args:
            label: The label.
            seen_version: The version that had the label when this was decided; None: not compared.

        Returns:
            The version that had it.

        Raises:
            ServingError: There is no such label, it names the candidate, or another version than `seen_version` has it.
        """
        with self.hold_lock():
            current = self.load_state()
            if label not in current.labels:
                raise ServingError(
                    f"No version has the label {label!r}.", f"Labels: {', '.join(current.labels) or 'none'}."
                )
            current.check_free(label)
            if seen_version not in (None, current.labels[label]):
                raise ServingError(
                    f"Meanwhile version {current.labels[label]} has the label {label!r}: this was decided while "
                    f"version {seen_version} had it.",
                    "Nothing was changed. Look again, then decide.",
                )
            self.change_state(current.without_label(label))
            return current.labels[label]

    def retain_newest(self, keep: int) -> list[int]:
        """Takes away all but the newest `keep` versions, the live one and those that labels name.

        Versions that came as candidates and are none any more are not counted and go: a promotion has their bytes.

        Returns:
            The numbers that are gone.
        """
        with self.hold_lock():
            folders = model_versions.list_version_folders(self.base)
            ordinary = [each.number for each in self.list_versions() if each.live or not rollback.is_tried(each)]
            kept = {*ordinary[-max(keep, 1) :], *self.load_state().labels.values()}
            gone = [number for number in folders if number not in kept]
            for number in gone:
                # One rename first: a server never sees a version that is half there.
                durable_files.make_folder(self._trash)
                os.rename(folders[number], self._trash / f"{number}-{uuid.uuid4().hex}")  # noqa: PTH104
            durable_files.remove_tree(self._trash)
            return gone

    def write_server_files(self, contents: Mapping[str, bytes]) -> None:
        """Replaces files in `server/`, each whole. Unchanged ones are left alone."""
        with self.hold_lock():
            durable_files.make_folder(self.server_folder)
            for name, content in contents.items():
                path = self.server_folder / name
                if not path.exists() or path.read_bytes() != content:
                    durable_files.replace_file(path, content)

    @contextlib.contextmanager
    def hold_lock(self) -> Iterator[None]:
        """Holds the directory's lock, as every change does. Inside, call nothing that changes the directory: those
        methods take the lock themselves.

        Raises:
            ServingError: Another process holds the lock for too long, or the file system refuses something inside.
        """
        with hold_directory_lock(self.base, self._lock_timeout_seconds):
            yield

    # ---- below the lock ----

    def _find_refusal(self, digest: str) -> PushResult | None:
        live = self.find_live()
        number, path = (live.number, live.path) if live else (None, None)
        if live and get_version_digest(live) == digest and not find_changes(live):
            reason = f"the same model is live already, as version {number}"
            return PushResult(False, number, path, digest, reason, already_live=True)
        candidate = self.load_state().candidate
        if candidate and candidate.version in model_versions.list_version_folders(self.base):
            tried = self.get_version(candidate.version)
            if get_version_digest(tried) == digest and not find_changes(tried):
                reason = f"the same model is the candidate already, as version {tried.number}"
                return PushResult(False, tried.number, tried.path, digest, reason, candidate=candidate.policy)
        entry = self.load_state().quarantined.get(digest)
        if entry is None:
            return None
        why = f": {entry['reason']}" if entry.get("reason") else ""
        reason = f"a rollback took this model back (version {entry.get('version')}{why}); --force pushes it anyway"
        return PushResult(False, number, path, digest, reason)

    def _add_candidate(
        self,
        source: Path,
        digest: str,
        provenance: Mapping[str, Any],
        extra_files: Mapping[str, str | Path],
        trial: Trial,
        live: int,
    ) -> PushResult:
        """The version first, then the state that names it: killed in between, it is an older version like others."""
        number = choose_number(live, model_versions.list_version_folders(self.base), self.load_state().numbers)
        record = {**provenance, CANDIDATE_OF: live}
        result = self.add_version(source, digest, record, extra_files, f"a candidate ({trial.policy})", number)
        first = RolloutStep(trial.shares[0], self.clock(), "pushed")
        self.change_state(self.load_state().with_candidate(Candidate(number, trial.policy, trial.shares, (first,))))
        return dataclasses.replace(result, candidate=trial.policy)

    def add_version(
        self,
        source: Path,
        digest: str,
        provenance: Mapping[str, Any],
        extra_files: Mapping[str, str | Path],
        how: str,
        number: int | None = None,
    ) -> PushResult:
        """Copies a model, and makes the copy a version by one rename. Call it inside `hold_lock`.

        Args:
            source: Folder of the SavedModel.
            digest: Its digest, which the copy must have.
            provenance: Where the model comes from.
            extra_files: Name in `assets.extra/` to the file that becomes it.
            how: What is done, for the result's sentence.
            number: Number of the version; None: the next live one.

        Raises:
            ServingError: The disk is full, or the copy is not what was to be copied. No version came to be.
        """
        now = self.clock()
        number = max(int(now), check_number_left(self.base) + 1) if number is None else number
        record = {**provenance, "model_version": number, "digest": digest, "pushed_at": format_time(now)}
        staged = self._staging / uuid.uuid4().hex
        try:
            durable_files.make_folder(staged)
            check_disk_space(staged, (source, *map(Path, extra_files.values())))
            written = stage_model(source, staged, record, extra_files)
            verify_copy(staged, written, digest)
            target = self.base / str(number)
            # Before it exists: killed in between, a number is lost, but none is given twice.
            self.change_state(self.load_state().with_numbers(number, *model_versions.list_version_folders(self.base)))
            os.rename(staged, target)  # noqa: PTH104 - the one step that makes it a version
            durable_files.sync_path(self.base)
        except BaseException:
            with contextlib.suppress(OSError):  # the error itself matters more
                durable_files.remove_tree(self._staging)
            raise
        durable_files.remove_tree(self._staging)
        confirm_manifest(target, written)
        ahead = explain_future_number(number - 1, now)
        reason = f"{how}, as version {number}" + (f" ({ahead})" if ahead else "")
        return PushResult(True, number, target, digest, reason, record)

    def change_state(self, new: DirectoryState) -> None:
        """Replaces the state. Call it inside `hold_lock`."""
        if new != self.load_state():
            write_state(self._state_file, new)
