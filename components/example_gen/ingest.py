"""From files of rows to files of examples, in stages that map a plain function over the files.

survey       the kinds of all columns, the number of rows, the rows that cannot be read
observation  what only typed columns show: the labels that occur, the hashes of all rows, the times where asked for
examples     convert, label, split, encode, write

Every stage is `run(function, jobs) -> results` with JSON in and out: in this process, or by Beam's workers (the
executor's). Hashes of rows go through a workspace. Results do not depend on the order of files or on who ran them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from taxiway.components.contract import SPLITS, TEST_SPLIT
from taxiway.components.example_gen.config import DataConfig, LabelConfig, SplitConfig
from taxiway.components.example_gen.notes import DataNote, make_split_notes
from taxiway.components.example_gen.splits.counting import (
    Workspace,
    count_ranges,
    count_rows_like_train,
    make_temporary_workspace,
)
from taxiway.components.example_gen.splits.split import check_file_splits
from taxiway.components.example_gen.stages.examples import write_file_examples
from taxiway.components.example_gen.stages.jobs import Run, run_in_threads
from taxiway.components.example_gen.stages.observation import ObservationResult, observe_files
from taxiway.components.example_gen.stages.survey import SurveyResult, merge_surveys, survey_file
from taxiway.components.example_gen.writing import choose_shard_rows, explain_write_errors
from taxiway.components.processes import progress
from taxiway.components.tables.readers.bad_rows import BAD_ROWS_FILE, BadRows
from taxiway.components.tables.reading_rules import RULES_FILE, make_rules
from taxiway.components.tables.seen_words import merge_word_counts
from taxiway.components.tables.sources.file_ranges import cut_files
from taxiway.components.tables.sources.files import select_source_files
from taxiway.components.tables.sources.source_file import SourceFile

INGEST_FILE = "ingest.json"
"""Beside the splits: what was read, what the columns are, the order of the label's classes."""


@dataclass(frozen=True)
class IngestResult:
    """The result of an ingest.

    Attributes:
        columns: The kind of every column that was read.
        label_column: Column of the label in the examples.
        classes: Labels in the order of their indices; empty for a regression.
        rows: Counts: `read`, `bad`, `without_label`, `left_out`, `train`, `eval` and, where there is one, `test`.
        class_rows: The rows of each class, by split; one number for a regression.
        shards: The rows of each file of examples, by split and name.
        equal_rows: Rows with a label that repeat an earlier one in every column, the label's included.
        eval_rows_like_train: Rows of `eval` whose columns but the label are those of a training row.
        test_rows_like_train: The same of `test`.
        notes: Notes on the rows and their split, which the run and its report show.
        files: Names of the files, in order.
        span: Highest span read; 0 without spans.
        split: The section `data.split` as it was applied: with the share of `test`, 0 where rows were too few.
        cutoffs: For a split by time the first time that evaluates, and the first one of `test`.
        bad: The first rows that could not be read.
    """

    columns: dict[str, str]
    label_column: str
    classes: tuple[str, ...]
    rows: dict[str, int]
    files: tuple[str, ...]
    span: int
    class_rows: dict[str, list[int]] = field(default_factory=dict)
    shards: dict[str, dict[str, int]] = field(default_factory=dict)
    equal_rows: int = 0
    eval_rows_like_train: int = 0
    test_rows_like_train: int = 0
    notes: tuple[DataNote, ...] = ()
    split: dict[str, Any] = field(default_factory=dict)
    cutoffs: tuple[float, ...] = ()
    bad: BadRows = field(default_factory=BadRows)

    def to_json(self) -> dict[str, Any]:
        return {"version": 1, **asdict(self)}


def ingest_data(
    data: DataConfig,
    label: LabelConfig,
    folder: str,
    run: Run = run_in_threads,
    schema_kinds: Mapping[str, str] | None = None,
) -> IngestResult:
    """Reads, labels, splits and writes all rows.

    Args:
        data: The section `data`.
        label: The section `label`.
        folder: The folder that gets `Split-train/`, `Split-eval/`, `Split-test/`, `ingest.json`, `reading_rules.json`
            and, if rows are bad, `bad_rows.jsonl`.
        run: A function that runs a stage on every file.
        schema_kinds: The curated schema's kinds of columns; see `known_kinds`.

    Raises:
        ConfigError, DataError: in one paragraph, with the file, column or key.
    """
    files = cut_files(select_source_files(data), data.csv)
    if data.split.by == "file":
        check_file_splits(data.split, [file.path for file in files])
    survey, seen, results, like_train = _run_stages(data, label, folder, files, run, schema_kinds or {})
    class_rows = {split: _sum_columns(r["class_rows"][split] for r in results) for split in _list_splits(seen.split)}
    split_notes = make_split_notes(
        data.split, seen.classes, class_rows, seen.counted.equal_rows, like_train[TEST_SPLIT in class_rows]
    )
    result = IngestResult(
        columns=survey.kinds,
        label_column=label.column,
        classes=seen.classes,
        rows={key: sum(r["rows"][key] for r in results) for key in results[0]["rows"]},
        files=tuple(dict.fromkeys(file.name for file in files)),
        span=max(file.span for file in files),
        class_rows=class_rows,
        shards={
            split: {name: rows for r in results for name, rows in r["shards"][split].items()} for split in class_rows
        },
        equal_rows=seen.counted.equal_rows,
        eval_rows_like_train=like_train[0],
        test_rows_like_train=like_train[1],
        notes=(*survey.notes, *split_notes),
        split=seen.split.model_dump(mode="json"),
        cutoffs=tuple(seen.cutoffs),
        bad=seen.bad,
    )
    _write_ingest_record(result, folder)
    words = merge_word_counts(r["words"] for r in results)
    rules = make_rules(data, files[0].format, survey.kinds, label.column, words)
    _write_text(f"{folder}/{RULES_FILE}", rules.model_dump_json(indent=1))
    return result


def _run_stages(
    data: DataConfig,
    label: LabelConfig,
    folder: str,
    files: Sequence[SourceFile],
    run: Run,
    schema_kinds: Mapping[str, str],
) -> tuple[SurveyResult, ObservationResult, list[dict[str, Any]], tuple[int, int]]:
    """The results of the three stages, and how many rows of `eval` and of `test` are like a training row."""
    base = {"data": data.model_dump(mode="json"), "label": label.model_dump(mode="json")}
    jobs = [{**base, "file": asdict(file), "part": part} for part, file in enumerate(files)]
    progress.report_progress("ExampleGen", f"reading {len(files)} file{'s' * (len(files) > 1)}")
    survey = merge_surveys(data, label, files, run(survey_file, jobs), schema_kinds)
    with make_temporary_workspace(folder) as counting:
        shared = {"kinds": survey.kinds, "counting": counting, "ranges": count_ranges(survey.rows)}
        shared["shard_rows"] = choose_shard_rows(survey.rows)
        jobs = [{**job, **shared} for job in jobs]
        seen = observe_files(data, label, jobs, run, survey)
        plan = {
            "data": data.model_copy(update={"split": seen.split}).model_dump(mode="json"),
            "classes": list(seen.classes),
            "splits": _list_splits(seen.split),
            "cutoffs": seen.cutoffs,
            "cuts": seen.counted.cuts,
            "folder": folder,
        }
        progress.report_progress("ExampleGen", "writing examples")
        results = run(write_file_examples, [{**job, **plan} for job in jobs])
        return survey, seen, results, count_rows_like_train(Workspace(counting), len(jobs))


def _list_splits(config: SplitConfig) -> list[str]:
    """The splits that are written: `test` where it has a share."""
    return [split for split in SPLITS if split != TEST_SPLIT or config.test_share]


def _sum_columns(counts: Iterable[Sequence[int]]) -> list[int]:
    return [sum(column) for column in zip(*counts, strict=True)]


def _join_mappings(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    return {name: rows for part in parts for name, rows in part.items()}


def _write_ingest_record(result: IngestResult, folder: str) -> None:
    _write_text(f"{folder}/{INGEST_FILE}", json.dumps(result.to_json(), indent=1, ensure_ascii=False))
    if result.bad.count:
        lines = (json.dumps(asdict(sample), ensure_ascii=False) for sample in result.bad.samples)
        _write_text(f"{folder}/{BAD_ROWS_FILE}", "".join(f"{line}\n" for line in lines))


def _write_text(path: str, text: str) -> None:
    from tensorflow.io import gfile

    with explain_write_errors(path), gfile.GFile(path, "w") as out:
        out.write(text)
