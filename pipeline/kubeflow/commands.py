"""What the command line does with Kubeflow: read, call, print."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from rich.table import Table

from components.errors import UsageError, close_matches
from pipeline import output
from pipeline.config import load
from pipeline.kubeflow import checks, compiler
from pipeline.run import make_importable

_MARKS = {"refused": "[bold red]refused[/]", "ignored": "[yellow]ignored[/]", "note": "note"}


def compile_to(file: Path, config: Path | None, overrides: Iterable[str], target: str) -> None:
    """Compiles, checks and writes.

    Raises:
        ConfigError: The target would refuse the pipeline.
        UsageError: The file is no YAML file, or cannot be written.
    """
    if file.suffix not in (".yaml", ".yml"):
        raise UsageError(f"{file} is not named *.yaml.", "Kubeflow Pipelines reads the format from the name.")
    compiled = _compiled(config, overrides, target)
    found = checks.require_accepted(compiled)
    _write(file, compiled.text)
    for finding in found:
        output.console(stderr=True).print(f"{_MARKS[finding.level]}: {output.plain(finding)}")
    output.console(stderr=True).print(f"Compiled for {target}: {output.plain(file)}")


def examine(config: Path | None, overrides: Iterable[str], target: str) -> list[checks.Finding]:
    """What the target would refuse or ignore.

    Raises:
        UsageError: There is no such target.
    """
    if target not in compiler.TARGETS:
        raise UsageError(f"--target {target!r} is not known.", close_matches(target, compiler.TARGETS))
    return checks.examine(_compiled(config, overrides, target))


def findings_table(findings: Iterable[checks.Finding]) -> Table:
    """The findings, one a line."""
    rows = [
        (
            _MARKS[f.level],
            f.node or "the pipeline",
            output.plain_lines(f"{f.problem} {f.remedy}".strip()),
            output.plain(f.source),
        )
        for f in findings
    ]
    return output.table("", ("", "node", "what", "source"), rows)


def _compiled(config: Path | None, overrides: Iterable[str], target: str) -> compiler.Compiled:
    configuration = load(config, overrides)
    make_importable(configuration)
    return compiler.compile_pipeline(configuration, target)  # type: ignore[arg-type]


def _write(file: Path, text: str) -> None:
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}.", "Name another file.") from error
