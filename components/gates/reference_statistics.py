"""Training statistics of the data that passed the gate, kept for later runs to be compared with.

They lie under the root, `statistics/<model>/<span>-<fingerprint>.pb`: ML Metadata is not reachable from a step on
Kubeflow Pipelines, a folder on the volume that holds the serving directory is. The live version's provenance names the
fingerprint of its data, and so finds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError
from tensorflow_metadata.proto.v0 import statistics_pb2

from taxiway.components.errors import DataError, ServingError
from taxiway.components.files.digests import hash_file
from taxiway.components.files.durable_files import replace_file
from taxiway.components.saved_models import manifest, model_versions


@dataclass(frozen=True)
class DataId:
    """Which data: the number of its span (0 without spans) and the fingerprint of its content."""

    span: int
    fingerprint: str

    @property
    def file_name(self) -> str:
        return f"{self.span}-{self.fingerprint}.pb"


@dataclass(frozen=True)
class ReferenceStatistics:
    """The statistics that a comparison is made with.

    Attributes:
        what: The reference in words, such as `span 3`.
        file: The kept statistics; None where there are none.
        why: The reason why there are none; empty where there are.
    """

    what: str
    file: Path | None
    why: str = ""

    def hash_content(self) -> str:
        """Of the statistics' bytes; empty where there are none."""
        return hash_file(self.file) if self.file else ""

    def read_statistics(self) -> statistics_pb2.DatasetFeatureStatisticsList:
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


def keep_statistics(folder: Path, data: DataId, statistics: statistics_pb2.DatasetFeatureStatisticsList) -> Path:
    """Writes the training statistics of data that passed; whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / data.file_name, statistics.SerializeToString(deterministic=True))
    return folder / data.file_name


def find_previous_reference(folder: Path, span: int) -> ReferenceStatistics:
    """The nearest span before `span` that passed; of several contents of one span, the one that passed last.

    Files that `keep_statistics` did not name are left out.
    """
    kept = ((_parse_span(file), file) for file in folder.glob("*.pb"))
    earlier = [(found, file.stat().st_mtime_ns, file) for found, file in kept if found is not None and found < span]
    if not earlier:
        return ReferenceStatistics("the previous span", None, f"no span before {span} has passed this gate yet")
    number, _, file = max(earlier)
    return ReferenceStatistics(f"span {number}", file)


def _parse_span(file: Path) -> int | None:
    number, dash, _ = file.name.partition("-")
    return int(number) if dash and number.isdecimal() else None


def find_live_reference(folder: Path, serving_directory: Path) -> ReferenceStatistics:
    """What the live version was trained on."""
    live = model_versions.find_live_version(serving_directory)
    if live is None:
        return ReferenceStatistics("the live version", None, "nothing is live yet")
    return find_version_reference(folder, live[1], f"the training data of the live version {live[0]}")


def find_version_reference(folder: Path, version: Path, what: str) -> ReferenceStatistics:
    """What a version was trained on.

    Args:
        folder: Folder of the kept statistics.
        version: Folder of the version.
        what: The reference in words.
    """
    fingerprint = _read_data_fingerprint(version)
    if not fingerprint:
        return ReferenceStatistics(what, None, "its provenance names no data")
    files = sorted(folder.glob(f"*-{fingerprint}.pb"))
    return (
        ReferenceStatistics(what, files[-1])
        if files
        else ReferenceStatistics(what, None, f"{folder} holds no statistics of it")
    )


def _read_data_fingerprint(version: Path) -> str:
    try:
        return str(manifest.read_provenance(version)["data"]["input_fingerprint"])
    except (ServingError, KeyError, TypeError):
        return ""  # a folder that another program put there
