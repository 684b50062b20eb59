"""The folders and files under a root. Nothing heavy is imported here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from taxiway.components.errors import UsageError

_URL = re.compile(r"(gs|s3|minio|hdfs|https?):/")
"""A `Path` made of it has one slash."""
DEFAULT_ROOT = Path("taxiway-root")


@dataclass(frozen=True)
class Root:
    """The folder that holds everything a run writes."""

    path: Path

    @classmethod
    def at(cls, path: str | Path) -> Root:
        """The root at `path`, made absolute: artifacts carry absolute URIs.

        Raises:
            UsageError: It is a URL.
        """
        if _URL.match(str(path)):
            raise UsageError(
                f"The root {str(path)!r} is no folder of a file system.",
                "Give a folder. An object store can hold data, a cluster's artifacts and copies of pushed versions "
                "(docs/object-stores.md).",
            )
        return cls(Path(path).expanduser().resolve())

    @property
    def metadata(self) -> Path:
        return self.path / "metadata.db"

    @property
    def artifacts(self) -> Path:
        return self.path / "artifacts"

    @property
    def serving(self) -> Path:
        return self.path / "serving"

    @property
    def statistics(self) -> Path:
        """Training statistics of the data that passed the gate, by model."""
        return self.path / "statistics"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def runs(self) -> Path:
        return self.path / "runs"

    @property
    def reports(self) -> Path:
        return self.path / "reports"

    @property
    def monitoring(self) -> Path:
        """Verdicts on served versions, by model; see `taxiway.pipeline.monitoring.verdicts`."""
        return self.path / "monitoring"

    @property
    def watch(self) -> Path:
        """What `taxiway watch` knows and has begun, by model; see `taxiway.pipeline.watching.state`."""
        return self.path / "watch"

    @property
    def temporary(self) -> Path:
        """Temporary files of the run that works here now; see `taxiway.pipeline.runs.on_disk.temporary_files`."""
        return self.path / ".tmp"

    def run_folder(self, run_id: str) -> Path:
        """The folder of one run: config.yaml, log.txt, progress.jsonl, summary.json."""
        return self.runs / run_id
