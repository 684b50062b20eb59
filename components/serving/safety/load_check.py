"""Checks a SavedModel before anything loads it: a SavedModel can run a program on this machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from taxiway.components.errors import ServingError
from taxiway.components.saved_models import manifest
from taxiway.components.saved_models.manifest import Manifest
from taxiway.components.serving.safety import allowed_ops as ops
from taxiway.components.text.lists import join_first

_SHOWN = 5


@dataclass(frozen=True)
class VerifyResult:
    """The result of `verify_model`.

    Attributes:
        digest: Digest of the model; empty where something is wrong.
        problems: Sentences, one for each reason not to load it; empty when it may be served.
        has_manifest: A push of ours made it, so that every byte could be compared.
    """

    digest: str
    problems: list[str]
    has_manifest: bool

    @property
    def ok(self) -> bool:
        return not self.problems


def verify_model(folder: str | Path, also_allowed: Iterable[str] = ()) -> VerifyResult:
    """Checks a SavedModel as a program, and its bytes against its manifest where it has one. Nothing is loaded.

    Args:
        folder: Folder of the SavedModel; a version, or a copy of one on any machine.
        also_allowed: Ops allowed beside the list; see `allowed_ops.check_saved_model`.

    Raises:
        ServingError: It is no SavedModel, or holds a symbolic link.
    """
    problems, stored = _find_problems(Path(folder), also_allowed)
    return VerifyResult(manifest.digest_folder(folder) if not problems else "", problems, stored is not None)


def check_loadable(folder: str | Path, also_allowed: Iterable[str] = ()) -> None:
    """Refuses what may not be loaded: its names, its ops, and, where a push of ours made it, its bytes.

    Args:
        folder: Folder of a version. Nothing in it is run.
        also_allowed: Ops allowed beside the list; see `allowed_ops.check_saved_model`.

    Raises:
        ServingError: It may not be loaded, is no SavedModel, or holds a symbolic link.
    """
    problems, _ = _find_problems(Path(folder), also_allowed)
    if problems:
        raise ServingError(
            f"{folder} is not loaded: {join_first(problems, _SHOWN, separator='; ')}.",
            "Push it again, or name another version. An op of your own layers is allowed by --allow-op OP; ops that "
            "touch files, Python or other machines never are.",
        )


def _find_problems(folder: Path, also_allowed: Iterable[str]) -> tuple[list[str], Manifest | None]:
    """What is wrong, one sentence each, and the manifest, if there is one."""
    problems = ops.check_saved_model(folder, also_allowed)
    stored = manifest.read_manifest(folder)
    return problems + (manifest.find_differences(folder, stored) if stored else []), stored
