"""`taxiway compile` and `taxiway doctor --target`: load the configuration, compile, check, print."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from rich.table import Table

from taxiway.components.errors import ConfigError, UsageError, suggest_matches
from taxiway.components.files.durable_files import replace_file
from taxiway.pipeline.config import load_config
from taxiway.pipeline.console import printing
from taxiway.pipeline.kubeflow import checks, compiler
from taxiway.pipeline.user_modules import make_importable

_MARKS = {"refused": "[bold red]refused[/]", "ignored": "[yellow]ignored[/]", "note": "note"}


def compile_to_file(file: Path, config: Path | None, overrides: Iterable[str], target: str) -> None:
    """Compiles, checks and writes.

    Raises:
        ConfigError: The target would refuse the pipeline.
        UsageError: The file is no YAML file, or cannot be written.
    """
    if file.suffix not in (".yaml", ".yml"):
        raise UsageError(f"{file} is not named *.yaml.", "Kubeflow Pipelines reads the format from the name.")
    compiled = _compile_config(config, overrides, target)
    findings = _require_accepted(compiled, config)
    _write_compiled(file, compiled.text)
    for finding in findings:
        printing.make_console(stderr=True).print(f"{_MARKS[finding.level]}: {printing.escape_markup(finding)}")
    printing.make_console(stderr=True).print(f"Compiled for {target}: {printing.escape_markup(file)}")


def _require_accepted(compiled: compiler.CompiledPipeline, config: Path | None) -> list[checks.TargetFinding]:
    """As `checks.require_accepted`; one that was not made for a cluster is told the command that mends it."""
    kubeflow = compiled.config.resources.kubeflow
    try:
        return checks.require_accepted(compiled)
    except ConfigError as error:
        if compiled.target != "kfp" or (kubeflow.image and kubeflow.default.volumes):
            raise
        words = ["taxiway", "compile", *([str(config)] if config else []), "--write-resources"]
        command = f"{shlex.join(words)} --image IMAGE --claim CLAIM"
        remedy = f"It names no image and no volume of a cluster yet; this writes both into the configuration: {command}"
        raise ConfigError(error.problem, remedy) from error


def examine_target(config: Path | None, overrides: Iterable[str], target: str) -> list[checks.TargetFinding]:
    """What the target would refuse or ignore.

    Raises:
        UsageError: There is no such target.
    """
    if target not in compiler.TARGETS:
        raise UsageError(f"--target {target!r} is not known.", suggest_matches(target, compiler.TARGETS))
    return checks.examine_pipeline(_compile_config(config, overrides, target))


def make_findings_table(findings: Iterable[checks.TargetFinding]) -> Table:
    """The findings, one a line."""
    rows = [
        (
            _MARKS[f.level],
            f.node or "the pipeline",
            printing.escape_lines(f"{f.problem} {f.remedy}".strip()),
            printing.escape_markup(f.source),
        )
        for f in findings
    ]
    return printing.make_table("", ("", "node", "what", "source"), rows)


def _compile_config(config: Path | None, overrides: Iterable[str], target: str) -> compiler.CompiledPipeline:
    configuration = load_config(config, overrides)
    make_importable(configuration)
    return compiler.compile_for_target(configuration, target)  # type: ignore[arg-type]


def _write_compiled(file: Path, text: str) -> None:
    try:
        replace_file(file, text)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}.", "Name another file.") from error
