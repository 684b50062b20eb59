"""The second stage, what only typed columns show: labels, hashes of all rows, and times where they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from taxiway.components.contract import SPLITS, TEST_SPLIT
from taxiway.components.errors import DataError
from taxiway.components.example_gen import known_kinds
from taxiway.components.example_gen.config import (
    EVAL_SHARE,
    TEST_SHARE,
    TRAIN_SHARE,
    DataConfig,
    LabelConfig,
    SplitConfig,
)
from taxiway.components.example_gen.labels.label import (
    compute_raw_label,
    drop_unlabelled_rows,
    number_labels,
    order_classes,
)
from taxiway.components.example_gen.splits.counting import (
    FileCounter,
    RowComparison,
    Workspace,
    compare_rows,
    count_class_rows,
)
from taxiway.components.example_gen.splits.split import (
    compute_cutoffs,
    convert_times,
    count_times,
    hash_rows_and_features,
    parse_cutoff,
    sketch_quantiles,
)
from taxiway.components.example_gen.splits.strata import resolve_test_share, split_in_two
from taxiway.components.example_gen.stages.jobs import Job, Run, count_rows, parse_job
from taxiway.components.example_gen.stages.survey import SurveyResult
from taxiway.components.processes import progress
from taxiway.components.tables.readers.bad_rows import BadRows, check_bad_count
from taxiway.components.tables.readers.typed_rows import read_typed_batches


@dataclass(frozen=True)
class ObservationResult:
    """What the second stage says: the order of classes, the split with its shares, its first times, rows and cuts."""

    classes: tuple[str, ...]
    split: SplitConfig
    cutoffs: list[float]
    counted: RowComparison
    bad: BadRows


def observe_files(
    data: DataConfig, label: LabelConfig, jobs: Sequence[Job], run: Run, survey: SurveyResult
) -> ObservationResult:
    wants_cutoffs = data.split.by == "time" and not data.split.cutoff
    progress.report_progress("ExampleGen", "counting classes and rows that are equal")
    seen = run(observe_file, [{**job, "times": wants_cutoffs} for job in jobs])
    bad = BadRows.merge_parts(BadRows.from_json(s["bad"]) for s in seen)
    with known_kinds.explain_bad_rows(survey.text_read_as_known):
        check_bad_count(bad, data.max_bad_rows)
    regression = label.task == "regression"
    classes = () if regression else order_classes(label, {text for s in seen for text in s["labels"]})
    names = classes or ("",)
    index = {name: i for i, name in enumerate(names)}
    class_of = [[0] if regression else [index[text] for text in s["labels"]] for s in seen]
    saved = [s["saved"] for s in seen]
    split, cutoffs = _resolve_split(data.split, count_class_rows(saved, class_of, len(names)), seen)
    counted = compare_rows(Workspace(jobs[0]["counting"]), saved, class_of, split, names)
    return ObservationResult(classes, split, cutoffs, counted, bad)


def _resolve_split(
    config: SplitConfig, class_rows: Sequence[int], seen: Sequence[Mapping[str, Any]]
) -> tuple[SplitConfig, list[float]]:
    """The split with a share of `test` for these rows, and for `by: time` the first times of its later splits.

    Raises:
        DataError: a cutoff is no time, or the rows have too few different times.
    """
    if config.by == "file":
        return config.model_copy(update={"test": TEST_SHARE * (TEST_SPLIT in config.files)}), []
    if config.cutoff:
        return _place_cutoffs(config)
    split = resolve_test_share(config, class_rows)
    if config.by != "time":
        return split, []
    sketches = [(s["rows"], s["times"]) for s in seen if s["rows"]]
    if config.test is None and count_times(sketches) <= len(SPLITS) - 1:
        split = split_in_two(config)
    return split, compute_cutoffs(sketches, split)


def _place_cutoffs(config: SplitConfig) -> tuple[SplitConfig, list[float]]:
    cutoffs = [parse_cutoff(config.cutoff)]
    if not config.test_cutoff:
        return config, cutoffs
    cutoffs.append(parse_cutoff(config.test_cutoff))
    if cutoffs[1] <= cutoffs[0]:
        raise DataError(
            f"data.split.test_cutoff {config.test_cutoff!r} is not later than cutoff {config.cutoff!r}.",
            "Rows between the two are eval, and those from test_cutoff on are test.",
        )
    # The times say which rows; a share of `test` says that there is such a split.
    return config.model_copy(update={"train": TRAIN_SHARE, "eval": EVAL_SHARE, "test": TEST_SHARE}), cutoffs


def observe_file(job: Job) -> dict[str, Any]:
    """The labels and a sketch of the times of one file; the hashes of its rows go into the workspace."""
    data, label, file = parse_job(job)
    bad, texts = BadRows(), dict[str, int]()
    times: list[np.ndarray] = []
    counter = FileCounter()
    rows = 0
    for columns in read_typed_batches(file, data, job["kinds"], bad, None):
        rows += count_rows(columns)
        if job["times"]:
            times.append(convert_times(columns[data.split.column], data.split.column))
        columns, raw = drop_unlabelled_rows(label, columns, compute_raw_label(label, columns), file.name)
        hashes, features = hash_rows_and_features(columns, len(raw), label.column, data.split.salt)
        counter.add_batch(hashes, features, number_labels(label, raw, texts))
    sketch = sketch_quantiles(np.concatenate(times)) if times else []
    saved = counter.save_hashes(Workspace(job["counting"]), job["part"], job["ranges"])
    return {"rows": rows, "bad": bad.to_json(), "labels": list(texts), "times": sketch, "saved": saved}
