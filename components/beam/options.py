"""Options of Apache Beam that every pipeline of ours has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import apache_beam as beam

IN_THIS_PROCESS = "--allow_unsafe_triggers"
"""Keeps Beam's direct runner in this process. Since Beam 2.66 it gives what it can to Prism: a program that it
downloads from a release page, without a digest, and starts; where that fails it works here after all. No option of Beam
says no to it; but with this one it takes no pipeline (`apache_beam/runners/direct/direct_runner.py`). Else the option
lifts a check of triggers, of which a pipeline of files has none. Other runners are as they were.
"""
BEAM_OPTIONS = ("--direct_running_mode=in_memory", "--direct_num_workers=1", IN_THIS_PROCESS)
"""One process: every further Beam worker imports TensorFlow again."""
NOTHING_TO_STAGE = "--sdk_container_image=none"
"""Where workers have the code already, in this process, in a pool or in their image, TFX need not build a package of
itself for them, which it does for every step (1.4 s each, tfx#3435) unless an option says where they find it."""


def find_option(options: Sequence[str], name: str) -> str:
    """The value of `--name=value`, the last where there are several, as Beam takes it; empty where there is none."""
    prefix = f"--{name}="
    return next((option.removeprefix(prefix) for option in reversed(options) if option.startswith(prefix)), "")


def runs_on_engine(pipeline: beam.Pipeline) -> bool:
    """Whether a pipeline would run elsewhere than in this process."""
    from apache_beam.options.pipeline_options import StandardOptions  # Beam is loaded where there is a pipeline

    return uses_engine([f"--runner={pipeline.options.view_as(StandardOptions).runner or ''}"])


def uses_engine(options: Sequence[str]) -> bool:
    """Whether the options name a runner that works elsewhere than in this process."""
    runner = find_option(options, "runner").rpartition(".")[2]
    return runner.removesuffix("Runner") not in ("", "Direct", "BundleBasedDirect", "SwitchingDirect", "FnApi")
