"""One window of a version's requests against its training: every check, with one error rate for all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from tensorflow_metadata.proto.v0 import statistics_pb2

from taxiway.components.distributions.chance import ERROR_RATE
from taxiway.components.monitoring.column_checks import (
    CHECKS_A_COLUMN,
    ColumnCheck,
    check_columns,
    compare_statistics,
)
from taxiway.components.monitoring.comparable import add_range_ends, index_features, take_ends_off
from taxiway.components.monitoring.config import MonitoringConfig
from taxiway.components.monitoring.findings import Difference
from taxiway.components.monitoring.score_checks import CHECKS_A_SCORE, check_scores
from taxiway.components.monitoring.window import RequestWindow
from taxiway.components.saved_models.training_reference import TrainingReference
from taxiway.components.tables.seen_words import KnownWords

ComputeStatistics = Callable[[Iterable[pa.RecordBatch]], statistics_pb2.DatasetFeatureStatisticsList]

NOT_TRAINED = "training had no values of it"
NO_SCORES = "the version carries no scores of eval: it was pushed by an earlier Taxiway, or without a validator"
NONE_LOGGED = "no logged answer holds them"


@dataclass(frozen=True)
class JudgedWindow:
    """What the checks of a window said.

    Attributes:
        differences: All that was measured.
        statistics: TFDV's statistics of the window, made comparable with training's; None where nothing was judged.
        not_judged: Reason by column, or for `scores`.
        rate: Error rate of one check; that of all together is `ERROR_RATE`.
    """

    differences: tuple[Difference, ...] = ()
    statistics: statistics_pb2.DatasetFeatureStatisticsList | None = None
    not_judged: dict[str, str] = field(default_factory=dict)
    rate: float = ERROR_RATE


def judge_window(
    window: RequestWindow,
    reference: TrainingReference,
    columns: Collection[str],
    config: MonitoringConfig,
    compute_statistics: ComputeStatistics,
    *,
    masked: Mapping[str, str] | None = None,
    before: statistics_pb2.DatasetFeatureStatisticsList | None = None,
    more_checks: int = 0,
    words: Mapping[str, KnownWords] | None = None,
) -> JudgedWindow:
    """Compares a window with a version's training.

    Args:
        window: Rows of the version.
        reference: What the version's training looked like.
        columns: Columns that the model takes; empty: those of the training statistics that were sent.
        config: Limits.
        compute_statistics: Function that computes TFDV's statistics of record batches.
        masked: Reason by column that the log does not hold as it was sent.
        before: Statistics of the version's window before; None: no drift is measured.
        more_checks: Checks that share the error rate and are made elsewhere.
        words: All values of training by column, where they were few enough; None: the version does not say.
    """
    trained = index_features(reference.statistics)
    wanted = sorted(columns) or sorted(set(trained) & set(window.columns))
    not_judged = {**window.unreadable, **(masked or {})}
    not_judged = {name: why for name, why in not_judged.items() if name in wanted}
    not_judged |= {name: NOT_TRAINED for name in wanted if name not in trained and name not in not_judged}
    judged = tuple(name for name in wanted if name not in not_judged)
    scores = reference.scores
    outputs = len(scores.scores[0]) if scores and scores.scores else 0
    rate = ERROR_RATE / max(len(judged) * CHECKS_A_COLUMN + outputs * CHECKS_A_SCORE + more_checks, 1)
    batch = add_range_ends({name: window.columns[name] for name in judged if name in window.columns}, trained)
    statistics = (
        take_ends_off(compute_statistics([batch]), trained)
        if batch.num_columns
        else statistics_pb2.DatasetFeatureStatisticsList()
    )
    check = ColumnCheck(window, statistics, reference.statistics, reference.schema, judged, rate, config, words or {})
    differences = list(check_columns(check))
    if before is not None:
        differences += _compare_with_window_before(check, before)
    if scores is None or not outputs:
        not_judged["scores"] = NO_SCORES
    elif window.scores is None or window.scores.shape[1] != outputs:
        not_judged["scores"] = NONE_LOGGED
    else:
        kept = np.array(scores.scores, np.float64)
        differences += check_scores(window.scores, kept, scores.task, scores.classes, config.scores, rate)
    return JudgedWindow(tuple(differences), statistics, not_judged, rate)


def _compare_with_window_before(
    check: ColumnCheck, before: statistics_pb2.DatasetFeatureStatisticsList
) -> list[Difference]:
    both = set(index_features(before)) & set(index_features(check.statistics))
    columns = [name for name in check.columns if name in both]
    return list(compare_statistics("drift", check, check.statistics, before, check.config.drift, columns).values())
