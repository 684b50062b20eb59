"""The look at a version before anything loads it: who can write into a serving directory could run a program else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from components.errors import ServingError
from components.serving import manifest, ops

_SHOWN = 5


def check_loadable(folder: str | Path, allowed_ops: Iterable[str] = ()) -> None:
    """Refuses what may not be loaded: its names, its ops, and, where a push of ours made it, its bytes.

    Args:
        folder: Of a version. Nothing in it is run.
        allowed_ops: Ops allowed beside the list; see `ops.check_folder`.

    Raises:
        ServingError: It may not be loaded, is no SavedModel, or holds a symbolic link.
    """
    problems = ops.check_folder(folder, allowed_ops)
    stored = manifest.read_manifest(Path(folder))
    if stored and not problems:
        problems = manifest.differences(Path(folder), stored)
    if problems:
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise ServingError(
            f"{folder} is not loaded: {'; '.join(problems[:_SHOWN])}{more}.",
            "Push it again, or name another version. An op of your own layers is allowed by --allow-op OP; ops that "
            "touch files, Python or other machines never are.",
        )
