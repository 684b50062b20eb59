"""Verdicts on served versions, as they lie under a root: `<root>/monitoring/<model>/<verdict id>/verdict.json`.

Nothing heavy is imported here: neither TFX nor TensorFlow.
"""

from __future__ import annotations

import datetime
import glob
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from taxiway.components.config_section import Section
from taxiway.components.errors import StoreError
from taxiway.components.files.durable_files import make_folder, replace_file
from taxiway.components.files.versioned_report import SERVING_VERDICT
from taxiway.components.monitoring.findings import Kind
from taxiway.pipeline.root import Root

VERDICT_FILE = "verdict.json"
STATISTICS_FILE = "statistics.pb"
"""TFDV's statistics of the window, which the next window is compared with."""
PAGE_FILE = "page.html"
VERDICT_ID = re.compile(r"\d{8}T\d{6}Z-(\d+)-[0-9a-f]+")
"""Of a verdict's folder, with its version; see `ServingVerdict.verdict_id`."""
Status = Literal["right", "wrong", "too_few_rows"]
LABEL_KINDS = ("label_shift", "calibration", "metric")
"""Kinds of findings that need labels."""


class MonitoringFinding(Section):
    """One thing that is not as it was in training, with the numbers."""

    kind: Kind
    column: str = ""
    """The column; empty for scores and metrics."""
    value: float
    """What was measured: a share, a distance, a metric."""
    limit: float
    """The most (of a metric: the worst) that is allowed."""
    by_chance: float = 0.0
    """What rows of the training distribution reach by chance."""
    blocking: bool = True
    """Whether it makes the verdict wrong; what chance explains does not."""
    text: str
    """What a person reads."""


class LiveMetric(Section):
    """A metric on the window's rows whose labels came later, beside what was promised when the version was pushed."""

    metric: str
    promised: float | None = None
    """On the split that judged the version; None where its push recorded none."""
    promised_interval: tuple[float, float] | None = None
    """95 %, of `promised`; None where the push does not say on how many rows, or where `live` has none."""
    promised_rows: int = 0
    live: float
    interval: tuple[float, float] | None = None
    """95 %, of `live`; None where the rows are too few for one."""
    change: float | None = None
    """`live` less `promised`."""
    change_interval: tuple[float, float] | None = None
    """95 %, of `change`."""
    rows: int
    is_worse: bool = False
    """Whether it is worse than promised by more than is allowed, and chance does not explain it."""
    note: str = ""
    """Why there is no interval, or nothing to compare with."""


class ServingVerdict(Section):
    """Whether a served version is still right, judged by one window of its requests."""

    version: Literal[1] = 1
    """Of this format."""
    model: str
    model_version: int
    """The served version."""
    digest: str = ""
    """Of the version's model."""
    created: float
    """When it was judged; seconds since 1970, as the two below."""
    window_start: float
    window_end: float
    requests: int
    rows: int
    """Logged rows of the version in the window."""
    fewest_rows: int
    """With fewer nothing is judged."""
    options: tuple[str, ...] = ()
    """Options of `taxiway monitor` that set it apart from the standing settings, such as `--set min_rows=50`."""
    standing: bool = True
    """Whether `taxiway watch` and `taxiway promote --auto` act on it: made by the standing settings, or said to be."""
    status: Status
    findings: tuple[MonitoringFinding, ...] = ()
    """Blocking ones first."""
    not_judged: dict[str, str] = Field(default_factory=dict)
    """Columns (or `scores`, `labels`) that were not judged, and why."""
    performance: tuple[LiveMetric, ...] = ()
    """Empty without labels."""
    unreadable_files: dict[str, str] = Field(default_factory=dict)
    """Files of the log that were skipped, or not read to their end, and why: the first 20 of
    `numbers["sources"]["unreadable_files"]`."""
    notes: tuple[str, ...] = ()
    """What else a person must know, such as labels that found no row."""
    numbers: dict[str, Any] = Field(default_factory=dict)
    """`columns`: by column, what was measured; `sources`: what was read; `reference`: what it was compared with."""

    @property
    def verdict_id(self) -> str:
        """Name of its folder: end of the window, version, moment of the judgement. Names sort by time."""
        end = datetime.datetime.fromtimestamp(self.window_end, datetime.UTC)
        return f"{end:%Y%m%dT%H%M%SZ}-{self.model_version}-{int(self.created * 1000):x}"

    def is_about(self, digest: str) -> bool:
        """Whether it is on a version of this model. It is where one of them has no digest: the number is then all there
        is."""
        return not self.digest or not digest or self.digest == digest

    def list_log_notes(self) -> list[str]:
        """What a person must know of the log, each a sentence: damage and strangers, and what else it holds where it
        holds too little."""
        sources = self.numbers.get("sources", {})
        count = sources.get("unreadable_files", 0)
        lines = (
            [f"{count:,} file{'' if count == 1 else 's'} of the log cannot be read, or not to the end"] if count else []
        )
        lines += [f"{file}: {why}" for file, why in self.unreadable_files.items()]
        lines += (
            [f"and {count - len(self.unreadable_files):,} more files"] if count > len(self.unreadable_files) else []
        )
        records = sources.get("records", {})
        if records.get("damaged"):
            lines.append(f"{records['damaged']:,} records of the log are damaged")
        if self.status == "too_few_rows":
            lines += _describe_left_out(sources)
        return lines

    @property
    def is_wrong_by_labels(self) -> bool:
        """Whether something is wrong that only labels tell: a window without them says nothing of it."""
        return any(finding.blocking and finding.kind in LABEL_KINDS for finding in self.findings)

    @property
    def origin(self) -> str:
        """How it was made, where nothing acts on it; else empty."""
        if self.standing:
            return ""
        return f"made with {' '.join(self.options)}, so that nothing acts on it (--standing lets it count)"

    @property
    def reason(self) -> str:
        """One sentence."""
        if self.status == "too_few_rows":
            return f"{self.rows:,} rows were logged in the window, at least {self.fewest_rows:,} are wanted: not judged"
        blocking = [finding for finding in self.findings if finding.blocking]
        if not blocking:
            return f"{self.rows:,} rows are as in training"
        return f"{blocking[0].text}{f' (and {len(blocking) - 1} more)' if len(blocking) > 1 else ''}"


def _describe_left_out(sources: dict[str, Any]) -> list[str]:
    records = {name: count for name, count in sources.get("records", {}).items() if name not in ("taken", "damaged")}
    files = f"{sources.get('files', 0):,} files were read"
    older = f", {sources['older_files']:,} older ones were not" if sources.get("older_files") else ""
    others = ", ".join(f"{name} ({count:,})" for name, count in sources.get("others", {}).items())
    left = ", ".join(
        f"{count:,} of {name}" if name != "file removed meanwhile" else f"{count:,} files removed meanwhile"
        for name, count in records.items()
    )
    return (
        [f"{files}{older}{f'; left out: {left}' if left else ''}{f': {others}' if others else ''}"] if sources else []
    )


def get_folder(root: Root, verdict: ServingVerdict) -> Path:
    """The folder of a verdict: `verdict.json`, `statistics.pb`, `page.html`."""
    return root.monitoring / verdict.model / verdict.verdict_id


def write_verdict(root: Root, verdict: ServingVerdict) -> Path:
    """Writes a verdict, whole or not at all, and returns its folder."""
    folder = get_folder(root, verdict)
    make_folder(folder)
    replace_file(folder / VERDICT_FILE, verdict.model_dump_json(indent=2))
    return folder


def list_verdicts(
    root: Root | str | Path,
    model: str | None = None,
    model_version: int | None = None,
    *,
    skip_damaged: bool = False,
) -> list[ServingVerdict]:
    """The verdicts under a root, newest window first.

    Args:
        root: The root, or its path.
        model: Only this model's.
        model_version: Only this version's.
        skip_damaged: Flag that a damaged one is left out.

    Raises:
        StoreError: One of them is damaged, or of another format version.
    """
    return _read_verdicts(list_verdict_folders(root, model, model_version), model_version, skip_damaged=skip_damaged)


def list_newest_verdicts(
    root: Root | str | Path, model: str, count: int, model_version: int | None = None
) -> tuple[list[ServingVerdict], int]:
    """The newest verdicts on a model, and how many there are. Only their files are read: names sort by time.

    Args:
        root: The root, or its path.
        model: The model.
        count: Most verdicts that are read.
        model_version: Only this version's.

    Raises:
        StoreError: One of those that are read is damaged, or of another format version.
    """
    folders = sorted(list_verdict_folders(root, model, model_version), key=lambda folder: folder.name, reverse=True)
    return _read_verdicts(folders[:count], model_version), len(folders)


def _read_verdicts(
    folders: Iterable[Path], model_version: int | None, *, skip_damaged: bool = False
) -> list[ServingVerdict]:
    verdicts = []
    for folder in folders:
        try:
            verdicts.append(read_verdict(folder))
        except StoreError:
            if not skip_damaged and (folder / VERDICT_FILE).exists():  # else it was removed this very moment
                raise
    chosen = [each for each in verdicts if model_version in (None, each.model_version)]
    return sorted(chosen, key=lambda verdict: (verdict.window_end, verdict.created), reverse=True)


def read_latest_verdict(root: Root | str | Path, model_version: int, model: str | None = None) -> ServingVerdict | None:
    """The verdict on a version's newest window; None where none was made.

    Raises:
        StoreError: As `list_verdicts`.
    """
    return next(iter(list_verdicts(root, model, model_version)), None)


def is_overruled(wrong: ServingVerdict, newest_first: Sequence[ServingVerdict]) -> bool:
    """Whether a verdict on a newer window says that what was wrong is right.

    Labels come late: by then windows without labels have been judged, and their verdicts say nothing of the metrics.

    Args:
        wrong: One of the verdicts.
        newest_first: Verdicts on the same version.
    """
    newer = itertools.takewhile(lambda each: each != wrong, newest_first)
    if wrong.is_wrong_by_labels:
        return any(each.performance and not each.is_wrong_by_labels for each in newer)
    return any(each.status == "right" for each in newer)


def list_verdict_folders(
    root: Root | str | Path, model: str | None = None, model_version: int | None = None
) -> Iterator[Path]:
    """The folders of verdicts, each model's oldest window first.

    Args:
        root: The root, or its path.
        model: Only this model's.
        model_version: Only those whose names do not say that they are of another version.
    """
    place = root if isinstance(root, Root) else Root.at(root)
    models = "*" if model is None else glob.escape(model)
    folders = sorted(file.parent for file in place.monitoring.glob(f"{models}/*/{VERDICT_FILE}"))
    yield from (folder for folder in folders if model_version is None or _may_judge(folder.name, model_version))


def _may_judge(name: str, model_version: int) -> bool:
    """Whether a folder of this name may hold a verdict on a version: all but those that name another one."""
    match = VERDICT_ID.fullmatch(name)
    return match is None or int(match[1]) == model_version


def read_verdict(folder: Path) -> ServingVerdict:
    """The verdict in a folder.

    Raises:
        StoreError: It is damaged, or of another format version.
    """
    file = folder / VERDICT_FILE
    try:
        return ServingVerdict.model_validate(SERVING_VERDICT.read_report(file))
    except (json.JSONDecodeError, UnicodeDecodeError, ValidationError, OSError) as error:
        raise StoreError(f"{file} is damaged: {error}.", f"Delete {folder}; `taxiway monitor` judges again.") from error
