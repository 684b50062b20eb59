"""Training statistics of the data that passed the gate, kept for later runs to be compared with.

They lie under the root, `statistics/<model>/<span>-<fingerprint>.pb`: ML Metadata is not reachable from a step on
Kubeflow Pipelines, a folder on the volume that holds the serving directory is. The live version's provenance names the
fingerprint of its data, and so finds them.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError
from tensorflow_metadata.proto.v0 import statistics_pb2

from components import servables
from components.errors import DataError

_PROVENANCE = "assets.extra/provenance.json"


@dataclass(frozen=True)
class DataId:
    """Which data: the number of its span (0 without spans) and the fingerprint of its content."""

    span: int
    fingerprint: str

    @property
    def file_name(self) -> str:
        return f"{self.span}-{self.fingerprint}.pb"


@dataclass(frozen=True)
class Reference:
    """What a comparison is made with.

    Attributes:
        what: In words, such as `span 3`.
        file: The kept statistics; None where there are none.
        why: Why there are none; empty where there are.
    """

    what: str
    file: Path | None
    why: str = ""

    def digest(self) -> str:
        """Of the statistics' bytes; empty where there are none."""
        return hashlib.sha256(self.file.read_bytes()).hexdigest() if self.file else ""

    def statistics(self) -> statistics_pb2.DatasetFeatureStatisticsList:
        """The kept statistics.

        Raises:
            DataError: The file is damaged.
        """
        if self.file is None:
            raise ValueError(self.why)
        try:
            return statistics_pb2.DatasetFeatureStatisticsList.FromString(self.file.read_bytes())
        except (DecodeError, OSError) as error:
            raise DataError(
                f"The statistics of {self.what} in {self.file} cannot be read: {error}.",
                "Delete the file: this run then compares with nothing, and the next one with this run's data.",
            ) from error


def keep(folder: Path, data: DataId, statistics: statistics_pb2.DatasetFeatureStatisticsList) -> Path:
    """Writes the training statistics of data that passed; whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{data.file_name}.{os.getpid()}.tmp"
    temporary.write_bytes(statistics.SerializeToString(deterministic=True))
    return temporary.replace(folder / data.file_name)


def of_previous_span(folder: Path, span: int) -> Reference:
    """The nearest span before `span` that passed; of several contents of one span, the one that passed last."""
    earlier = [(_span(file), file.stat().st_mtime_ns, file) for file in folder.glob("*.pb") if _span(file) < span]
    if not earlier:
        return Reference("the previous span", None, f"no span before {span} has passed this gate yet")
    number, _, file = max(earlier)
    return Reference(f"span {number}", file)


def _span(file: Path) -> int:
    return int(file.name.partition("-")[0])


def of_live(folder: Path, serving_directory: Path) -> Reference:
    """What the live version was trained on."""
    live = servables.live_version(serving_directory)
    if live is None:
        return Reference("the live version", None, "nothing is live yet")
    what = f"the training data of the live version {live[0]}"
    fingerprint = _trained_on(live[1])
    if not fingerprint:
        return Reference(what, None, "its provenance names no data")
    files = sorted(folder.glob(f"*-{fingerprint}.pb"))
    return Reference(what, files[-1]) if files else Reference(what, None, f"{folder} holds no statistics of it")


def _trained_on(version: Path) -> str:
    try:
        provenance = json.loads((version / _PROVENANCE).read_bytes())
        return str(provenance["data"]["input_fingerprint"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""  # a folder that another program put there
