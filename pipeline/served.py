"""The serving directory as the command line shows it. Neither TFX nor TensorFlow is imported to list versions."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from components import servables
from components.errors import UsageError, close_matches
from components.serving import operations
from components.serving import predict as prediction
from components.serving.bulk import BulkResult
from components.serving.directory import ServingDirectory, Version
from components.serving.operations import Verified
from components.serving.predict import Scored
from pipeline import display, output, rows
from pipeline.layout import Root

DEFAULT_MODEL = "taxi"


def directory(root: str | Path, model: str | None = None) -> ServingDirectory:
    """The serving directory of a model.

    Args:
        root: The root, or its path.
        model: The model's name; where None the only one under the root, `taxi` where there are several.

    Raises:
        UsageError: There is no such model.
    """
    place = Root.at(root)
    known = models(place)
    name = model or (known[0] if len(known) == 1 else DEFAULT_MODEL)
    if name in known:
        return ServingDirectory(place.serving / name)
    if not known:
        raise UsageError(f"Nothing has been pushed under {place.path} yet.", "Make a run with: taxiway run")
    raise UsageError(f"There is no model {name!r} under {place.serving}.", close_matches(name, known))


def models(root: Root) -> list[str]:
    """Names of the models that have a version."""
    if not root.serving.is_dir():
        return []
    return sorted(folder.name for folder in root.serving.iterdir() if servables.version_folders(folder))


def versions(root: str | Path, model: str | None = None) -> list[Version]:
    """The versions of a model, newest first.

    Raises:
        UsageError: There is no such model.
    """
    return directory(root, model).versions()[::-1]


def notes(root: str | Path, model: str | None = None) -> list[str]:
    """What is odd about the numbers of a model's versions, a sentence each."""
    return directory(root, model).notes()


def as_json(version: Version) -> dict[str, Any]:
    """One version as JSON values."""
    return {
        "version": version.number,
        "live": version.live,
        "labels": list(version.labels),
        "quarantine": dict(version.quarantine) if version.quarantine else None,
        "path": str(version.path),
        "digest": version.digest,
        "bytes": version.total_bytes,
        "pushed_at": version.pushed_at,
        "provenance": dict(version.provenance),
    }


def table(found: Iterable[Version]) -> Table:
    """The versions as a table."""
    lines = [
        (
            str(version.number),
            _standing(version),
            output.plain(", ".join(version.labels)),
            output.moment(version.pushed_at),
            output.size(version.total_bytes),
            output.plain(version.provenance.get("variant") or "–"),
            output.plain(_quality(version.provenance) or "–"),
            _origin(version.provenance),
            version.digest.removeprefix("sha256:")[:12],
        )
        for version in found
    ]
    columns = ("version", "", "labels", "pushed", "size", "variant", "quality", "from", "digest")
    return output.table("", columns, lines, right=("size",))


def _standing(version: Version) -> str:
    """Live, quarantined, both (where it was made live again under its number) or nothing."""
    words = ["[green]live[/]"] if version.live else []
    return " ".join([*words, *(["[red]quarantined[/]"] if version.quarantine else [])])


def _quality(provenance: Mapping[str, Any]) -> str | None:
    value = provenance.get("quality")
    value = value.get("value") if isinstance(value, Mapping) else value
    return f"{provenance.get('metric', '')} {value:.4f}".strip() if isinstance(value, (int, float)) else None


def _origin(provenance: Mapping[str, Any]) -> str | None:
    if provenance.get("rollback_of"):
        return output.plain(f"rollback of {provenance['rollback_of']}")
    return output.plain(f"run {provenance['run_id']}") if provenance.get("run_id") else None


def rollback(root: str | Path, model: str | None, version: int | None, reason: str) -> dict[str, Any]:
    """Makes an earlier version live again.

    Returns:
        `version`, `path`, `reason`, `execution` (in ML Metadata) and `not_recorded` (why there is none).

    Raises:
        UsageError: There is no such model.
        ServingError: There is nothing to return to.
    """
    place = directory(root, model)
    made = operations.rollback(place, place.base.name, Root.at(root).metadata, version, reason)
    return {
        "version": made.result.version,
        "path": str(made.result.path),
        "reason": made.result.reason,
        "execution": made.execution,
        "not_recorded": made.not_recorded,
    }


def promote(root: str | Path, model: str | None, version: int, label: str) -> None:
    """Gives a label to a version.

    Raises:
        UsageError: There is no such model.
        ServingError: There is no such version, or it is no label.
    """
    place = directory(root, model)
    operations.promote(place, place.base.name, version, label)


def verify(folder: Path) -> Verified:
    """Checks a SavedModel anywhere; see `operations.verify`."""
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}.", "Name a version's folder, or a copy of one.")
    with tempfile.TemporaryDirectory(prefix="taxiway-") as logs, display.quiet(Path(logs, "log.txt")):
        return operations.verify(folder)  # it reads protos through TensorFlow, which has much to say


def verified_text(folder: Path, found: Verified) -> str:
    """What `taxiway verify` prints."""
    if found.ok:
        against = "every byte as it was pushed" if found.has_manifest else "no manifest, so only its operations"
        return f"[green]ok[/] {output.plain(folder)}: {against}\ndigest {found.digest}"
    problems = "\n".join(f"  {output.plain_lines(problem)}" for problem in found.problems)
    return f"[red]bad[/] {output.plain(folder)}:\n{problems}"


def predict(
    root: str | Path,
    model: str | None,
    version: int | None,
    file: Path | None,
    limit: int | None,
    allowed_ops: Sequence[str] = (),
) -> Scored:
    """Scores rows with one version, in a process of its own.

    Args:
        root: The root.
        model: The model's name; see `directory`.
        version: None: the live one.
        file: Rows; None or `-`: standard input.
        limit: Most rows; None: all.
        allowed_ops: TensorFlow ops allowed beside the list.

    Raises:
        UsageError: There is no such model.
        DataError: Rows that cannot be read.
        ServingError: There is no such version, or it cannot be loaded.
    """
    base = directory(root, model).base
    with rows.source(file, limit) as source:
        return prediction.predict(base, source, version=version, allowed_ops=allowed_ops)


def predict_by_server(
    url: str,
    root: str | Path,
    model: str | None,
    version: int | None,
    label: str,
    file: Path | None,
    limit: int | None,
) -> Scored:
    """Scores rows by asking a server of TensorFlow Serving's API.

    Args:
        url: Of its REST API.
        root: Where the version may lie too, with the rules by which its training read rows.
        model: The model's name there; None: the only one under the root, else `taxi`.
        version: Ask this version.
        label: Or the one with this label; neither: the latest.
        file: Rows; None or `-`: standard input.
        limit: Most rows; None: all.

    Raises:
        ServingError: No server answers, or it answers with an error.
        DataError: Rows that cannot be read, or do not fit the model.
    """
    from components.serving import remote

    known = models(Root.at(root))
    name = model or (known[0] if len(known) == 1 else DEFAULT_MODEL)
    base = Root.at(root).serving / name
    with rows.source(file, limit) as source:
        return remote.predict(url, name, source, version=version, label=label, serving_directory=base)


def score_files(
    root: str | Path,
    model: str | None,
    version: int | None,
    file: Path | None,
    to: Path,
    allowed_ops: Sequence[str] = (),
) -> BulkResult:
    """Scores a file or a glob in bulk on Beam.

    Raises:
        UsageError: No file, or no such model.
        ServingError: There is no such version, or it cannot be loaded.
        DataError: The files cannot be read, or do not fit the model.
    """
    from components.serving import bulk

    if file is None or str(file) == "-":
        raise UsageError("Bulk scoring reads files, not standard input.", "Name a file, or a glob in quotes.")
    return bulk.score_files(directory(root, model).base, str(file), to, version=version, allowed_ops=allowed_ops)


def answers_table(scored: Scored) -> Table:
    """One line a row, one column an output."""
    columns = list(scored.answers[0]) if scored.answers else []
    lines = [(number, *(_cell(answer[c]) for c in columns)) for number, answer in enumerate(scored.answers, start=1)]
    made = output.table(f"version {scored.version}", ("row", *columns), lines, right=("row", *columns))
    if scored.ignored:
        made.caption = output.plain(f"not used by the model: {', '.join(scored.ignored)}")
        made.caption_justify = "left"
    return made


def _cell(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return _cell(value[0]) if len(value) == 1 else " ".join(_cell(part) for part in value)
    return f"{value:.6g}" if isinstance(value, float) else output.plain(value)
