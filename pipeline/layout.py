"""Where everything is under a root. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_ROOT = Path("taxiway-root")


@dataclass(frozen=True)
class Root:
    """The folder that holds everything a run writes."""

    path: Path

    @classmethod
    def at(cls, path: str | Path) -> Root:
        """The root at `path`, made absolute: artifacts carry absolute URIs."""
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
    def temporary(self) -> Path:
        """Temporary files of the run that works here now; see `pipeline.temporary_files`."""
        return self.path / ".tmp"

    def run(self, run_id: str) -> Path:
        """The folder of one run: config.yaml, log.txt, progress.jsonl, summary.json."""
        return self.runs / run_id
