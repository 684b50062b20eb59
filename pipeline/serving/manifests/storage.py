"""Where the versions lie, as a server in a cluster names it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from taxiway.components.errors import UsageError

_ACCEPTED = "pvc://CLAIM/FOLDER (such as pvc://taxiway/serving/taxi), gs://BUCKET/FOLDER, s3://BUCKET/FOLDER"
_CLAIM = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")


@dataclass(frozen=True)
class Storage:
    """The folder whose children are the versions.

    Attributes:
        scheme: `pvc`, `gs` or `s3`.
        place: Name of the claim or of the bucket.
        folder: Path in it, without slashes at its ends; empty: the whole.
    """

    scheme: str
    place: str
    folder: str

    @property
    def uri(self) -> str:
        """The address as KServe writes it."""
        return f"{self.scheme}://{self.place}" + (f"/{self.folder}" if self.folder else "")

    @property
    def is_volume(self) -> bool:
        """Whether a server sees a push as it happens."""
        return self.scheme == "pvc"


def parse_storage(uri: str) -> Storage:
    """The parts of an address.

    Raises:
        UsageError: It is of another kind, or names nothing.
    """
    match = re.fullmatch(r"(pvc|gs|s3)://([^/\s?#]+)/?([^\s?#]*)", uri)
    if match is None or ".." in match[3].split("/"):
        raise UsageError(f"--storage {uri!r} is no address of a serving directory.", f"Accepted: {_ACCEPTED}.")
    if match[1] == "pvc" and not _CLAIM.fullmatch(match[2]):
        raise UsageError(f"--storage {uri!r}: {match[2]!r} is no name of a claim.", f"Accepted: {_ACCEPTED}.")
    return Storage(match[1], match[2], "/".join(part for part in match[3].split("/") if part))
