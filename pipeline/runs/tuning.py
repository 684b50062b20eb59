"""The pipeline up to its node Tuner, and what the search found."""

from __future__ import annotations

import json as json_module
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from taxiway.components.files.versioned_report import TUNING_REPORT
from taxiway.components.training.hyperparameters import encode_value, read_value
from taxiway.pipeline.config import PipelineConfig, load_config
from taxiway.pipeline.console import printing
from taxiway.pipeline.exit_codes import EXIT_FAILED, EXIT_LIVE
from taxiway.pipeline.root import DEFAULT_ROOT, Root
from taxiway.pipeline.runs import interruption
from taxiway.pipeline.runs.execute import execute_run
from taxiway.pipeline.runs.request import RunRequest
from taxiway.pipeline.tracking.artifact_files import find_file
from taxiway.pipeline.tracking.run_record import RunRecord
from taxiway.pipeline.tracking.store.metadata_store import RunStore

NODE, OUTPUT, FILE = "Tuner", "tuner_results", "trials.json"


def run_search(
    config: Path | None, root: Path, overrides: Sequence[str], *, wait: bool = True, json: bool = False
) -> int:
    """Searches, and prints the best settings beside the configured ones.

    Args:
        config: Configuration file; None: the taxi example.
        root: Root under which the run writes; the trials of a search that was interrupted are there.
        overrides: Changes of the configuration, `tuning.enabled=true` among them.
        wait: Whether to wait for another run on the root.
        json: Print JSON on standard output, and nothing else there.

    Returns:
        The exit code, as of a run.

    Raises:
        TaxiwayError: No run has begun.
    """
    request = RunRequest(config=config, root=root, overrides=tuple(overrides), to_node=NODE, wait=wait, json=json)
    run = execute_run(request, interruption.exit_if_interrupted)
    report = read_report(Root.at(root), run)
    if report and json:
        printing.print_json(report)
    elif report:
        print_best(report, load_config(config, overrides), _make_next_command(config, root, overrides))
    return EXIT_LIVE if report else run.exit_code or EXIT_FAILED


def read_report(root: Root, run: RunRecord) -> dict[str, Any]:
    """The trials that a run's Tuner wrote or took from the cache; empty where it did not get so far."""
    store = RunStore.open_root(root)
    executions = {execution.node: execution for execution in store.list_run_executions(run.run_id)}
    if NODE not in executions:
        return {}
    found = [each for each in store.list_outputs(executions[NODE].id) if each.key == OUTPUT]
    file = find_file(found[0].uri, FILE) if found else None
    return dict(TUNING_REPORT.read_report(file)) if file and file.is_file() else {}


def print_best(report: Mapping[str, Any], config: PipelineConfig, command: str) -> None:
    """Prints the best settings, and how to train with them."""
    console = printing.make_console()
    rows = [
        (name, _show(encode_value(read_value(config.model, config.training, name))), _show(value))
        for name, value in sorted(report["settings"].items())
    ]
    title = f"Trial {report['best']} of {report['trials']}: {report['metric']} {report['value']:.4g} on the eval split"
    console.print(printing.make_table(title, ("setting", "configured", "best"), rows, ("configured", "best")))
    console.print(f"Train with them: {command}", soft_wrap=True, markup=False)


def _show(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else json_module.dumps(value).strip('"')


def _make_next_command(config: Path | None, root: Path, overrides: Sequence[str]) -> str:
    words = ["taxiway", "run", *([str(config)] if config else [])]
    words += ["--root", str(root)] if root != DEFAULT_ROOT else []
    return shlex.join([*words, *(word for override in overrides for word in ("--set", override))])
