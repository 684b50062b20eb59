"""The request for one run, and the command line that repeats it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from taxiway.pipeline.root import DEFAULT_ROOT

if TYPE_CHECKING:
    from taxiway.pipeline.config import PipelineConfig

Orchestrator = Literal["local", "beam"]
"""Which runner takes the nodes through the pipeline: see `taxiway.pipeline.runs.launching.runners`."""


@dataclass(frozen=True)
class RunRequest:
    """The options of one run, from the command line or from Python; see `taxiway run --help`."""

    config: Path | None = None
    settings: PipelineConfig | None = None
    """A configuration made in Python, in place of the file."""
    root: Path = DEFAULT_ROOT
    overrides: tuple[str, ...] = ()
    from_node: str | None = None
    to_node: str | None = None
    cache: bool = True
    force: bool = False
    wait: bool = True
    orchestrator: Orchestrator = "local"
    json: bool = False
    quiet: bool = False
    """Whether nothing is shown; the log has what is printed."""
    profile: bool = False
    """Whether the run's processes record what they do: see `taxiway.pipeline.runs.profiling`."""
    started_by: str = ""
    """Who or what started it, where that was told; it goes into the record, not into the command that repeats it."""
    whole_process: bool = False
    """Whether the process does nothing but this run, as on the command line."""

    @property
    def is_full_run(self) -> bool:
        """Every node is to run as far as the cache has no answer: nothing less, nothing more."""
        return self.cache and not self.from_node and not self.to_node

    def to_arguments(self) -> list[str]:
        """The request as it is typed after `taxiway`."""
        file = self.settings.source if self.settings else self.config
        words = ["run", *([str(file)] if file else [])]
        words += ["--root", str(self.root)] if self.root != DEFAULT_ROOT else []
        for override in self.overrides:
            words += ["--set", override]
        words += ["--from", self.from_node] if self.from_node else []
        words += ["--to", self.to_node] if self.to_node else []
        words += [] if self.cache else ["--no-cache"]
        words += ["--force"] if self.force else []
        words += ["--profile"] if self.profile else []
        words += ["--orchestrator", self.orchestrator] if self.orchestrator != "local" else []
        return words

    def make_resume_command(self) -> str:
        """The command that goes on: what is complete is reused, so it is the same one with the cache."""
        if self.settings and not self.settings.source:
            return "the same taxiway.run(...) in Python"
        return shlex.join(["taxiway", *(word for word in self.to_arguments() if word != "--no-cache")])
