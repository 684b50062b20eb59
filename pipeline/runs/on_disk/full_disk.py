"""A run that fails because the disk under its root is full says so, whatever the library that met it says."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator

from taxiway.components.errors import TaxiwayError
from taxiway.pipeline.root import Root
from taxiway.pipeline.runs.recorder import describe_error
from taxiway.pipeline.runs.request import RunRequest
from taxiway.pipeline.tracking import unrecorded_pushes

LITTLE_BYTES = 1 << 18
"""With less than this free, a failure to write comes from the disk."""


class FullDiskError(TaxiwayError):
    """The disk under the root has no room."""


@contextlib.contextmanager
def explain_full_disk(root: Root, request: RunRequest) -> Iterator[None]:
    """Turns an error of the block into a `FullDiskError` where the disk is full, which no summary can say then."""
    try:
        yield
    except Exception as error:
        full = make_full_disk_error(error, root, request)
        if full is None:
            raise
        raise full from error


def make_full_disk_error(error: Exception, root: Root, request: RunRequest) -> TaxiwayError | None:
    """The error as a `FullDiskError`; None where the disk has room, or the error says so already."""
    free = shutil.disk_usage(root.path).free
    if free >= LITTLE_BYTES or isinstance(error, (FullDiskError, unrecorded_pushes.NotRecordedError)):
        return None
    return FullDiskError(
        f"The disk that holds the root {root.path} is full ({free:,} bytes are free): {describe_error(error)}",
        f"Free some space (`taxiway gc` removes what no run needs), then: {request.make_resume_command()}",
    )
